"""The import contracts and the type check are quiet, and see what they are there for."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def run(command: list[str], tree: Path) -> subprocess.CompletedProcess[str]:
    """`command` of this environment, on the package that lies in `tree`."""
    environ = os.environ | {"PYTHONPATH": str(tree / "src"), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [BIN / command[0], *command[1:]], cwd=tree, env=environ, capture_output=True, text=True, check=False
    )


def plant(tree: Path, module: str, source: str) -> None:
    (tree / module).write_text(f'"""A planted fault."""\n\n{source}\n', encoding="utf-8")


@dataclass(frozen=True)
class Fault:
    module: str
    statement: str
    contract: str


FAULTS = [
    Fault("src/edgekit/core/planted.py", "import edgekit.flows.build", "arrows point down"),
    Fault("src/edgekit/report/planted.py", "import edgekit.runtime.backend", "report imports core only"),
    Fault("runtime/planted.py", "import torch", "free of training and converter packages"),
    Fault("export/planted.py", "import edgekit.devices.device", "train and export know no device"),
    Fault("src/edgekit/flows/opening/planted.py", "import edgekit.flows.export", "commands lie above their rooms"),
    Fault("export/bisecting/planted.py", "import edgekit.export.conversion", "the rooms of export"),
]
UPWARDS = {
    "export/shapes/planted.py": "edgekit.export.messages",
    "export/graphs/planted.py": "edgekit.export.onnx.tracer",
    "export/torch/planted.py": "edgekit.export.tflite.exporter",
    "export/checking/planted.py": "edgekit.export.workers.worker",
    "export/workers/planted.py": "edgekit.export.conversion",
}
ACROSS = [
    Fault(
        "runtime/planted.py",
        "import edgekit.devices.device",
        "edgekit.runtime is not allowed to import edgekit.devices",
    ),
    Fault(
        "devices/planted.py",
        "import edgekit.runtime.backend",
        "edgekit.devices is not allowed to import edgekit.runtime",
    ),
    Fault("train/planted.py", "import edgekit.export.planted", "edgekit.train is not allowed to import edgekit.export"),
]


def test_the_import_contracts_hold(tree: Path) -> None:
    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_a_planted_import_breaks_the_contract_that_forbids_it(tree: Path) -> None:
    for fault in FAULTS:
        plant(tree, fault.module, fault.statement)

    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 1
    broken = [line for line in done.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert len(broken) == len(FAULTS)
    assert all(any(fault.contract in line for line in broken) for fault in FAULTS)


def test_layers_side_by_side_do_not_import_each_other(tree: Path) -> None:
    plant(tree, "export/planted.py", "NOTHING = 0")
    for fault in ACROSS:
        plant(tree, fault.module, fault.statement)

    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 1
    assert [fault.contract for fault in ACROSS if fault.contract not in " ".join(done.stdout.split())] == []


def test_a_room_of_export_imports_nothing_from_the_rooms_above_it_not_even_later(tree: Path) -> None:
    for module, above in UPWARDS.items():
        plant(tree, module, f"def later() -> None:\n    import {above}")

    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 1
    rooms = {Path(module).parent.name: above for module, above in UPWARDS.items()}
    wanted = [f"edgekit.export.{room}.planted -> {above}" for room, above in rooms.items()]
    assert [arrow for arrow in wanted if arrow not in " ".join(done.stdout.split())] == []


def test_a_circle_within_a_room_of_export_is_found_where_one_import_is_deferred(tree: Path) -> None:
    plant(tree, "export/torch/planted.py", "def later() -> None:\n    import edgekit.export.torch.planted_too")
    plant(tree, "export/torch/planted_too.py", "import edgekit.export.torch.planted")

    done = run(["lint-imports", "--no-cache"], tree)

    broken = [line for line in done.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert broken == ["export holds no circle of imports, deferred ones included BROKEN"]


@pytest.mark.slow
def test_a_planted_type_error_across_folders_is_found(tree: Path) -> None:
    plant(
        tree,
        "src/edgekit/flows/planted.py",
        "from edgekit.devices.device import DEVICES\nfrom edgekit.runtime.backend import DEFAULT_BACKENDS\n\n"
        "number: int = DEFAULT_BACKENDS['onnx']\nlength: str = len(DEVICES.plugins)",
    )

    done = run(["mypy", "--cache-dir", str(tree / ".cache"), "src/edgekit/flows/planted.py"], tree)

    assert done.returncode == 1
    errors = [line for line in done.stdout.splitlines() if "flows/planted.py" in line and "[assignment]" in line]
    assert len(errors) == 2, done.stdout

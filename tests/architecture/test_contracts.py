"""The import contracts and the type check are quiet, and see what they are there for."""

from __future__ import annotations

import os
import re
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


def dotted(module: str) -> str:
    """The name under which a file is imported."""
    return ".".join(("edgekit", *Path(module.removeprefix("src/edgekit/")).with_suffix("").parts))


def plant(tree: Path, module: str, source: str) -> None:
    """Write `source` into a module of its own, or at the end of one that exists."""
    path = tree / module
    before = path.read_text(encoding="utf-8") if path.exists() else '"""A planted fault."""\n'
    path.write_text(f"{before}\n{source}\n", encoding="utf-8")


def sections(printed: str) -> dict[str, str]:
    """What is printed about each broken contract, by its name."""
    _, _, details = printed.partition("Broken contracts")
    parts = re.split(r"^(.+)\n-+$", details, flags=re.MULTILINE)[1:]
    return {name.strip(): " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


@dataclass(frozen=True)
class Fault:
    """A module that imports what a contract forbids; the import is deferred, which hides it from a reader."""

    module: str
    imported: str
    contract: str

    @property
    def arrow(self) -> str:
        return f"{dotted(self.module)} -> {self.imported}"


DEFERRED = "def later() -> None:\n    import {}"
FAULTS = [
    Fault("src/edgekit/core/planted.py", "edgekit.flows.build", "arrows point down"),
    Fault("src/edgekit/report/planted.py", "edgekit.runtime.backend", "report imports core only"),
    Fault("runtime/planted.py", "torch", "free of training and converter packages"),
    Fault("export/planted.py", "edgekit.devices.device", "train and export know no device"),
    Fault("export/bisecting/planted.py", "edgekit.export.conversion", "the rooms of export"),
    Fault("src/edgekit/flows/opening/planted.py", "edgekit.flows.export", "commands lie above their rooms"),
    Fault("src/edgekit/flows/measuring/planted.py", "edgekit.flows.judging.budgets", "the rooms of flows below"),
    Fault("src/edgekit/flows/order.py", "edgekit.flows.opening.devices", "the rooms of flows below"),
    Fault("src/edgekit/core/system/planted.py", "edgekit.core.target", "the rooms of core"),
    Fault("src/edgekit/core/statistics/planted.py", "edgekit.core.reports.report", "the rooms of core"),
    Fault("src/edgekit/report/plots/planted.py", "edgekit.report.pages.html", "renderings stand on pictures"),
    Fault("src/edgekit/report/formatting.py", "edgekit.report.rows", "renderings stand on pictures"),
    Fault("src/edgekit/cli/output.py", "edgekit.cli.commands.build", "imports no command"),
]
# Each pair imports one another within one package.
CIRCLES = (
    "src/edgekit/cli",
    "src/edgekit/core/system",
    "src/edgekit/report/plots",
    "src/edgekit/flows/judging",
    "train/fitting",
    "export/torch",
    "runtime/backends",
    "devices/remote",
)
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
        "edgekit.devices.device",
        "edgekit.runtime is not allowed to import edgekit.devices",
    ),
    Fault(
        "devices/planted.py",
        "edgekit.runtime.backend",
        "edgekit.devices is not allowed to import edgekit.runtime",
    ),
    Fault("train/planted.py", "edgekit.export.planted", "edgekit.train is not allowed to import edgekit.export"),
]


def test_the_import_contracts_hold(tree: Path) -> None:
    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_a_planted_import_breaks_the_contract_that_forbids_it(tree: Path) -> None:
    for fault in FAULTS:
        plant(tree, fault.module, DEFERRED.format(fault.imported))

    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 1
    broken = sections(done.stdout)
    seen = [
        fault for fault in FAULTS for name, text in broken.items() if fault.contract in name and fault.arrow in text
    ]
    assert seen == FAULTS


def test_layers_side_by_side_do_not_import_each_other(tree: Path) -> None:
    plant(tree, "export/planted.py", "NOTHING = 0")
    for fault in ACROSS:
        plant(tree, fault.module, f"import {fault.imported}")

    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 1
    assert [fault.contract for fault in ACROSS if fault.contract not in " ".join(done.stdout.split())] == []


def test_a_room_of_export_imports_nothing_from_the_rooms_above_it_not_even_later(tree: Path) -> None:
    for module, above in UPWARDS.items():
        plant(tree, module, DEFERRED.format(above))

    done = run(["lint-imports", "--no-cache"], tree)

    assert done.returncode == 1
    rooms = {Path(module).parent.name: above for module, above in UPWARDS.items()}
    wanted = [f"edgekit.export.{room}.planted -> {above}" for room, above in rooms.items()]
    assert [arrow for arrow in wanted if arrow not in " ".join(done.stdout.split())] == []


def test_a_circle_in_any_package_is_found_where_one_import_is_deferred(tree: Path) -> None:
    for folder in CIRCLES:
        package = dotted(f"{folder}/planted.py").rpartition(".")[0]
        plant(tree, f"{folder}/planted.py", DEFERRED.format(f"{package}.planted_too"))
        plant(tree, f"{folder}/planted_too.py", f"import {package}.planted")

    done = run(["lint-imports", "--no-cache"], tree)

    broken = sections(done.stdout)
    (printed,) = [text for name, text in broken.items() if "no package holds a circle" in name]
    packages = [dotted(f"{folder}/planted.py").rpartition(".")[0] for folder in CIRCLES]
    assert [one for one in packages if f"No cycles are allowed in {one}." not in printed] == []


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

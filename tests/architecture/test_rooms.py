"""The rooms of the house: how many modules each holds, what their names mean, and where a command is found."""

from __future__ import annotations

import ast
import configparser
from collections import defaultdict
from pathlib import Path

import pytest
from tests.architecture.test_layout import TOP, folders_with_modules, modules

from edgekit.cli.program import COMMANDS
from edgekit.core.system.version import VERSION

MOST = 15
# One module a command: a reader looks for its name, not through the folder.
BY_NAME = {
    "src/edgekit/flows": 30,
    "src/edgekit/core/reports": 30,
    "src/edgekit/cli/commands": 30,
    "tests/flows": 30,
}
MOST_LINES = 400
# A name in several folders stands for one concept, which is this; commands have one wherever they have a part.
SHARED = {
    "bundle": "the noun, the command, and the writer of a bundle",
    "cache": "conversions that are kept by content, and where",
    "compact": "a file of one format without what says nothing",
    "comparison": "two measurements held against each other: report, judgement, rendering",
    "completion": "the command, and the words that completion offers",
    "contents": "what the file of a format is made of",
    "digits": "the data set, and the network for it",
    "exporter": "a format's exporter",
    "facts": "facts of a device: the noun, both readers and the rendering",
    "fetch": "downloads: the one way, and the data sets that come by it",
    "fake": "what answers in the place of an engine or a device",
    "main": "the entry point of a process",
    "mnist": "the data set, and the network for it",
    "operator_times": "the time of every operator: read and shown",
    "parity": "an artifact against PyTorch, on this machine and on targets",
    "progress": "the protocol and its drawing",
    "quality": "a model's metric computed again: report and judgement",
    "quantizer": "a format's quantizer",
    "reader": "a format's file as a source",
    "registry": "the table of plug-ins of a package",
    "signatures": "fixed-shape entry points of a TFLite file: made and run",
    "sustained": "latency under load: report, measurement, picture",
    "tracer": "every tensor that a graph computes",
    "work": "what the operators of a file of a format multiply",
    "versions": "versions of installed packages",
}
# Commands without a flow: they print what the command line itself knows.
# The flows of `fleet` are in the room of that name, `flows/fleet/hosts.py`.
WITHOUT_FLOW = {"config", "completion", "fleet"}
# Flows that are no command: the function of the Python API, the plug-in's work, and what a command is.
WITHOUT_COMMAND = {"load", "order", "pytest_fixture"}


def product(repository: Path) -> list[Path]:
    return [
        path for path in modules(repository) if path.relative_to(repository).parts[0] not in ("tests", "benchmarks")
    ]


def test_no_folder_holds_more_modules_than_a_reader_takes_in(repository: Path) -> None:
    roots = [repository / name for name in ("src/edgekit", *TOP, "tests", "benchmarks")]
    crowded = {}
    for folder in (folder for root in roots for folder in folders_with_modules(root)):
        name = str(folder.relative_to(repository))
        held = [path for path in folder.glob("*.py") if path.name not in ("__init__.py", "conftest.py")]
        if len(held) > BY_NAME.get(name, MOST):
            crowded[name] = len(held)

    assert crowded == {}


def test_no_file_is_longer_than_a_reader_takes_in(repository: Path) -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(repository)}

    assert {str(path.relative_to(repository)): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_a_name_stands_for_one_concept(repository: Path) -> None:
    places: dict[str, list[Path]] = defaultdict(list)
    for path in product(repository):
        places[path.stem].append(path)

    repeated = {name for name, paths in places.items() if len(paths) > 1 and not name.startswith("__")}

    assert repeated - set(COMMANDS) - set(SHARED) == set()
    assert set(SHARED) - repeated == set()


def test_every_command_has_a_module_of_its_name_and_no_module_lacks_one(repository: Path) -> None:
    inner = repository / "src" / "edgekit"
    spoken = {path.stem for path in (inner / "cli" / "commands").glob("*.py")} - {"__init__"}
    flows = {path.stem for path in (inner / "flows").glob("*.py")} - {"__init__"}

    assert spoken == set(COMMANDS) == {module for module, _ in COMMANDS.values()}
    assert flows == (set(COMMANDS) - WITHOUT_FLOW) | WITHOUT_COMMAND


@pytest.mark.parametrize("room", ["src/edgekit/flows", "src/edgekit/cli/commands"])
def test_nothing_between_the_command_line_and_a_flow_is_untyped_or_twice(room: str, repository: Path) -> None:
    found = []
    for path in sorted((repository / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("plan_"):
                found.append(f"{path}: {node.name} is the twin of an order")
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "dict[str, Any]":
                found.append(f"{path}:{node.lineno}: {ast.unparse(node.annotation)}")

    assert found == []


def test_the_version_is_the_one_of_the_distribution(repository: Path) -> None:
    config = configparser.ConfigParser()
    config.read(repository / "setup.cfg", encoding="utf-8")

    assert config["metadata"]["version"] == VERSION

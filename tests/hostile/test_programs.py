"""A saved program from a stranger runs no code: what the inspection lets through is opened by torch itself as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hostile import crafted_programs as crafted

from edgekit.core.errors import ModelUnreadable
from edgekit.export.programs.archive import copy_program

pytestmark = pytest.mark.slow

# A long run takes more: EDGEKIT_FUZZ is removed from the environment of tests, this name is not.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
Loader = Callable[[Path], str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs are, and `planted.py`, which creates the file `canary` when it is imported."""
    made = tmp_path_factory.mktemp("programs")
    (made / "planted.py").write_text(f"import pathlib\npathlib.Path({str(made / 'canary')!r}).touch()\n")
    return made


@pytest.fixture(scope="module")
def programs(folder: Path) -> dict[str, Path]:
    return crafted.save_programs(folder)


@pytest.fixture(scope="module")
def loader(folder: Path) -> Iterator[Loader]:
    """Opens an archive with torch in a process that can import `planted`; returns what it raised."""
    here = Path(__file__).with_name("torch_loader.py")
    environment = os.environ | {"PYTHONPATH": str(folder), "HOME": str(folder), "TMPDIR": str(folder)}
    command = [sys.executable, str(here)]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, told = process.stdin, process.stdout

        def load(path: Path) -> str:
            given.write(f"{path}\n".encode())
            given.flush()
            said = told.readline()
            assert said, "torch ended"
            return str(json.loads(said))

        yield load
        process.kill()


def test_good_programs_are_let_through_and_torch_opens_the_copy(
    programs: dict[str, Path], loader: Loader, tmp_path: Path
) -> None:
    for name, path in programs.items():
        copy_program(path, tmp_path / f"{name}.pt2")

        assert loader(tmp_path / f"{name}.pt2") == ""


def test_crafted_programs_are_refused_with_a_way_out(
    programs: dict[str, Path], folder: Path, loader: Loader, tmp_path: Path
) -> None:
    canary, ran = folder / "canary", set()
    for name, entries in crafted.crafted(crafted.read(programs["guarded"]), canary).items():
        path = crafted.write(tmp_path / "evil.pt2", entries)
        with pytest.raises(ModelUnreadable) as caught:
            copy_program(path, tmp_path / "copy.pt2")

        assert "edgekit export net.py:Net" in caught.value.hint, name
        assert not (tmp_path / "copy.pt2").exists(), name
        # The oracle is worth something: torch runs what these contain.
        loader(path)
        if canary.exists():
            ran.add(name)
            canary.unlink()

    print(f"torch runs {sorted(ran)}")
    assert {"a guard", "a graph under another suffix", "a size", "an enumeration"} <= ran


def test_entries_that_two_readers_understand_differently_are_refused(programs: dict[str, Path], tmp_path: Path) -> None:
    entries = crafted.read(programs["guarded"])
    evil = tmp_path / "evil.pt2"
    for more, message in (
        ({crafted.GRAPH: b"{}"}, "twice"),
        ({"MODELS/MODEL.JSON": b"{}"}, "not a part"),
        ({"../../elsewhere": b""}, "not a part"),
    ):
        crafted.write(evil, entries)
        with zipfile.ZipFile(evil, "a") as archive, warnings.catch_warnings(action="ignore"):
            for name, content in more.items():
                archive.writestr(f"net/{name}", content)

        with pytest.raises(ModelUnreadable, match=message):
            copy_program(evil, tmp_path / "copy.pt2")


PAYLOADS = (
    "CODE",
    "' or CODE or '",
    '", CODE, "',
    "x=CODE",
    "x\nCODE",
    "planted",
    "planted:A",
    "CODE == 1",
    "L['x'].size()[0] == CODE",
    "max(CODE, 1)",
    "Symbol('s0', integer=CODE)",
    "torch.ops.aten.relu.default",
    "_operator.call",
    "_operator.attrgetter",
    "torch.ops.higher_order.cond",
    "builtins.exec",
    "collections.defaultdict",
    "opaque_obj_0",
    "custom_obj_0",
    "weight_0",
    "../weights/weight_0",
    "cuda",
    "",
    "s77",
    "L['x'].size()[0] == 8",
)
KINDS = ("value", "rename", "into", "flip", "drop", "number")


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a document has a value: every key and every index."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield (*path, key)
        yield from places(part, (*path, key))


def mutated(document: Any, place: tuple[str | int, ...], payload: str, kind: str) -> None:
    """Put the payload at a place of the document: as a value, as a name, or into the text that is there.

    With `drop` and `number` the form stays right, so that more mutants reach torch.
    """
    for key in place[:-1]:
        document = document[key]
    last = place[-1]
    if kind == "drop":
        del document[last]
    elif kind == "number" and isinstance(document[last], int):
        document[last] = len(payload)
    elif kind == "rename" and isinstance(document, dict):
        document[payload] = document.pop(last)
    elif kind == "into" and isinstance(document[last], str):
        document[last] = document[last].replace("Symbol", f"{payload} or Symbol", 1) + payload
    elif kind == "flip":
        document[last] = True if document[last] is False else [payload]
    else:
        document[last] = payload


def test_nothing_that_is_let_through_runs_code(
    programs: dict[str, Path], folder: Path, loader: Loader, tmp_path: Path
) -> None:
    canary, opened = folder / "canary", [0, 0]
    code = f"__import__('pathlib').Path('{canary}').touch()"
    good = {name: crafted.read(path) for name, path in programs.items()}
    documents = [(name, entry) for name, entries in good.items() for entry in entries if entry.endswith(".json")]
    spots = {where: list(places(json.loads(good[where[0]][where[1]]))) for where in documents}

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        name, entry = where = data.draw(st.sampled_from([one for one in documents if spots[one]]))
        document = json.loads(good[name][entry])
        for _ in range(data.draw(st.integers(1, 2))):
            place = data.draw(st.sampled_from(spots[where]))
            payload = data.draw(st.sampled_from(PAYLOADS)).replace("CODE", code)
            try:
                mutated(document, place, payload, data.draw(st.sampled_from(KINDS)))
            except (KeyError, IndexError, TypeError):
                return
        path = crafted.write(tmp_path / "mutant.pt2", good[name] | {entry: json.dumps(document).encode()})
        opened[0] += 1
        try:
            copy_program(path, tmp_path / "copy.pt2")
        except ModelUnreadable:
            return
        opened[1] += 1
        loader(tmp_path / "copy.pt2")
        assert not canary.exists(), (place, payload)

    run()

    # A test whose every mutant is refused, or let through, would show nothing.
    assert 0 < opened[1] < opened[0]
    print(f"{opened[0]} mutants, {opened[1]} let through and opened by torch")

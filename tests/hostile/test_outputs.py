"""Commands that write never delete what another program, or another edgekit, has put at their output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run, write_bundle
from tests.cli.conftest import edgekit as edgekit  # noqa: PLC0414 - a fixture
from tests.cli.conftest import quiet_home as quiet_home  # noqa: PLC0414 - a fixture
from tests.flows.onnx_files import dense

from edgekit.core.bundle import Bundle, pack
from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.files import new_folder
from edgekit.flows.deploy import program_order
from edgekit.flows.export import export
from edgekit.flows.order import door

deploy = door(program_order)


class WritesMeanwhile:
    """A program that puts its own notes where the command writes, during each of its stages."""

    def __init__(self, out: Path) -> None:
        self.out = out

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        if title != "load":
            self.out.mkdir(exist_ok=True)
            (self.out / "notes.txt").write_text("a year of work", encoding="utf-8")
        yield

    def step(self, done: int, total: int, note: str = "") -> None:
        pass


@pytest.mark.slow
def test_a_file_that_is_created_in_out_while_the_export_runs_is_kept_and_so_is_the_bundle(tmp_path: Path) -> None:
    model, out = dense(tmp_path / "net.onnx"), tmp_path / "out"

    with pytest.raises(UserError, match="was created while this command ran, and is unchanged") as caught:
        export(str(model), out=out, to="onnx-fp32", progress=WritesMeanwhile(out))

    assert [path.read_text(encoding="utf-8") for path in out.iterdir()] == ["a year of work"]
    (kept,) = tmp_path.glob("out.*")
    assert str(kept) in caught.value.message
    assert str(kept) in caught.value.hint
    with Bundle.open(kept) as bundle:
        assert [one.recipe for one in bundle.artifacts] == ["onnx-fp32"]


def test_what_another_edgekit_is_writing_is_refused_by_each_that_writes(tmp_path: Path) -> None:
    bundle, out = tmp_path / "bundle", tmp_path / "out"
    write_bundle(bundle, Samples({"x": np.ones((4, 1, 8, 8), np.float32)}))

    with claimed(out), Bundle.open(bundle) as opened:
        for force in (False, True):
            with pytest.raises(UserError, match="Another edgekit is writing"):
                pack(opened, out, force=force)
            with pytest.raises(UserError, match="Another edgekit is writing"):
                deploy(bundle, language="python", out=out, force=force)
            with pytest.raises(UserError, match="Another edgekit is writing"), new_folder(out, force=force):
                pytest.fail("the block must not run")


FORCED = (
    "export {net} --to onnx-fp32 --out {out}",
    "build {net} --to onnx-fp32 --out {out}",
    "deploy {bundle} --for python --out {out}",
    "bundle pack {bundle} --out {out}/thesis.tex",
    "bundle sbom {bundle} --out {out}/thesis.tex",
)


def test_force_replaces_only_what_edgekit_wrote(edgekit: Run, tmp_path: Path) -> None:
    documents = tmp_path / "Documents"
    documents.mkdir()
    (documents / "thesis.tex").write_text("years of work")
    bundle, net = tmp_path / "bundle", dense(tmp_path / "net.onnx")
    write_bundle(bundle, Samples({"x": np.ones((4, 1, 8, 8), np.float32)}))

    for command in FORCED:
        told = edgekit(*command.format(net=net, bundle=bundle, out=documents).split(), "--force")

        assert told.code == 2, (command, told.err)
        assert "was not written by edgekit" in told.err
        assert "Choose another --out" in told.err
        assert [path.read_text() for path in documents.iterdir()] == ["years of work"]


def test_force_replaces_what_the_same_command_wrote_before(edgekit: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    write_bundle(bundle, Samples({"x": np.ones((4, 1, 8, 8), np.float32)}))

    for command in ("bundle pack {bundle} --out {out}.edgekit", "bundle sbom {bundle} --out {out}.json"):
        arguments = command.format(bundle=bundle, out=tmp_path / "out").split()

        assert [edgekit(*arguments).code, edgekit(*arguments).code, edgekit(*arguments, "--force").code] == [0, 2, 0]

"""Commands that write never delete what another program, or another edgekit, has put at their output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import write_bundle
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

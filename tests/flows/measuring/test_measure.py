"""What is known of a device before its first launch."""

from __future__ import annotations

from pathlib import Path

from tests.flows.onnx_files import dense

from edgekit.core.system.progress import Silent
from edgekit.core.target import parse_targets
from edgekit.flows.measuring.measure import measure
from edgekit.flows.measuring.rounds import Rounds
from edgekit.flows.opening.artifacts import opened


def test_the_load_of_an_export_in_the_same_command_is_not_that_of_other_programs(tmp_path: Path) -> None:
    dense(tmp_path / "dense.onnx")

    with opened(tmp_path / "dense.onnx") as found:
        args = found, parse_targets("local"), found.artifacts, Rounds(1, time_limit_s=0.01)
        after_export = measure(*args, Silent(), exported=True).facts["local"]
        alone = measure(*args, Silent()).facts["local"]

    assert after_export.load is None
    assert after_export.missing["load"] == "this command exported on this machine just before"
    assert alone.load is not None

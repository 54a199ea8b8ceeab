"""The page of real networks says what was found, every planted fault was, and the judge separates right from wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.zoo.judge import compared
from benchmarks.zoo.page import PAGE, end_of, page
from benchmarks.zoo.plain import RECIPES
from benchmarks.zoo.prepared import prepare
from benchmarks.zoo.registry import nets
from benchmarks.zoo.rows import Row, merged, read_faults, read_rows


def test_the_page_is_what_the_rows_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_rows())


def test_at_least_75_networks_went_through_every_recipe() -> None:
    rows = [row for row in read_rows() if row.seed == 0 and row.verdict]
    known = nets()

    assert len({row.net for row in rows}) >= 75
    assert {row.net for row in rows} <= set(known)
    assert len(rows) == len(RECIPES) * len({row.net for row in rows})


def test_every_planted_fault_was_found_and_no_network_without_one_fails() -> None:
    faults = read_faults()

    assert len([one for one in faults if one.fault]) == 20
    assert [one for one in faults if one.fault and not one.caught] == []
    assert [one for one in faults if not one.fault and one.exit_code != 0] == []


@pytest.mark.parametrize(("noise", "right"), [(1e-6, ("fp32", "fp16", "int8")), (3e-3, ("fp16", "int8")), (0.5, ())])
def test_the_judge_has_a_limit_per_precision(noise: float, right: tuple[str, ...]) -> None:
    random = np.random.default_rng(0)
    wanted = random.normal(size=(16, 1, 40))
    got = wanted + noise * random.normal(size=wanted.shape)

    found = tuple(one for one in ("fp32", "fp16", "int8") if compared(wanted, got, one, None).right)

    assert found == right


def test_the_judge_looks_at_every_channel_of_mixed_scales() -> None:
    scores = np.random.default_rng(0).uniform(size=(16, 1, 6, 50))
    wanted = scores * np.array([500, 500, 500, 500, 1, 1])[:, None]
    got = wanted.copy()
    got[:, :, 4:] = 0

    assert compared(wanted, got, "int8", None).right
    assert not compared(wanted, got, "int8", 1).right


def test_a_row_keeps_what_edgekit_said_beside_what_the_plain_way_gave() -> None:
    ours = Row("net", "text", "own", "onnx-fp32", 0, "fail", right=True, db=130.0)
    plain = Row("net", "text", "own", "onnx-fp32", 0, "", plain="right", plain_db=131.0)

    (row,) = merged([ours], [plain])

    assert (row.verdict, row.plain, row.plain_db) == ("fail", "right", 131.0)
    assert end_of(row) == "right, but failed"


@pytest.mark.slow
@pytest.mark.parametrize("name", [net.name for net in nets().values() if net.source == "own"])
def test_an_own_network_answers_its_samples(name: str, tmp_path: Path) -> None:
    assert prepare(name, 1, tmp_path) > 0

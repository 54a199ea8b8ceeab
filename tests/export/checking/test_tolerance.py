"""The limits of parity are those that docs/validation.md promises."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.export.checking.echo import SPEC, Make, X

from edgekit.core.samples import Samples
from edgekit.core.verdict import Verdict
from edgekit.export.checking.parity import ENOUGH, compare_outputs
from edgekit.export.checking.tolerance import NOISE_FACTOR, QUANTIZED, TOLERANCES, UNSTABLE, tolerance_of


def rows(page: Path) -> dict[str, list[float]]:
    """The figures of the table of limits by precision: decibels of an output, of a part, agreement in per cent."""
    found = re.findall(r"^\| (fp16|int8|int4) \| ([\d.]+) dB \| ([\d.]+) dB \| ([\d.]+) % \|$", page.read_text(), re.M)
    return {name: [float(figure) for figure in figures] for name, *figures in found}


def test_the_limits_are_those_of_the_documentation(repository: Path) -> None:
    found = {
        name: [one.sqnr_db, one.part_db, 100 * one.agreement]
        for name, one in TOLERANCES.items()
        if one.difference is None
    }

    documented = rows(repository / "docs/validation.md")
    assert documented.keys() == found.keys()
    for name, figures in found.items():
        assert figures == pytest.approx(documented[name]), name


def test_float32_differs_by_a_ten_thousandth_and_that_is_80_decibels() -> None:
    row = TOLERANCES["fp32"]

    assert (row.difference, row.agreement) == (1e-4, 0.999)
    assert row.sqnr_db == row.part_db == pytest.approx(-20 * np.log10(row.difference or 1))


def test_large_is_a_hundredth_of_the_signal_in_float32_and_a_tenth_in_float16() -> None:
    assert {name: one.gross_db for name, one in TOLERANCES.items()} == {"fp32": 40, "fp16": 20, "int8": 0, "int4": 0}


def test_noise_of_the_reference_is_allowed_ten_times_and_from_a_hundredth_on_nothing_is_judged() -> None:
    assert (NOISE_FACTOR, UNSTABLE) == (10, 0.01)


def test_an_unknown_precision_is_judged_as_int8() -> None:
    assert tolerance_of("") == tolerance_of("bf16") == TOLERANCES["int8"]
    assert set(QUANTIZED) == {"int8", "int4"}


@pytest.mark.parametrize("precision", ["fp16", "int8", "int4"])
@pytest.mark.parametrize(("nearer_db", "passes"), [(0.1, True), (-0.1, False)])
def test_an_artifact_passes_a_tenth_of_a_decibel_above_its_limit_and_fails_below(
    precision: str, nearer_db: float, passes: bool, artifact: Make
) -> None:
    decibels = TOLERANCES[precision].sqnr_db + nearer_db
    error = np.sqrt(np.mean(X.astype("f8") ** 2)) * 10 ** (-decibels / 20)
    given = Samples({"x": X}, expected={"y": X})

    checks = compare_outputs(artifact(precision), SPEC, {"y": X + error}, given, where="here")

    (sqnr,) = (one for one in checks if one.kind == "sqnr")
    assert sqnr.value == pytest.approx(decibels)
    assert (sqnr.verdict is Verdict.PASS) is passes


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int4"])
@pytest.mark.parametrize("passes", [True, False])
def test_integers_agree_in_as_many_places_as_the_precision_asks_for(
    precision: str, passes: bool, artifact: Make
) -> None:
    labels = np.tile(np.arange(10), 100).reshape(1000, 1)
    allowed = round(1000 * (1 - TOLERANCES[precision].agreement))
    answer = labels.copy()
    answer[: allowed + (not passes)] += 1
    given = Samples({"x": np.resize(X, (1000, 4))}, expected={"y": labels})

    (check,) = compare_outputs(artifact(precision), SPEC, {"y": answer}, given, where="here")

    assert len(labels) >= ENOUGH
    assert (check.kind, check.verdict is Verdict.PASS) == ("agreement", passes)

"""What a sweep says besides its figures."""

from __future__ import annotations

import msgspec
from tests.report.made_up.documents import swept

from edgekit.core.measurement import Trust
from edgekit.report.matrices.sweep import notes


def test_each_reason_against_trust_is_said_once_with_its_combinations() -> None:
    governor, median = "the governor is 'powersave'", "the median is only known to ±{} %"
    reasons = [(governor, median.format("1.2")), (governor,), (governor, median.format("3")), (), (governor,)]
    report = swept()
    combinations = tuple(
        msgspec.structs.replace(
            one, latency=msgspec.structs.replace(one.latency, trust=Trust("C", why, "--launches 12"))
        )
        if one.latency
        else one
        for one, why in zip(report.combinations, reasons, strict=True)
    )

    said = list(notes(msgspec.structs.replace(report, combinations=combinations)))

    assert f"trust of 4 of 4 combinations: {governor}" in said
    assert f"trust of 2 of 4 combinations, for example: {median.format('1.2')}" in said
    assert said.count("To raise trust: --launches 12") == 1


def test_a_sweep_that_is_trusted_says_nothing_of_trust() -> None:
    assert not [line for line in notes(swept()) if "trust" in line]

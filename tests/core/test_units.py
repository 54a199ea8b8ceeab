"""Promises of core/units.py."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core import units
from edgekit.core.errors import UserError
from edgekit.core.units import format_figure, format_value, parse_points, parse_quantity


@pytest.mark.parametrize(
    ("text", "table", "value"),
    [
        ("8 ms", units.TIME_S, 0.008),
        ("8ms", units.TIME_S, 0.008),
        (" 1.5e-3 s ", units.TIME_S, 0.0015),
        ("250 us", units.TIME_S, 250e-6),
        ("250 \u00b5s", units.TIME_S, 250e-6),
        ("250 \u03bcs", units.TIME_S, 250e-6),
        ("100 kB", units.SIZE_BYTES, 100_000),
        ("2 MiB", units.SIZE_BYTES, 2 * 1024 * 1024),
        ("98.5 %", units.RATIO, 0.985),
        ("1 pt", units.RATIO, 0.01),
        ("-1 pt", units.RATIO, -0.01),
        ("0.985", units.RATIO, 0.985),
        ("20 dB", units.DECIBEL, 20.0),
    ],
)
def test_text_becomes_si(text: str, table: dict[str, float], value: float) -> None:
    assert parse_quantity(text, table) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "table", "message"),
    [
        ("", units.TIME_S, "'' is not a number with a unit, e.g. '8 s'."),
        ("fast", units.TIME_S, "'fast' is not a number with a unit, e.g. '8 s'."),
        ("1,000 ms", units.TIME_S, "'1,000 ms' is not a number with a unit, e.g. '8 s'."),
        ("high", units.RATIO, "'high' is not a number with a unit, e.g. '8 %'."),
        ("1e999 ms", units.TIME_S, "'1e999 ms' is not a number with a unit, e.g. '8 s'."),
        ("nan ms", units.TIME_S, "'nan ms' is not a number with a unit, e.g. '8 s'."),
        ("100 KB", units.SIZE_BYTES, "Unknown unit 'KB'. Did you mean 'kB'?"),
        ("8 msec", units.TIME_S, "Unknown unit 'msec'. Did you mean 'ms'?"),
        ("8 kB", units.TIME_S, "Unknown unit 'kB'. Known: "),
    ],
)
def test_text_that_is_no_quantity_is_refused(text: str, table: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_quantity(text, table)

    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00331, "s", "3.31 ms"),
        (0.0009996, "s", "1.00 ms"),
        (0.9999, "s", "1.00 s"),
        (1e-4, "s", "100 µs"),
        (12.34e-6, "s", "12.3 µs"),
        (5e-9, "s", "5.00 ns"),
        (0.0, "s", "0 ns"),
        (812, "bytes", "812 B"),
        (58_049, "bytes", "58.0 kB"),
        (999_960, "bytes", "1.00 MB"),
        (5.5e9, "bytes", "5.50 GB"),
        (0.9917, "ratio", "99.17 %"),
        (-0.004, "points", "-0.40 pt"),
        (0.004, "points", "0.40 pt"),
        (-1e-6, "points", "0.00 pt"),
        (2.5e-3, "J", "2.50 mJ"),
        (41.24, "dB", "41.2 dB"),
        (0.00012345, "1", "0.0001234"),
        (None, "s", "–"),
        (float("nan"), "s", "–"),
        (float("inf"), "bytes", "–"),
    ],
)
def test_values_are_shown_with_unit_and_sensible_digits(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@given(st.floats(min_value=1e-9, max_value=999.0))
def test_a_duration_is_shown_to_three_digits_and_reads_back(seconds: float) -> None:
    text = format_value(seconds, "s")

    assert len(text.split()[0].replace(".", "").lstrip("0")) == 3
    assert parse_quantity(text, units.TIME_S) == pytest.approx(seconds, rel=0.005)


@given(st.integers(min_value=1, max_value=10**12))
def test_a_size_reads_back(size: int) -> None:
    assert parse_quantity(format_value(size, "bytes"), units.SIZE_BYTES) == pytest.approx(size, rel=0.005)


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (0.00331, 0.0031, 0.0035, "s", "3.31 ms [3.10, 3.50]"),
        (0.00331, 0.003305, 0.003315, "s", "3.310 ms [3.305, 3.315]"),
        (0.0028, -0.001, 0.006, "points", "0.28 pt [-0.10, 0.60]"),
        (58_120, 58_120, 58_120, "bytes", "58.1 kB"),
        (0.9, None, None, "ratio", "90.00 %"),
        (None, None, None, "s", "–"),
    ],
)
def test_a_figure_is_a_value_with_its_interval_in_one_scale(
    value: float | None, low: float | None, high: float | None, unit: str, text: str
) -> None:
    assert format_figure(value, low, high, unit) == text


@pytest.mark.parametrize("text", ["0.5", "0.5pt", " 0.5 pt ", "0.5%", "0.5 %"])
def test_points_are_hundredths_in_every_spelling(text: str) -> None:
    assert parse_points(text) == 0.005


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("11", "'11' has no unit and is more than 10 points: write '11 pt'."),
        ("100 pt", "expected at least 0 and less than 100 pt, got '100 pt'."),
        ("-1 pt", "expected at least 0 and less than 100 pt, got '-1 pt'."),
        ("0.5 ms", "Unknown unit 'ms'."),
        ("much", "'much' is not a number with a unit, e.g. '8 pt'."),
    ],
)
def test_what_no_artifact_can_miss_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        parse_points(text)


def test_many_points_are_taken_with_their_unit() -> None:
    assert parse_points("11 pt") == pytest.approx(0.11)

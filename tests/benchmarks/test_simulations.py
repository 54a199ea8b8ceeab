"""The tables of simulated measurements stand in the documentation as the scripts compute them."""

from __future__ import annotations

import pytest
from benchmarks.simulations.__main__ import TABLES, shown
from benchmarks.simulations.comparisons import NOISES, line, mean_table, plain, simulated, trimmed
from benchmarks.simulations.hard_kinds import KINDS
from benchmarks.simulations.hard_kinds import line as hard_line


def test_the_table_of_means_is_what_the_script_prints() -> None:
    assert shown("means") == mean_table()


def test_a_comparison_with_noise_and_a_hard_kind_are_what_the_script_prints() -> None:
    assert line(NOISES[1], trimmed) in shown("comparisons").splitlines()
    assert hard_line(KINDS[3]) in shown("hard").splitlines()


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_in_its_page(name: str) -> None:
    rows = shown(name).splitlines()

    assert len(rows) >= 4
    assert all(row.startswith("|") for row in rows)


def test_the_trimmed_mean_finds_more_where_pairs_are_disturbed_without_more_false_alarms() -> None:
    noise = NOISES[-1]

    (equal, _), (slower, _) = (simulated(noise, ratio, trimmed) for ratio in (1.0, 1.05))
    (_, _), (found, _) = (simulated(noise, ratio, plain) for ratio in (1.0, 1.05))

    assert equal["slower"] + equal["faster"] <= 0.05 * equal.total()
    assert slower["slower"] > 2 * found["slower"]

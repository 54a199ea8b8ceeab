"""Energy counters, read from a folder of the shape that Linux has."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.runtime.energy import Counter, energy_between, read_energy


def package(root: Path, name: str, used: str, most: str = "1000000") -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "energy_uj").write_text(used)
    (root / name / "max_energy_range_uj").write_text(most)


def test_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        package(tmp_path, name, "100\n")
    before = read_energy(tmp_path)
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        package(tmp_path, name, "500100\n")

    assert energy_between(before, read_energy(tmp_path)) == 1.0


def test_a_counter_that_began_anew_is_made_good() -> None:
    assert energy_between({"p": Counter(900_000, 1_000_000)}, {"p": Counter(100_000, 1_000_000)}) == 0.2


@pytest.mark.parametrize("used", ["", "nonsense"])
def test_what_cannot_be_read_is_none_and_never_zero(tmp_path: Path, used: str) -> None:
    package(tmp_path, "intel-rapl:0", used)

    assert energy_between(read_energy(tmp_path), read_energy(tmp_path)) is None
    assert energy_between(read_energy(tmp_path / "gone"), {}) is None

"""Energy used by processor packages, from the powercap counters of Linux (Intel and AMD RAPL)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

POWERCAP: Final = Path("/sys/class/powercap")
_PACKAGES: Final = "intel-rapl:?"


class Counter(NamedTuple):
    """What a package has used so far, and the value at which its counter wraps around, in microjoules."""

    used_uj: int
    range_uj: int


def read_energy(root: Path = POWERCAP) -> dict[str, Counter]:
    """The counters this user may read, by package: none on other systems or without permission, or in most VMs."""
    found = {}
    for folder in sorted(root.glob(_PACKAGES)):
        try:
            used, most = ((folder / name).read_text() for name in ("energy_uj", "max_energy_range_uj"))
            found[folder.name] = Counter(int(used), int(most))
        except (OSError, ValueError):
            continue
    return found


def energy_between(before: dict[str, Counter], after: dict[str, Counter]) -> float | None:
    """Joules that all packages used together, corrected for one wrap-around; None if no counter was read twice."""
    both = [(before[name], after[name]) for name in before if name in after]
    if not both:
        return None
    return sum((late.used_uj - early.used_uj) % max(late.range_uj, 1) for early, late in both) / 1e6

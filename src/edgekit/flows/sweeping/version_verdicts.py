"""What backend versions cost: paired comparisons of their launches, corrected for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.sweep import VersionVerdict
from edgekit.core.statistics.intervals import holm
from edgekit.flows.measuring.cells import measurement_of
from edgekit.flows.measuring.pairs import Paired, Protocol, compared
from edgekit.flows.sweeping.combinations import Version
from edgekit.flows.sweeping.kept_launches import SweepResults


class VersionPair(NamedTuple):
    """Two versions of one combination; A is the first in the file."""

    a: Version
    b: Version


def pairs_of(versions: Sequence[Version]) -> tuple[VersionPair, ...]:
    """Each version with the first one."""
    return tuple(VersionPair(versions[0], other) for other in versions[1:])


def judge_pairs(
    pairs: Sequence[VersionPair],
    results: SweepResults,
    protocol: Protocol,
    *,
    emulated: bool = False,
    before: int | None = None,
) -> tuple[VersionVerdict, ...]:
    """The verdict on each pair, from the rounds that both have.

    Each is that of `edgekit compare` with these launches; faster and slower hold for all pairs together (Holm).

    Args:
        before: Only rounds below it; all by default.
    """
    found = [_compared(pair, results, protocol, emulated, before) for pair in pairs]
    known = [place for place, one in enumerate(found) if one.p_value is not None]
    holds = holm([one.p_value for one in found if one.p_value is not None], protocol.alpha)
    for place, is_shown in zip(known, holds, strict=True):
        if not is_shown and found[place].says in ("faster", "slower"):
            found[place] = msgspec.structs.replace(found[place], says="inconclusive")
    return tuple(
        VersionVerdict(model=pair.a.of.model, artifact=pair.a.of.artifact.recipe, batch=pair.a.of.batch, compared=one)
        for pair, one in zip(pairs, found, strict=True)
    )


def _compared(
    pair: VersionPair, results: SweepResults, protocol: Protocol, emulated: bool, before: int | None
) -> Compared:
    a, b = (results.counted(one.key, before) for one in pair)
    common = sorted(a.keys() & b.keys())
    launches = [a[number].launch for number in common], [b[number].launch for number in common]
    medians = [median(one.values) for one in launches[0]], [median(one.values) for one in launches[1]]
    found = Paired(launches, medians)
    found.look(protocol)
    both = measurement_of(pair.a.cell, launches[0], emulated), measurement_of(pair.b.cell, launches[1], emulated)
    return msgspec.structs.replace(compared(found, both), a=str(pair.a.engine), b=str(pair.b.engine))

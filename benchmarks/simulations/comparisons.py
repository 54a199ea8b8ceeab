"""How `compare` decides about pairs of launches: of equal sides, and of one that is slower."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from edgekit.core.statistics.intervals import Direction, Interval, direction
from edgekit.core.statistics.paired import LOOKS
from edgekit.core.statistics.student import t_quantile
from edgekit.flows.measuring.pairs import Paired, Protocol

COMPARISONS: Final = 1_500
EFFECT: Final = 1.05
# What disturbs a pair makes one of its sides, either one, slower by 10 to 70 %.
DISTURBANCE: Final = (math.log(1.1), math.log(1.7))

Decide = Callable[[Sequence[float], Sequence[float]], Direction]


class PairNoise(NamedTuple):
    """Noise of the log ratio of a pair, and the share of pairs that something disturbs."""

    name: str
    sigma: float
    disturbed: float = 0.0


NOISES: Final = (
    PairNoise("1 %", 0.01),
    PairNoise("2 %", 0.02),
    PairNoise("4 %", 0.04),
    PairNoise("8 %", 0.08),
    PairNoise("1 %, and one pair in ten off by 10 to 70 %", 0.01, 0.1),
    PairNoise("2 %, and one pair in four off by 10 to 70 %", 0.02, 0.25),
)


_HEAD: Final = "| noise per pair | A is B: false, open | pairs | +5 %: found, open | pairs |\n|---|---|---|---|---|"


def comparison_table() -> str:
    """What the trimmed mean of `compare` decides, for each noise."""
    return "\n".join([_HEAD, *(line(noise, trimmed) for noise in NOISES)])


def mean_table() -> str:
    """The same with the plain mean, where pairs are disturbed."""
    return "\n".join([_HEAD, *(line(noise, plain) for noise in NOISES if noise.disturbed)])


def line(noise: PairNoise, decide: Decide) -> str:
    """One row of a table."""
    equal, pairs = simulated(noise, 1.0, decide)
    slower, more = simulated(noise, EFFECT, decide)
    false = equal["slower"] + equal["faster"]
    shares = f"{_share(false)}, {_share(equal['inconclusive'])} | {pairs:.0f}"
    return f"| {noise.name} | {shares} | {_share(slower['slower'])}, {_share(slower['inconclusive'])} | {more:.0f} |"


def simulated(noise: PairNoise, ratio: float, decide: Decide) -> tuple[Counter[Direction], float]:
    """What was decided about B of `ratio` times the latency of A, and the mean number of pairs that it took."""
    rng, outcomes, pairs = np.random.default_rng(1), Counter[Direction](), 0
    most = LOOKS * Protocol().pairs
    for _ in range(COMPARISONS):
        logs = math.log(ratio) + noise.sigma * rng.standard_normal(most)
        off = rng.uniform(*DISTURBANCE, most) * rng.choice((-1.0, 1.0), most)
        slower = np.exp(logs + off * (rng.random(most) < noise.disturbed)).tolist()
        says, used = _looked(slower, decide)
        outcomes[says] += 1
        pairs += used
    return outcomes, pairs / COMPARISONS


def _looked(b: Sequence[float], decide: Decide) -> tuple[Direction, int]:
    says: Direction = "inconclusive"
    used = 0
    for used in range(Protocol().pairs, len(b) + 1, Protocol().pairs):
        says = decide([1.0] * used, b[:used])
        if says != "inconclusive":
            break
    return says, used


def trimmed(a: Sequence[float], b: Sequence[float]) -> Direction:
    """One look of `compare` at these pairs."""
    found = Paired(medians=(list(a), list(b)))
    found.look(Protocol())
    return found.says


def plain(a: Sequence[float], b: Sequence[float]) -> Direction:
    """The plain mean of the log ratios, with the same share of the error rate for each look."""
    logs = np.log(np.asarray(b) / np.asarray(a))
    mean, error = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    half = t_quantile(1 - Protocol().alpha / LOOKS / 2, len(logs) - 1) * error
    return direction(Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(logs)))


def _share(count: int) -> str:
    return f"{100 * count / COMPARISONS:.1f} %"

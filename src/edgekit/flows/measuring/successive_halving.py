"""The search of `edgekit tune`: which candidates there are, and successive halving with interleaved launches."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import median
from typing import Final

from edgekit.core.facts import Facts
from edgekit.core.job import JobResult
from edgekit.core.statistics.intervals import MIN_LAUNCHES, is_slower
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.target import Target
from edgekit.flows.measuring.summary import to_launch
from edgekit.flows.opening.artifacts import Opened, opens
from edgekit.runtime.backend import default_backend

# What a candidate is fully measured by.
FULL: Final = 8
# Launches that each survivor has after the rounds before the last.
_ROUNDS: Final = (1, 2)
# Of all launches that measuring every candidate fully would take; the last round uses what is left of it.
_SHARE: Final = 0.3
_GRAPHS: Final = ("all", "basic")


@dataclass(eq=False)
class Trial:
    """One candidate while it is measured."""

    recipe: str
    target: Target
    results: list[JobResult] = field(default_factory=list)
    refused: str = ""
    _medians: list[float] = field(default_factory=list, repr=False)

    @property
    def options(self) -> str:
        """Its options in the form of a target."""
        return "".join(f"@{name}={value}" for name, value in self.target.options)

    @property
    def medians(self) -> list[float]:
        """The median of each launch after its warm-up, in the order of the rounds."""
        for result in self.results[len(self._medians) :]:
            self._medians.append(median(to_launch(len(self._medians), result).values))
        return list(self._medians)

    @property
    def level_s(self) -> float:
        """The median of the launch medians."""
        return median(self.medians)


def trials(found: Opened, target: Target, recipes: Sequence[str], facts: Facts) -> list[Trial]:
    """Every artifact with every choice of options that the target leaves open."""
    return [
        Trial(artifact.recipe, Target(target.device, backend, options))
        for artifact in found.chosen(recipes)
        if opens(target, artifact)
        for backend in [target.backend or default_backend(artifact.format)]
        for options in _options(target, backend, facts)
    ]


def _options(target: Target, backend: str, facts: Facts) -> Iterator[tuple[tuple[str, str], ...]]:
    given = dict(target.options)
    open_ = {name: values for name, values in _values(backend, facts).items() if name not in given}
    for values in product(*open_.values()):
        options = given | {name: value for name, value in zip(open_, values, strict=True) if value}
        # A single thread waits for nobody.
        if not ("spin" in options and "spin" not in given and options.get("threads", "1") == "1"):
            yield tuple(sorted(options.items()))


def _values(backend: str, facts: Facts) -> dict[str, tuple[str, ...]]:
    """What each option of a backend can be; an empty text leaves the engine's own choice."""
    threads = {"threads": tuple(str(count) for count in _thread_counts(facts.cores or 1))}
    if backend == "onnxruntime":
        return threads | {"spin": ("", "0"), "graph": _GRAPHS, "provider": _providers(facts)}
    return threads if backend in ("litert", "tflite-runtime") else {}


def _providers(facts: Facts) -> tuple[str, ...]:
    return ("", "openvino") if "onnxruntime-openvino" in facts.engines else ("",)


def _thread_counts(cores: int) -> list[int]:
    """1, 2, 4 and so on, and all cores."""
    return sorted({1, cores, *(count for count in (2, 4, 8) if count < cores)})


def halve(
    candidates: Sequence[Trial], measure: Callable[[Trial], None], seed: int, progress: Progress = Silent()
) -> list[Trial]:
    """Measure in rounds, each of which keeps the faster candidates; returns those of the last round.

    The candidates of a round are launched alternately, in a new random order each time, so that slow phases of the
    machine affect all of them. The leader's best alternative thread count always reaches the last round: with several
    threads, latency jumps between two levels, and one launch may be at the wrong one.
    """
    search = _Search(candidates, measure, random.Random(seed), progress)  # noqa: S311  an order, not a secret
    left = search.round(candidates, _ROUNDS[0])
    left = search.round(_fastest(left, max(2 + (len(left) > 7), math.ceil(len(left) / 4))), _ROUNDS[1])
    left = _fastest(left, max(2, math.ceil(len(left) / 2)))
    if left:
        left += search.round(_other_threads(left[0], [trial for trial in candidates if trial not in left]), _ROUNDS[1])
    return search.round(left, search.last_depth(len(left)))


@dataclass
class _Search:
    """The launches of one search."""

    candidates: Sequence[Trial]
    measure: Callable[[Trial], None]
    rng: random.Random
    progress: Progress
    done: int = 0

    @property
    def planned(self) -> int:
        """About how many launches there will be."""
        return int(_SHARE * exhaustive(self.candidates))

    def round(self, trials: Sequence[Trial], depth: int) -> list[Trial]:
        """Launch each until it has `depth` launches; gives those that were not refused."""
        left = list(trials)
        while any(len(trial.results) < depth for trial in left):
            for trial in self.rng.sample(left, len(left)):
                self.measure(trial)
                self.done += 1
                self.progress.step(self.done, max(self.done, self.planned), f"{trial.recipe}{trial.options}")
            left = [trial for trial in left if not trial.refused]
        return left

    def last_depth(self, finalists: int) -> int:
        """Launches of each finalist: what the planned number still allows, but enough for an interval."""
        more = (self.planned - self.done) // max(finalists, 1)
        return max(MIN_LAUNCHES, min(FULL, _ROUNDS[-1] + more))


def _fastest(trials: Sequence[Trial], count: int) -> list[Trial]:
    return sorted(trials, key=lambda trial: trial.level_s)[:count]


def _other_threads(leader: Trial, others: Sequence[Trial]) -> list[Trial]:
    """The fastest of the others that has the leader's artifact and engine, and another number of threads."""
    same = [
        other
        for other in others
        if (other.recipe, other.target.backend) == (leader.recipe, leader.target.backend)
        and other.target.threads != leader.target.threads
        and other.results
        and not other.refused
    ]
    return _fastest(same, 1)


def exhaustive(candidates: Sequence[Trial]) -> int:
    """Number of launches of a full measurement of every candidate."""
    return FULL * len(candidates)


def tied(finalists: Sequence[Trial], minimum_effect: float) -> list[Trial]:
    """Those not shown to be slower than the fastest by more than `minimum_effect`, including the fastest."""
    best = min(finalists, key=lambda trial: trial.level_s)
    return [trial for trial in finalists if trial is best or not is_slower(best.medians, trial.medians, minimum_effect)]


def within(trials: Sequence[Trial], minimum_effect: float) -> list[Trial]:
    """Those whose level is at most `minimum_effect` above that of the fastest.

    Narrower than `tied`: several threads jump between two levels, and such noise ties what is far slower.
    """
    level_s = min(trial.level_s for trial in trials)
    return [trial for trial in trials if trial.level_s <= (1.0 + minimum_effect) * level_s]

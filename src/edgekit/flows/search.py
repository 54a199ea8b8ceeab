"""The search of `edgekit tune`: which candidates there are, and successive halving with interleaved launches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import median
from typing import Final

from edgekit.core.facts import Facts
from edgekit.core.job import JobResult
from edgekit.core.progress import Progress, Silent
from edgekit.core.statistics import ratio_interval
from edgekit.core.target import Target
from edgekit.flows.bundles import Opened, opens
from edgekit.runtime.backend import DEFAULT_BACKENDS

# Launches that each survivor has after every round; the last number is what a candidate is fully measured by.
ROUNDS: Final = (1, 2, 8)
FULL: Final = ROUNDS[-1]
# One of four goes on: with 24 candidates of six artifacts the rounds take some 50 of the 192 launches of measuring all.
_KEEP: Final = 4
_FEWEST: Final = 3
_GRAPHS: Final = ("all", "basic")


@dataclass(eq=False)
class Trial:
    """One candidate while it is measured."""

    recipe: str
    target: Target
    results: list[JobResult] = field(default_factory=list)
    refused: str = ""

    @property
    def options(self) -> str:
        """Its options as a target has them."""
        return "".join(f"@{name}={value}" for name, value in self.target.options)

    @property
    def medians(self) -> list[float]:
        """The median of each launch, in the order of the rounds."""
        return [median(result.values) for result in self.results]

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
        for backend in [target.backend or DEFAULT_BACKENDS[artifact.format]]
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
    """Measure in rounds, of which each keeps the faster ones; gives those that were measured fully.

    Candidates of a round are launched in turn, in an order that is shuffled anew each time: slow phases of the machine
    fall on all of them. The fastest of every artifact stays for the second round.
    """
    rng = random.Random(seed)  # noqa: S311  an order, not a secret
    left = list(candidates)
    done = 0
    for number, launches in enumerate(ROUNDS):
        while any(len(trial.results) < launches for trial in left):
            for trial in rng.sample(left, len(left)):
                measure(trial)
                done += 1
                progress.step(done, max(done, planned(candidates)), f"{trial.recipe}{trial.options}")
            left = [trial for trial in left if not trial.refused]
        if number < len(ROUNDS) - 1:
            left = _survivors(left, keep_each=number == 0)
    return left


def _survivors(left: Sequence[Trial], *, keep_each: bool) -> list[Trial]:
    ordered = sorted(left, key=lambda trial: trial.level_s)
    kept = ordered[: max(_FEWEST, -(-len(left) // _KEEP))]
    if keep_each:
        kept += [
            trial
            for trial in ordered
            if trial not in kept and trial is next(one for one in ordered if one.recipe == trial.recipe)
        ]
    return kept


def planned(candidates: Sequence[Trial]) -> int:
    """About how many launches `halve` takes."""
    artifacts = len({trial.recipe for trial in candidates})
    second = min(len(candidates), max(_FEWEST, -(-len(candidates) // _KEEP)) + artifacts // 2)
    last = max(_FEWEST, -(-second // _KEEP))
    return len(candidates) + second * (ROUNDS[1] - ROUNDS[0]) + last * (ROUNDS[2] - ROUNDS[1])


def exhaustive(candidates: Sequence[Trial]) -> int:
    """Launches that measuring every candidate fully takes."""
    return FULL * len(candidates)


def tied(finalists: Sequence[Trial], minimum_effect: float) -> list[Trial]:
    """Those that are not shown to be slower than the fastest by more than `minimum_effect`, the fastest among them."""
    best = min(finalists, key=lambda trial: trial.level_s)
    return [trial for trial in finalists if trial is best or not _is_slower(best, trial, minimum_effect)]


def _is_slower(best: Trial, other: Trial, minimum_effect: float) -> bool:
    ratio = ratio_interval(best.medians, other.medians, paired=True)
    return ratio.low > 1.0 and ratio.value > 1.0 + minimum_effect

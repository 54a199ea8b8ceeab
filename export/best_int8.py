"""The int8 that keeps quality: the modes that an alias may mean, fastest first, until one passes its checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from edgekit.core.bundle import Artifact, artifact_id
from edgekit.core.errors import DiskFull, was_interrupted
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import ParityCheck
from edgekit.core.units import format_value
from edgekit.core.verdict import Verdict
from edgekit.export.checking import shares

# Enough for a few quantizations of a network of some million weights.
INT8_TIME_S: Final = 120.0


@dataclass(frozen=True)
class Attempt:
    """One mode that was tried: its artifact and the checks that it failed, or the error instead of an artifact.

    `form` is what distinguishes it from a mode of the same recipe.
    """

    recipe: Recipe
    artifact: Artifact | None = None
    failed: tuple[ParityCheck, ...] = ()
    error: Exception | None = None
    form: str = ""

    @classmethod
    def of(cls, recipe: Recipe, make: Callable[[], tuple[Artifact, Sequence[ParityCheck]]], form: str = "") -> Attempt:
        """The attempt of what `make` returns or raises."""
        try:
            artifact, checks = make()
        except Exception as err:
            if isinstance(err, DiskFull) or was_interrupted(err):
                raise
            return cls(recipe, error=err, form=form)
        return cls(recipe, artifact, tuple(check for check in checks if check.verdict is Verdict.FAIL), form=form)

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.recipe.name} {self.form}".strip()

    @property
    def holds(self) -> bool:
        """Whether there is an artifact that passed every check."""
        return self.artifact is not None and not self.failed

    @property
    def is_short_of_quality(self) -> bool:
        """Whether there is an artifact that fails, and not because too little of it is int8."""
        return self.artifact is not None and bool(self.failed) and all(one.kind != shares.KIND for one in self.failed)

    @property
    def reason(self) -> str:
        """Why it was left: the first failed check, or the error."""
        if self.error is not None:
            return getattr(self.error, "message", str(self.error))
        check = self.failed[0]
        value = check.reason if check.value is None else f"{check.kind} {format_value(check.value, check.unit)}"
        return f"'{check.output}' on '{check.case}': {value}, at least {format_value(check.limit, check.unit)}"


@dataclass(frozen=True)
class Mode:
    """One more mode: its name, and the attempt within a time in seconds; None if it does not apply after the others.

    One that `is_short` is a single file that reads no samples. It is tried even if a search before it took all of the
    time: on a slow machine the network would otherwise have no int8 file that passes.
    """

    name: str
    attempt: Callable[[float], Attempt | None]
    is_short: bool = False


@dataclass(frozen=True)
class ChosenMode:
    """What an alias means in the end, what was left on the way, and what the time was too short for."""

    chosen: Attempt
    left: tuple[Attempt, ...] = ()
    untried: tuple[str, ...] = ()

    def described(self) -> Iterator[str]:
        """What was tried and why it was left, a sentence each."""
        for one in self.left:
            # A mode with some operators in float32 says itself what it is better than.
            if one.recipe != self.chosen.recipe or not self.chosen.form:
                yield f"'{one.name}' was tried and left: {one.reason}"
        if self.untried:
            names = ", ".join(f"'{one}'" for one in self.untried)
            yield f"the time for int8 modes ended before {names}: allow more with --int8-time"
        elif self.left and not self.chosen.holds:
            yield "no int8 mode passed every check; this is the fastest one"

    def artifact(self) -> Artifact:
        """The chosen artifact, which says what was tried.

        Raises:
            Exception: No mode gave a file; the error of the first one.
        """
        made = self.chosen.artifact
        if made is None:
            assert self.chosen.error is not None
            raise self.chosen.error
        if not self.left and not self.untried:
            return made
        tried = [{"recipe": one.name, "reason": one.reason} for one in self.left]
        record: dict[str, Any] = {**made.record, "tried": tried}
        warnings = (*made.warnings, *self.described())
        return msgspec.structs.replace(made, record=record, id=artifact_id(record), warnings=warnings)


def choose(
    first: Attempt, others: Sequence[Mode], limit_s: float, clock: Callable[[], float] = time.monotonic
) -> ChosenMode:
    """The first attempt that passes every check; if none does, the first one that gave a file.

    Args:
        others: The modes to try after `first`, in this order.
        limit_s: Only short modes are tried after this time; none at all if it is 0.
    """
    tried, untried, start = [first], [], clock()
    for mode in others:
        if tried[-1].holds:
            break
        left = limit_s - (clock() - start)
        if left <= 0 and not (mode.is_short and limit_s > 0):
            untried.append(mode.name)
            continue
        attempt = mode.attempt(left)
        tried += [attempt] if attempt is not None else []
    return _chosen(tried, tuple(untried))


def _chosen(tried: Sequence[Attempt], untried: tuple[str, ...]) -> ChosenMode:
    best = next((one for one in tried if one.holds), None)
    best = best or next((one for one in tried if one.artifact is not None), tried[0])
    return ChosenMode(best, tuple(one for one in tried if one is not best), untried)

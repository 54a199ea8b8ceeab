"""The search for the int8 that keeps quality, in the lane of one format, while its worker is still there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.recipe import Recipe, is_weight_only
from edgekit.core.reports.report import ParityCheck
from edgekit.export.best_int8 import Attempt, ChosenMode, Mode, choose
from edgekit.export.mixing.mixed_int8 import mixed_int8
from edgekit.export.mixing.trials import MixedArtifact, QuantizedPair
from edgekit.export.request import ExportRequest
from edgekit.export.workers.reference import Reference
from edgekit.export.workers.toolchain import Lane, Made, NotMade

_FORM: Final = "with operators in float32"


@dataclass(frozen=True)
class Int8Search:
    """One search; `attempt` accepts a finished file into `out` and checks it."""

    lane: Lane
    out: Path
    request: ExportRequest
    reference: Reference
    attempt: Callable[[Made | NotMade], Attempt]

    def best(self, first: Attempt, others: Sequence[Recipe], replace: Callable[[MixedArtifact], None]) -> ChosenMode:
        """The first mode that passes its checks.

        Args:
            others: The modes to try after `first`; none of them if the cause of a failure is not int8.
            replace: Called with the artifact that takes the place of one before it, if some of it must stay float.
        """
        tried = [first]

        def next_mode(recipe: Recipe) -> Attempt:
            tried.append(self.attempt(self.lane.more(recipe)))
            return tried[-1]

        def mixed(limit_s: float) -> Attempt | None:
            base = _base(tried)
            return self._mixed(base, limit_s, replace) if base is not None else None

        return choose(first, tuple(_with_mixed(others, next_mode, mixed)), self.request.int8_time_s)

    def _mixed(self, base: Attempt, limit_s: float, replace: Callable[[MixedArtifact], None]) -> Attempt:
        """Static or dynamic int8 again, with operators in float."""
        assert base.artifact is not None
        pair = QuantizedPair(
            folder=self.out,
            spec=self.reference.spec,
            whole=self.lane.source,
            signatures=base.artifact.signatures,
            quantized=base.artifact,
            calibration=self.request.calibration,
            evaluation=self.reference.samples,
            cases=self.reference.cases,
            method=self.request.method,
            opset=self.request.opset,
        )
        made: list[MixedArtifact] = []

        def make() -> tuple[Artifact, Sequence[ParityCheck]]:
            folder = self.lane.folder / "mixed" / self.lane.row.name
            folder.mkdir(parents=True)
            mixed = mixed_int8(pair, self.lane.worker, folder, base.reason, limit_s)
            made.append(mixed)
            return mixed.artifact, mixed.parity

        attempt = Attempt.of(base.recipe, make, _FORM)
        for one in made:
            replace(one)
        return attempt


def _base(tried: Sequence[Attempt]) -> Attempt | None:
    """The file some operators of which may stay in float: static int8, or dynamic where there is none, as in attention.

    One of which too little is int8 already gains nothing.
    """
    short = {one.recipe.mode: one for one in tried if one.is_short_of_quality}
    return short.get("static") or short.get("dynamic")


def _with_mixed(
    recipes: Sequence[Recipe], attempt: Callable[[Recipe], Attempt], mixed: Callable[[float], Attempt | None]
) -> Iterator[Mode]:
    """The modes of `recipes`, and the mixed one before weights alone, which compute in float."""
    if not recipes:
        return
    place = next((place for place, one in enumerate(recipes) if is_weight_only(one.name)), len(recipes))
    modes = [_mode(one, attempt) for one in recipes]
    yield from modes[:place]
    yield Mode(f"{recipes[0].format}-int8 {_FORM}", mixed)
    yield from modes[place:]


def _mode(recipe: Recipe, attempt: Callable[[Recipe], Attempt]) -> Mode:
    return Mode(recipe.name, lambda _: attempt(recipe), is_short=is_weight_only(recipe.name))

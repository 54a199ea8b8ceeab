"""`edgekit validate MODEL`: the quality of trained weights on the test split, against what their card says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit.core.errors import EdgekitError, EnvironmentFault, ModelUnreadable
from edgekit.core.reports.report import Estimate
from edgekit.core.spec import ModelSpec, metric_unit
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.opening.source import RUN_FILE
from edgekit.train.registry import MODELS

if TYPE_CHECKING:
    from edgekit.train.model import ReferenceModel
    from edgekit.train.score import Score

# Other machines and other versions of PyTorch sum in another order, which tips samples that were nearly a tie.
TIPPED_SAMPLES: Final = 2
ROUNDING: Final = 1e-3


class QualityReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The headline metric of trained weights on the test split, with its 95 % interval, beside that of their card.

    `same_data` is true when the data set is the one of the card, byte by byte; then both agree when they are equal but
    for rounding, else when their intervals touch.
    """

    model: str
    source: str
    data: str
    same_data: bool
    metric: str
    quality: Estimate
    card: Estimate
    verdict: Verdict
    reason: str
    command: str = "validate"
    schema_version: int = 1


@dataclass(frozen=True)
class _Claim:
    """Weights, and what is said of them."""

    model: ReferenceModel
    spec: ModelSpec
    weights: Path
    score: Score
    data_digest: str


def is_trained(source: str) -> bool:
    """True for a reference model and for a run directory: what has weights and a card, and no artifacts."""
    return source in MODELS or (Path(source) / RUN_FILE).is_file()


def validate_quality(
    source: str,
    *,
    data: Path | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> QualityReport:
    """Compute the headline metric of `source` again.

    Args:
        source: A reference model with shipped weights, or the run directory of a training.
        data: Folder of data sets; `settings.data` when None.

    Raises:
        EnvironmentFault: No weights are shipped, or the data is not there; the hint is the command to type.
        ModelUnreadable: The weights are not those of the card.
    """
    with progress.stage("load PyTorch"):
        claim = _run(Path(source)) if source not in MODELS else _shipped(source)
        from edgekit.train.evaluate import evaluate
    with progress.stage("read data"):
        dataset = claim.model.data(data or (Path(settings.data) if settings.data else None))
    with progress.stage("test"):
        found = evaluate(claim.model, claim.weights, dataset.test, spec=claim.spec)
    same = dataset.digest == claim.data_digest
    agrees, reason = agreement(found.metric, found.estimate, claim.score.estimate, same_data=same)
    return QualityReport(
        model=claim.spec.name,
        source=source,
        data=dataset.source,
        same_data=same,
        metric=found.metric,
        quality=found.estimate,
        card=claim.score.estimate,
        verdict=Verdict.PASS if agrees else Verdict.FAIL,
        reason=reason,
    )


def agreement(metric: str, found: Estimate, card: Estimate, *, same_data: bool) -> tuple[bool, str]:
    """Whether a metric that was computed again is the one of the card, and why."""
    if found.value is None or card.value is None:
        return False, found.reason or card.reason
    off = abs(found.value - card.value)
    if same_data:
        tipped = min(TIPPED_SAMPLES, found.n // 100)
        share = tipped / found.n if tipped and metric_unit(metric) == "ratio" else 0.0
        allowed = max(share, ROUNDING * abs(card.value))
        return off <= allowed * (1 + 1e-9), f"the same data: off by {off:.2g}, at most {allowed:.2g} is rounding"
    if None in (found.low, found.high, card.low, card.high):
        return False, "other data than that of the card, and no interval to compare by"
    touch = found.low <= card.high and card.low <= found.high  # type: ignore[operator]  # none of them is None
    return touch, f"other data than that of the card: the intervals {'touch' if touch else 'lie apart'}"


def _shipped(name: str) -> _Claim:
    from edgekit.train.release_weights import read_card
    from edgekit.train.weights import require_weights, shipped_card

    model: ReferenceModel = MODELS.get(name)
    try:
        weights = require_weights(model)
    except EnvironmentFault as err:
        raise EnvironmentFault(err.message, hint=f"{err.hint}, then edgekit validate runs/{name}") from err
    path = shipped_card(name)
    if path is None:
        raise EdgekitError(f"The shipped weights of '{name}' have no card.")
    card = read_card(path)
    if sha256_file(weights) != card.weights_sha256:
        raise ModelUnreadable(
            f"'{weights}' is not the file that its card describes.", hint="pip install --force-reinstall edgekit"
        )
    return _Claim(model, model.spec, weights, card.score, card.data.digest)


def _run(folder: Path) -> _Claim:
    from edgekit.train.run import read_run

    run = read_run(folder)
    assert run.score is not None  # a finished run has one
    return _Claim(MODELS.get(run.model), run.spec, folder / run.weights, run.score, run.data.digest)

"""Budget: a limit as text, such as `onnx-int8@pi5: latency.p90 <= 8 ms`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from edgekit.core import units
from edgekit.core.errors import UserError, unknown
from edgekit.core.measurement import DECODE, PREFILL, WHOLE
from edgekit.core.recipe import Recipe, matches
from edgekit.core.spec.metric import MODEL_METRICS, metric_traits
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict

_BUDGET = re.compile(
    r"(?:(?P<scope>[^:]*):)?\s*(?P<metric>[A-Za-z_][\w.]*)\s*(?P<operator><=|>=|<|>|==|=)\s*(?P<quantity>[^<>=].*?)\s*"
)
# Follows the metric of a model: what is lost of it, compared with PyTorch.
DROP: Final = ".drop"
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True)
class MetricKind:
    """A metric that a budget can limit: its SI unit in reports, the units of its limits, and its direction.

    `phase` is that of a decoder, as in `Measurement`; empty: that which was timed first.
    """

    unit: str
    units: dict[str, float]
    lower_is_better: bool = True
    phase: str = ""


def _quality_kinds() -> Iterator[tuple[str, MetricKind]]:
    """Every metric of a model that samples give, and its drop; a drop of a share is in points."""
    for name, traits in MODEL_METRICS.items():
        if traits.by_sample or traits.over_all:
            of_shares = units.RATIO if traits.unit == "ratio" else units.NUMBER
            yield name, MetricKind(traits.unit, of_shares, lower_is_better=not traits.higher_is_better)
            yield f"{name}{DROP}", MetricKind(traits.unit, of_shares)


METRICS: Final = {
    "latency": MetricKind("s", units.TIME_S),
    # Time of a call from a file to a prediction.
    WHOLE: MetricKind("s", units.TIME_S),
    # Time of a call / time of the sound in it.
    "realtime": MetricKind("1", units.NUMBER),
    # Of decoders: the time that a prompt takes, and tokens per second while it is read and after it.
    "first_token": MetricKind("s", units.TIME_S, phase=PREFILL),
    "prefill_rate": MetricKind("1/s", units.PER_SECOND, lower_is_better=False, phase=PREFILL),
    "decode_rate": MetricKind("1/s", units.PER_SECOND, lower_is_better=False, phase=DECODE),
    "load": MetricKind("s", units.TIME_S),
    "first_run": MetricKind("s", units.TIME_S),
    "memory": MetricKind("bytes", units.SIZE_BYTES),
    "size": MetricKind("bytes", units.SIZE_BYTES),
    "sqnr": MetricKind("dB", units.DECIBEL, lower_is_better=False),
    **dict(_quality_kinds()),
}
CALLS: Final = ("latency", WHOLE, "realtime", "first_token", "prefill_rate", "decode_rate")
"""Metrics that follow from the times of calls."""
# Largest limit of a metric that is a share, and of its drop, the same in words, and the unit to write it in.
_SHARE: Final = (1.0, "at most 1 (100 %)", "%")
_LOST_SHARE: Final = (math.nextafter(1.0, 0.0), "less than 1 (100 pt)", "pt")
_WITH_QUANTILES: Final = ("latency", WHOLE, "realtime", "first_token")
_KNOWN: Final = (
    *(f"{name}.{quantile}" for name in _WITH_QUANTILES for quantile in ("p50", "p90", "p95", "p99")),
    *(name for name in METRICS if name not in _WITH_QUANTILES),
)


class Budget(msgspec.Struct, frozen=True):
    """A limit in SI units on one metric, for one artifact and target or (empty scope) for any.

    `quantile` is set for latency, calls from end to end, the real-time factor and the first token: `latency.p90` has
    0.9.
    """

    text: str
    metric: str
    limit: float
    quantile: float | None
    artifact: str
    target: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """A budget from its text.

        Raises:
            UserError: The text is not a budget, a metric, unit or recipe is unknown (with the nearest name), the
                limit has the wrong direction, such as `size >= 1 kB`, or a share is above 100 %.
        """
        match = _BUDGET.fullmatch(text.strip())
        if match is None:
            raise UserError(f"'{text}' is not a budget.", hint='--budget "latency.p90 <= 8 ms"')
        metric, quantile = _metric(match["metric"])
        kind = METRICS[metric]
        if match["operator"] != ("<=" if kind.lower_is_better else ">="):
            wanted = "<=" if kind.lower_is_better else ">="
            raise UserError(f"Budget '{text}': '{metric}' requires '{wanted}', got '{match['operator']}'.")
        limit = units.parse_quantity(match["quantity"], kind.units)
        _check_share(text.strip(), metric, limit)
        artifact, target = _scope(match["scope"])
        return cls(text.strip(), metric, limit, quantile, artifact, target)

    def applies_to(self, artifact: str, target: str) -> bool:
        """True when this budget limits `artifact` on `target`; a device name covers all its targets."""
        in_target = self.target in ("", target) or target.startswith((f"{self.target}/", f"{self.target}@"))
        return in_target and (not self.artifact or matches(self.artifact, artifact))

    @property
    def unit(self) -> str:
        """The SI unit of `limit`, as reports name it."""
        return METRICS[self.metric].unit

    @property
    def quality(self) -> str:
        """The metric of a model that this limits, itself or its drop: `map50` of `map50.drop`; empty for others.

        `accuracy` is any metric that is a share of what is right.
        """
        name = self.metric.removesuffix(DROP)
        return name if name in MODEL_METRICS else ""

    @property
    def is_on_drop(self) -> bool:
        """Whether this limits what is lost, compared with PyTorch."""
        return self.metric.endswith(DROP)

    def limits_quality(self, metric: str) -> bool:
        """Whether this limits `metric`, that of a model."""
        traits = metric_traits(metric)
        is_any = self.quality == "accuracy" and traits.unit == "ratio" and traits.higher_is_better
        return bool(self.quality) and (is_any or self.quality == metric)

    def judge(self, low: float, high: float) -> Verdict:
        """Pass if the whole interval is within the limit, fail if none of it is, else inconclusive."""
        if not METRICS[self.metric].lower_is_better:
            low, high, limit = -high, -low, -self.limit
        else:
            limit = self.limit
        if high <= limit:
            return Verdict.PASS
        return Verdict.FAIL if low > limit else Verdict.INCONCLUSIVE


def _metric(name: str) -> tuple[str, float | None]:
    family, _, statistic = name.partition(".")
    percentile = _PERCENTILE.fullmatch(statistic)
    if family in _WITH_QUANTILES and percentile and float(percentile[1]) > 0:
        return family, float(f"{percentile[1]}e-2")
    if name in METRICS and name not in _WITH_QUANTILES:
        return name, None
    raise unknown("budget metric", name, _KNOWN, hint='--budget "latency.p90 <= 8 ms"')


def _scope(text: str | None) -> tuple[str, str]:
    """Artifact and target of `onnx-int8@pi5`, each empty when absent; the target in the form that reports use."""
    if text is None:
        return "", ""
    artifact, at, target = text.strip().partition("@")
    if artifact:
        Recipe.parse(artifact)
    if not artifact and not at:
        raise UserError("The scope before ':' is empty.", hint='--budget "onnx-int8@pi5: latency.p90 <= 8 ms"')
    return artifact, str(Target.parse(target)) if at else ""


def _check_share(text: str, metric: str, limit: float) -> None:
    # `accuracy.drop <= 1` means 100 points and never fails, `accuracy >= 98` never passes: both lack their unit.
    if METRICS[metric].unit != "ratio":
        return
    highest, allowed, unit = _LOST_SHARE if metric.endswith(DROP) else _SHARE
    if limit > highest:
        hint = f'--budget "{text} {unit}"' if text[-1].isdigit() else ""
        raise UserError(f"Budget '{text}': the limit of '{metric}' must be {allowed}.", hint=hint)

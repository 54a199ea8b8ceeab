"""Whether the recomputed metric of trained weights agrees with their model card."""

from __future__ import annotations

from typing import Final

from edgekit.core.reports.report import Estimate
from edgekit.core.spec.metric import metric_unit

# Other machines and other versions of PyTorch sum in another order, which tips samples that were nearly a tie.
TIPPED_SAMPLES: Final = 2
ROUNDING: Final = 1e-3


def agreement(metric: str, found: Estimate, card: Estimate, *, same_data: bool) -> tuple[bool, str]:
    """Whether a recomputed metric agrees with the model card, and why."""
    if found.value is None or card.value is None:
        return False, found.reason or card.reason
    off = abs(found.value - card.value)
    if same_data:
        tipped = min(TIPPED_SAMPLES, found.n // 100)
        share = tipped / found.n if tipped and metric_unit(metric) == "ratio" else 0.0
        allowed = max(share, ROUNDING * abs(card.value))
        return off <= allowed * (
            1 + 1e-9
        ), f"same data: the difference is {off:.2g}, rounding explains at most {allowed:.2g}"
    if None in (found.low, found.high, card.low, card.high):
        return False, "the data differs from that of the model card, and there is no interval to compare"
    touch = found.low <= card.high and card.low <= found.high  # type: ignore[operator]  # none of them is None
    return (
        touch,
        f"the data differs from that of the model card: the intervals {'overlap' if touch else 'do not overlap'}",
    )

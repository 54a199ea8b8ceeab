"""Whether the quality of trained weights, computed again, is what their card says."""

from __future__ import annotations

from typing import Final

from edgekit.core.reports.report import Estimate
from edgekit.core.spec import metric_unit

# Other machines and other versions of PyTorch sum in another order, which tips samples that were nearly a tie.
TIPPED_SAMPLES: Final = 2
ROUNDING: Final = 1e-3


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

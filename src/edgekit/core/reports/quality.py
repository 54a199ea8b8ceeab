"""The document of `edgekit validate MODEL`: how good trained weights are, beside what is said of them."""

from __future__ import annotations

import msgspec

from edgekit.core.reports.report import Estimate
from edgekit.core.verdict import Verdict


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

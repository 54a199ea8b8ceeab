"""The document of `edgekit validate MODEL`: the quality of trained weights, compared with the model card."""

from __future__ import annotations

import msgspec

from edgekit.core.reports.report import Estimate
from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict


class QualityReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The headline metric of trained weights on the test split, with its 95 % interval, and that of the model card.

    `same_data` is true if the data set is identical to that of the card; then both must be equal except for rounding,
    else their intervals must overlap.
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

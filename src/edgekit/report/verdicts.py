"""What a report says of its verdict: without a budget and a reference it has measured, and judged nothing."""

from __future__ import annotations

from edgekit.core.reports.report import Accuracy, Report
from edgekit.core.verdict import Verdict
from edgekit.report import formatting

_REASON = "there is no budget and no reference to judge by"


def is_measured(report: Report) -> bool:
    """True if nothing could have failed, so that a pass would say nothing."""
    judged = report.parity or report.budgets or report.failures or any(map(_is_compared, report.accuracy))
    return bool(report.latency or report.accuracy) and not judged and report.verdict is Verdict.PASS


def _is_compared(accuracy: Accuracy) -> bool:
    """True unless the metric was measured on a file without a reference."""
    return accuracy.quality.value is None or accuracy.drop.value is not None


def word(report: Report) -> str:
    """The verdict, or `measured`."""
    return "measured" if is_measured(report) else formatting.VERDICTS[report.verdict]


def measured(report: Report) -> str:
    """How a report was measured that judges nothing: `with trust B to C: there is no budget ...`, or on which number of
    samples."""
    if not report.latency:
        return f"on {formatting.plural(report.accuracy[0].quality.n, 'sample')}: {_REASON}"
    grades = sorted({entry.trust.grade for entry in report.latency})
    shown = dict.fromkeys((grades[0], grades[-1]))
    return f"with trust {' to '.join(map(formatting.clean, shown))}: {_REASON}"

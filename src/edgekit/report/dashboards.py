"""Latencies in the formats of two dashboards: github-action-benchmark and Bencher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from edgekit.core.reports.report import Estimate, Latency, Report
from edgekit.report import formatting, rows


def render_benchmark_action(*reports: Report) -> str:
    """`customSmallerIsBetter` of github-action-benchmark: a list of name, unit, value, range and extra.

    Latencies are in milliseconds; `range` is half of the 95 % interval.
    """
    entries = [
        {
            "name": f"{name} {quantile}",
            "unit": "ms",
            "value": 1e3 * (found.value or 0.0),
            "range": _half(found),
            "extra": f"{formatting.plural(found.n, 'launch')}, trust {latency.trust.grade}",
        }
        for name, latency, quantile, found in _figures(reports)
    ]
    return json.dumps(entries, indent=2) + "\n"


def render_bencher(*reports: Report) -> str:
    """Bencher Metric Format: by name and measure, a value with its interval; latencies in nanoseconds."""
    found: dict[str, dict[str, Any]] = {}
    for name, _, quantile, estimate in _figures(reports):
        measure = "latency" if quantile == "p50" else f"latency-{quantile}"
        found.setdefault(name, {})[measure] = _metric(estimate)
    return json.dumps(found, indent=2) + "\n"


def _figures(reports: tuple[Report, ...]) -> Iterator[tuple[str, Latency, str, Estimate]]:
    """(name, latency, quantile, estimate) of every figure that may be shown."""
    for report in reports:
        model = report.spec.name if report.spec else report.bundle
        for latency in report.latency:
            if rows.withheld(report, latency.artifact, latency.target):
                continue
            sizes = f" {formatting.sizes(latency.sizes)}" if latency.sizes else ""
            for quantile, estimate in latency.quantiles.items():
                if estimate.value is not None:
                    yield f"{model}/{latency.artifact}@{latency.target}{sizes}", latency, quantile, estimate


def _half(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return ""
    return f"± {1e3 * (found.high - found.low) / 2:.3g}"


def _metric(found: Estimate) -> dict[str, float]:
    metric = {"value": found.value, "lower_value": found.low, "upper_value": found.high}
    return {name: 1e9 * value for name, value in metric.items() if value is not None}

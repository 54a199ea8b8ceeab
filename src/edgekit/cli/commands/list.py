"""`edgekit list`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import click

from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import names
from edgekit.cli.output import columns
from edgekit.core.spec.metric import Metric, metric_unit
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.setup.list import ListReport, ModelItem, ModelListReport

SHIPPED: Final = "shipped"
_HEAD: Final = ("model", "task", "params", "MACs", "quality")


@click.command(
    "list",
    cls=Command,
    examples=["edgekit list models", "edgekit list recipes", "edgekit list backends --json"],
)
@click.argument("kind", shell_complete=names("kinds"), help="models, recipes, backends, datasets or devices.")
@common()
def command(call: Call, kind: str) -> None:
    """List models, recipes, backends, datasets or devices.

    Models are listed with their parameters, the MACs of one sample and the metric of the shipped weights on the test
    split; --json adds the intervals.

    Plug-ins of other packages are included; a broken one shows its error.
    """
    from edgekit.core.reports.setup.list import ModelListReport
    from edgekit.flows.list import listing

    found = listing(kind)
    call.answer(found, lambda shown: _models_text(shown) if isinstance(shown, ModelListReport) else _text(shown))


def _text(found: ListReport) -> str:
    return columns((item.name, _about(item.summary, item.problem)) for item in found.items)


def _about(summary: str, problem: str) -> str:
    return f"{summary} ({problem})" if problem else summary


def _models_text(found: ModelListReport) -> str:
    """A row per model; below those whose weights do not come with edgekit, how to get them."""
    rows = [_HEAD, *(_row(item) for item in found.items)]
    head, *lines = columns(rows).splitlines()
    text = [head]
    for item, line in zip(found.items, lines, strict=True):
        text.append(line)
        if item.parameters is None:
            text.append(f"  {_about(item.summary, item.problem)}")
        elif item.weights != SHIPPED:
            text += textwrap.wrap(f"weights: {item.weights}", 76, initial_indent="  ", subsequent_indent="    ")
    return "\n".join([*text, "", "All other weights are shipped. >= and <= mark what training reaches at least."])


def _row(item: ModelItem) -> tuple[str, ...]:
    return (item.name, item.task, _short(item.parameters), _short(item.macs), _quality(item))


def _quality(item: ModelItem) -> str:
    unit = metric_unit(item.metric)
    if item.quality is not None:
        return f"{item.metric} {format_value(item.quality.value, unit)}"
    sign = ">=" if Metric(item.metric).higher_is_better else "<="
    return f"{item.metric} {sign} {format_value(item.floor, unit)}" if item.metric else ""


def _short(count: int | None) -> str:
    """`93.3 k`, `2.79 M`."""
    if count is None:
        return ""
    for suffix, size in (("M", 1_000_000), ("k", 1000)):
        if count >= size:
            return f"{count / size:.3g} {suffix}"
    return str(count)

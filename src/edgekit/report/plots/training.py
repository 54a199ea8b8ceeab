"""The pictures of a training: loss and validation metric over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgekit.core.reports.report import Epoch, Training
from edgekit.core.spec.metric import metric_unit
from edgekit.core.units import format_tick, format_value
from edgekit.report import formatting
from edgekit.report.plots import svg
from edgekit.report.plots.latency import COLOURS, Picture

_HEIGHT: Final = 200
_TOP: Final = 8
_BOTTOM: Final = _HEIGHT - 26
_MOST_TICKS: Final = 6
# Losses that fall by more are seen on a logarithmic axis only.
_WIDE: Final = 20.0

Series = Sequence[tuple[Epoch, float]]


def pictures(training: Training, key: str) -> list[Picture]:
    """Loss, metric and learning rate over epochs, if there are values; one line per attempt."""
    epochs = training.epochs
    loss = [(one, one.loss) for one in epochs]
    metric = [(one, one.metric) for one in epochs if one.metric is not None]
    rate = [(one, one.learning_rate) for one in epochs]
    unit = metric_unit(training.metric)
    drawn = [
        _picture("Loss", "Mean over the batches of an epoch.", loss, "1", f"{key}-loss"),
        _picture(
            f"Validation {training.metric}", "After each epoch, on the validation split.", metric, unit, f"{key}-metric"
        ),
        _picture("Learning rate", "At the end of each epoch.", rate, "1", f"{key}-rate"),
    ]
    return [picture for picture in drawn if picture]


def sentence(training: Training) -> str:
    """The result in one sentence: quality with its interval, floor, epochs and time."""
    unit = metric_unit(training.metric)
    quality = formatting.quantity(training.quality, unit)
    interval = formatting.interval(training.quality, unit)
    floor = "" if training.floor is None else f", floor {format_value(training.floor, unit)}"
    epochs = _epochs(len(training.epochs))
    return (
        f"{training.metric} {quality}{f' {interval}' if interval else ''} on the test split of {training.data}{floor}; "
        f"{epochs} in {format_value(training.wall_s, 's')}."
    )


def _picture(title: str, caption: str, series: Series, unit: str, key: str) -> Picture | None:
    if not series:
        return None
    values = [value for _, value in series]
    is_log = min(values) > 0 and max(values) / min(values) > _WIDE
    scale = svg.Scale.around(values, is_log=is_log)
    last = max(one.epoch for one, _ in series)
    height = _BOTTOM - _TOP
    levels = [(_BOTTOM - height * scale.place(value), format_tick(value, unit)) for value in scale.ticks()]
    body = (
        svg.y_axis(levels),
        _epochs_axis(last),
        svg.stretched(*_lines(series, scale, last), y=_TOP, height=height),
    )
    ends = f"From {format_value(values[0], unit)} to {format_value(values[-1], unit)} in {_epochs(last)}."
    markup = svg.picture(body, height=_HEIGHT, title=title, description=ends, key=key)
    return Picture(title, f"{caption} {ends}", markup)


def _lines(series: Series, scale: svg.Scale, last: int) -> list[str]:
    drawn = []
    for attempt in dict.fromkeys(one.attempt for one, _ in series):
        points = [
            (svg.SIDE * _across(one.epoch, last), svg.SIDE * (1 - scale.place(value)))
            for one, value in series
            if one.attempt == attempt
        ]
        css = f"c{attempt % COLOURS}"
        drawn.append(svg.line(points, f"curve {css}") if len(points) > 1 else svg.dots(points, f"dots {css}"))
    return drawn


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _across(epoch: int, last: int) -> float:
    return (epoch - 1) / (last - 1) if last > 1 else 0.5


def _epochs_axis(last: int) -> str:
    step = -(-last // _MOST_TICKS)
    drawn = []
    for epoch in sorted({1, *range(step, last + 1, step)}):
        x = f"{100 * _across(epoch, last):.2f}%"
        drawn.append(svg.element("line", x1=x, x2=x, y1=str(_TOP), y2=str(_BOTTOM), class_="grid"))
        anchor = "start" if epoch == 1 < last else "end" if epoch == last > 1 else "middle"
        drawn.append(svg.text(str(epoch), x, _BOTTOM + 16, class_="tick", text_anchor=anchor))
    return "".join(drawn)

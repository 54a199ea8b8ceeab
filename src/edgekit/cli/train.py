"""`edgekit train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.arguments import data_option, path_type
from edgekit.cli.completion import names
from edgekit.cli.options import Call, Command, common
from edgekit.core.errors import UserError
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.flows.train import TrainReport


@click.command(
    "train",
    cls=Command,
    examples=[
        "edgekit train digits",
        "edgekit train mnist --data data --set epochs=5 --set optimizer=adam",
        "edgekit train mnist --data data --out runs/mnist --resume",
    ],
)
@click.argument("model", shell_complete=names("models"), help="A reference model; 'edgekit list models' names them.")
@click.option("--out", type=path_type, metavar="RUN", help="Run directory.  [default: runs/MODEL]")
@data_option
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a training option. Repeatable.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished training in RUN.")
@common(acts=True, chance=True)
def command(
    call: Call, model: str, out: Path | None, data: Path | None, changes: tuple[str, ...], resume: bool
) -> None:
    """Train a reference model.

    Writes the best and the last checkpoint, the history and the quality on the test split into the run directory,
    which is a SOURCE of 'build' and 'export'.
    """
    from edgekit.flows.train import plan_train, train

    order: dict[str, Any] = {
        "out": out or Path("runs", model),
        "data": data,
        "overrides": overrides(changes),
        "resume": resume,
        "settings": call.settings(),
    }
    if call.dry_run:
        call.show_plan(plan_train(model, **order))
        return
    with call.progress() as progress:
        found = train(model, **order, progress=progress)
    call.answer(found, lambda: _text(found))


def overrides(texts: tuple[str, ...]) -> dict[str, str]:
    """Training options by name, from texts such as `optimizer=adam`.

    Raises:
        UserError: Another form, or a name given twice.
    """
    changes: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise UserError(f"'{text}' is not NAME=VALUE.", hint="--set learning_rate=0.01")
        if name in changes:
            raise UserError(f"Training option '{name}' is given twice.")
        changes[name] = value
    return changes


def _text(found: TrainReport) -> str:
    unit = "ratio" if found.metric == "accuracy" else "1"
    quality, low, high = (
        format_value(value, unit) for value in (found.quality.value, found.quality.low, found.quality.high)
    )
    floor = "" if found.floor is None else f", floor {format_value(found.floor, unit)}"
    epochs = "epoch" if found.epochs == 1 else "epochs"
    return (
        f"{found.model}: {found.metric} {quality} ({low} to {high}, n = {found.quality.n}{floor})\n"
        f"{found.epochs} {epochs} in {format_value(found.wall_s, 's')}\n"
        f"Run: {found.run}"
    )

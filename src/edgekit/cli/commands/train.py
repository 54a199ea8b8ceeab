"""`edgekit train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.arguments import data_option, path_type, report_option
from edgekit.cli.commands.completion import names
from edgekit.cli.common import Call, Command, common
from edgekit.core.errors import UserError
from edgekit.core.spec import metric_unit
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.flows.train import SearchReport, TrainReport


@click.command(
    "train",
    cls=Command,
    examples=[
        "edgekit train digits",
        "edgekit train mnist --data data --set epochs=5 --set optimizer=adam",
        "edgekit train mnist --data data --out runs/mnist --resume",
        "edgekit train mnist --data data --init-from fashion --freeze conv1",
        "edgekit train digits --search 20 --processes 2",
        "edgekit train digits --report digits.html --tensorboard board",
    ],
)
@click.argument("model", shell_complete=names("models"), help="A reference model; 'edgekit list models' names them.")
@click.option("--out", type=path_type, metavar="RUN", help="Run directory.  [default: runs/MODEL]")
@data_option
@click.option("--download", is_flag=True, help="Fetch the data set from its official address, once.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a training option. Repeatable.")
@report_option
@click.option("--tensorboard", type=path_type, metavar="DIR", help="Write the history for TensorBoard, too.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished training in RUN.")
@click.option(
    "--init-from",
    default="",
    metavar="BUNDLE",
    help="Start from weights: a bundle, a run directory, a .safetensors file or a reference model.",
)
@click.option("--freeze", multiple=True, metavar="PREFIX", help="Train no parameter of this name. Repeatable.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="NUMBER",
    help="Processes that share every batch; with --search, trainings at once.",
)
@click.option(
    "--search",
    "trials",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Train so often with other options and print the best as a command. Goes on where it ended.",
)
@click.option(
    "--sampler",
    type=click.Choice(["tpe", "grid"]),
    default="tpe",
    show_default=True,
    help="How --search chooses options.",
)
@common(acts=True, chance=True)
def command(
    call: Call,
    model: str,
    out: Path | None,
    data: Path | None,
    download: bool,
    changes: tuple[str, ...],
    report: tuple[Path, ...],
    tensorboard: Path | None,
    resume: bool,
    init_from: str,
    freeze: tuple[str, ...],
    processes: int,
    trials: int | None,
    sampler: str,
) -> None:
    """Train a reference model.

    Writes the best and the last checkpoint, the history and the quality on the test split into the run directory,
    which is a SOURCE of 'build' and 'export'.
    """
    order: dict[str, Any] = {
        "data": data,
        "download": download,
        "overrides": overrides(changes),
        "processes": processes,
        "settings": call.settings(),
    }
    if trials is not None:
        _refuse_with_search(resume=resume, init_from=init_from, freeze=freeze, report=report, tensorboard=tensorboard)
        _search(call, model, trials, {**order, "out": out or Path("runs", f"{model}-search"), "sampler": sampler})
        return
    start = {"resume": resume, "init_from": init_from, "freeze": freeze, "tensorboard": tensorboard}
    _train(call, model, {**order, **start, "out": out or Path("runs", model)}, report)


def _train(call: Call, model: str, order: dict[str, Any], report: tuple[Path, ...]) -> None:
    from edgekit.cli.reports import write_files
    from edgekit.flows.train import is_told, plan_train, report_of, train

    if call.dry_run:
        call.show_plan(plan_train(model, **order))
        return
    with call.progress() as progress:
        found = train(model, **order, progress=progress)
    if is_told():
        for warning in found.warnings:
            call.note(f"Warning: {warning}")
        if report:
            write_files(report_of(order["out"]), report)
        call.answer(found, lambda: "\n".join([_text(found), *(f"Report: {path}" for path in report)]))


def _search(call: Call, model: str, trials: int, order: dict[str, Any]) -> None:
    from edgekit.flows.train import plan_search, search

    if call.dry_run:
        call.show_plan(plan_search(model, trials, **order))
        return
    with call.progress() as progress:
        found = search(model, trials, **order, progress=progress)
    call.answer(found, lambda: _search_text(found))


def _refuse_with_search(**given: object) -> None:
    for name, value in given.items():
        if value:
            raise UserError(
                f"--search and --{name.replace('_', '-')} do not go together.",
                hint="A search goes on by itself when it is called again.",
            )


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
    unit = metric_unit(found.metric)
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


def _search_text(found: SearchReport) -> str:
    unit = metric_unit(found.metric)
    trials = "training" if found.trials == 1 else "trainings"
    return (
        f"{found.model}: best validation {found.metric} {format_value(found.value, unit)} of {found.trials} {trials}\n"
        f"Search: {found.folder}\n\n"
        f"{found.train_command}"
    )

"""`edgekit train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import data_option, path_type, report_option
from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import names
from edgekit.core.errors import UserError
from edgekit.core.spec.metric import metric_unit
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.train import SearchReport, TrainReport
    from edgekit.flows.train import Sampler


@click.command(
    "train",
    cls=Command,
    examples=[
        "edgekit train digits",
        "edgekit train mnist --data data --set epochs=5 --set optimizer=adam",
        "edgekit train mnist --data data --out runs/mnist --resume",
        "edgekit train mnist --data data --init-from fashion --freeze conv1",
        "edgekit train digits --qat --init-from digits --out runs/digits-qat",
        "edgekit train digits --search 20 --processes 2",
        "edgekit train digits --report digits.html --tensorboard board",
    ],
)
@click.argument("model", shell_complete=names("models"), help="A reference model; 'edgekit list models' lists them.")
@click.option("--out", type=path_type, metavar="RUN", help="Run directory.  [default: runs/MODEL]")
@data_option
@click.option("--download", is_flag=True, help="Download the data set from its official address if it is missing.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a training option. Repeatable.")
@report_option
@click.option("--tensorboard", type=path_type, metavar="DIR", help="Also write the training history for TensorBoard.")
@click.option("--resume", is_flag=True, help="Continue the unfinished training in RUN.")
@click.option(
    "--init-from",
    default="",
    metavar="BUNDLE",
    help="Initial weights: a bundle, a run directory, a .safetensors file or a reference model.",
)
@click.option(
    "--qat", is_flag=True, help="Train with the rounding of int8, from the weights of --init-from, for int8 files."
)
@click.option("--freeze", multiple=True, metavar="PREFIX", help="Do not train parameters with this prefix. Repeatable.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="NUMBER",
    help="Processes that share every batch; with --search, trainings in parallel.",
)
@click.option(
    "--search",
    "trials",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Train NUMBER times with different options and print the best as a command. Resumes an earlier search.",
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
    qat: bool,
    freeze: tuple[str, ...],
    processes: int,
    trials: int | None,
    sampler: Sampler,
) -> int:
    """Train a reference model.

    Writes the best and last checkpoints, the training history and the metric on the test split to the run directory,
    which 'build' and 'export' accept as SOURCE.
    """
    from edgekit.flows.train import search_order, train_order

    settings, changed = call.settings(), overrides(changes) | ({"qat": "true"} if qat else {})
    if trials is not None:
        _refuse_with_search(
            resume=resume,
            init_from=init_from,
            qat="qat" in changed,
            freeze=freeze,
            report=report,
            tensorboard=tensorboard,
        )
        return call.perform(
            lambda _: search_order(
                model,
                trials,
                out=out or Path("runs", f"{model}-search"),
                sampler=sampler,
                data=data,
                download=download,
                overrides=changed,
                processes=processes,
                settings=settings,
            ),
            lambda found: call.answer(found, _search_text),
        )
    return call.perform(
        lambda progress: train_order(
            model,
            out=out or Path("runs", model),
            data=data,
            download=download,
            resume=resume,
            overrides=changed,
            init_from=init_from,
            freeze=freeze,
            processes=processes,
            tensorboard=tensorboard,
            settings=settings,
            progress=progress,
        ),
        lambda found: _show(call, found, report),
    )


def _show(call: Call, found: TrainReport, report: tuple[Path, ...]) -> None:
    from edgekit.cli.reports import write_files
    from edgekit.flows.train import is_leader, report_of

    if is_leader():
        for warning in found.warnings:
            call.note(f"Warning: {warning}")
        if report:
            write_files(report_of(Path(found.run)), report)
        call.answer(found, lambda shown: "\n".join([_text(shown), *(f"Report: {path}" for path in report)]))


def _refuse_with_search(**given: object) -> None:
    for name, value in given.items():
        if value:
            raise UserError(
                f"--search and --{name.replace('_', '-')} cannot be combined.",
                hint="Run the same command again to continue a search.",
            )


def overrides(texts: tuple[str, ...]) -> dict[str, str]:
    """Training options by name, from texts such as `optimizer=adam`.

    Raises:
        UserError: A text is not NAME=VALUE, or a name is given twice.
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

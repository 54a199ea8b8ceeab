"""What every command has in common: its options, its help page, and the Call it is given."""

from __future__ import annotations

import functools
import logging
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from edgekit.cli.output import Output, results_apart
from edgekit.cli.printing import say, shown

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.core.reports.kept import Keepable
    from edgekit.core.reports.plan import PlanReport
    from edgekit.core.reports.report import Report
    from edgekit.core.system.progress import Progress
    from edgekit.core.system.settings import Setting, Settings
    from edgekit.flows.order import Order

Result = TypeVar("Result")
Shown = TypeVar("Shown")
HISTORY_FILE: Final = "history.sqlite"
COMMON: Final = ("record", "dry_run", "seed", "offline", "json", "quiet", "verbose", "debug")


@dataclass(frozen=True)
class Call:
    """One call of a command: its common options, where its result goes, and where its report is kept, if it is."""

    command: str
    output: Output
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    dry_run: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict)
    keeps: str = ""

    def origins(self, **flags: Any) -> tuple[Settings, tuple[Setting, ...]]:
        """The settings in force and where each came from; `flags` are options of this command that are settings."""
        import platformdirs

        from edgekit.core.system.settings import USER_FILE, load_settings

        user_file = platformdirs.user_config_path("edgekit") / USER_FILE
        return load_settings({**self.flags, **flags}, user_file=user_file)

    def settings(self, **flags: Any) -> Settings:
        """The settings in force."""
        return self.origins(**flags)[0]

    def history(self) -> str:
        """Where reports are kept: the setting, by default a file of the user's."""
        import platformdirs

        return self.settings().history or str(platformdirs.user_data_path("edgekit") / HISTORY_FILE)

    def keep(self, kept: Keepable) -> None:
        """Keep a report in the history, if the user wants that."""
        if self.keeps:
            from edgekit.flows.keeping.runs import keep

            self.note(keep(kept, self.keeps))

    def progress(self) -> AbstractContextManager[Progress]:
        """How progress is shown: bars on a terminal, one line per stage elsewhere, nothing with `--quiet`."""
        from edgekit.cli.progress import progress

        return progress(quiet=self.quiet)

    def answer(self, document: Shown, text: Callable[[Shown], str], *, is_program: bool = False) -> None:
        """Write the result: the document with `--json`, otherwise its text. No line of a program is changed.

        Args:
            text: Renders a copy of the document, in which every text is one line without control characters.
        """
        if self.json:
            self.output.write_document(document)
        elif is_program:
            self.output.write(text(document))
        else:
            self.output.write_text(text(shown(document)))

    def note(self, text: str) -> None:
        """Print a note on stderr, apart from the result."""
        if text and not self.quiet:
            say(text)

    def perform(
        self,
        prepare: Callable[[Progress], AbstractContextManager[Order[Result]]],
        show: Callable[[Result], int | None],
    ) -> int:
        """Run the order that `prepare` checks and opens, and show its result; with `--dry-run` print its steps."""
        with self.progress() as progress, prepare(progress) as order:
            if self.dry_run:
                from edgekit.core.reports.plan import PlanReport

                return self.show_plan(PlanReport(order.command, order.steps()))
            result = order.run(progress)
        return show(result) or 0

    def show_plan(self, plan: PlanReport) -> int:
        """Print what would be done, for `--dry-run`."""
        self.answer(plan, lambda shown: "\n".join(shown.steps))
        return 0

    def show_report(
        self, report: Report, *, files: Iterable[Path] = (), written: Iterable[Path] = (), resume: Sequence[str] = ()
    ) -> int:
        """Print a report, keep it if the user wants that, and give the exit code of its verdict.

        Args:
            files: Files to write it to as well; each suffix selects the form.
            written: Files that the command has written, which are printed.
            resume: The command that completes the report, if it is not 'profile'.
        """
        from edgekit.cli.reports import as_text, bisect_command, resumable_file, resume_command, write_files

        files, written = tuple(files), tuple(written)
        documents = (*files, *(path.with_suffix(".json") for path in written))
        kept = resumable_file(report, documents)
        files += (kept,) if kept and kept not in documents else ()
        write_files(report, files)
        self.answer(report, lambda shown: as_text(shown, self.output, (*written, *files)))
        self.keep(report)
        if command := bisect_command(report):
            self.note(f"Hint: {command}")
        if kept:
            self.note(f"Hint: {shlex.join(resume) or resume_command(report, kept)}")
        return report.exit_code


class Command(click.Command):
    """A command whose help page ends with examples and lists the common options separately."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the common ones; arguments have a section of their own."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Common options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                sections[self._section(parameter, ctx)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def _section(self, parameter: click.Parameter, ctx: click.Context) -> str:
        is_common = parameter.name in COMMON or parameter is self.get_help_option(ctx)
        return "Common options" if is_common else "Options"

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are: a wrapped command line cannot be copied."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


def common(
    *, acts: bool = False, chance: bool = False, records: bool = False
) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Give a command the options every command has, and a Call as its first argument.

    Args:
        acts: The command changes something: adds `--dry-run`.
        chance: The command makes random choices: adds `--seed`.
        records: The command makes a report that can be kept: adds `--record`.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., int]:
        @functools.wraps(function)
        def command(*, json: bool, quiet: bool, verbose: bool, debug: bool, offline: bool, **arguments: Any) -> int:
            flags = {"offline": offline or None, "seed": arguments.pop("seed", None)}
            with _logging(quiet=quiet, verbose=verbose, debug=debug), results_apart() as output:
                path = click.get_current_context().command_path.partition(" ")[2]
                call = Call(path, output, json, quiet, verbose, arguments.pop("dry_run", False), flags)
                if records:
                    call = _keeping(call, is_asked=arguments.pop("record"))
                return function(call, **arguments) or 0

        decorated = command
        for option in reversed(_options(acts, chance, records)):
            decorated = option(decorated)
        return decorated

    return decorate


def _keeping(call: Call, *, is_asked: bool) -> Call:
    """The call that keeps its report if the user asks for it; whether it can is found before the work."""
    place = call.history() if is_asked or call.settings().history else ""
    if place and not call.dry_run:
        from edgekit.flows.keeping.runs import check_store

        check_store(place)
    return replace(call, keeps=place)


def _options(acts: bool, chance: bool, records: bool) -> list[Callable[[Any], Any]]:
    flag = functools.partial(click.option, is_flag=True)
    options = []
    if records:
        options.append(flag("--record", help="Keep the report for 'edgekit history list'.  [setting: history]"))
    if acts:
        options.append(flag("--dry-run", help="Print the steps without executing them."))
    if chance:
        options.append(click.option("--seed", type=int, metavar="NUMBER", help="Seed of all random choices."))
    return [
        *options,
        flag("--offline", help="Do not use the network."),
        flag("--json", help="Print one JSON document, also for errors."),
        flag("-q", "--quiet", help="Print only the result and errors."),
        flag("-v", "--verbose", help="Print more on standard error."),
        flag("--debug", help="Show tracebacks and debug messages."),
    ]


@contextmanager
def _logging(*, quiet: bool, verbose: bool, debug: bool) -> Iterator[None]:
    """Show the log of edgekit on stderr while a command runs; other packages only with `--verbose`."""
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    handler = _StderrHandler()
    ours, root = logging.getLogger("edgekit"), logging.getLogger()
    others: logging.Handler = handler if verbose or debug else logging.NullHandler()
    before = ours.level, ours.propagate
    ours.addHandler(handler)
    root.addHandler(others)
    ours.setLevel(level)
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(handler)
        root.removeHandler(others)
        ours.level, ours.propagate = before[0], before[1]


class _StderrHandler(logging.Handler):
    """Writes to what sys.stderr is at that moment, so that a progress bar can move out of the way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        prefix = f"{record.levelname.capitalize()}: " if record.levelno >= logging.WARNING else ""
        say(f"{prefix}{self.format(record)}")

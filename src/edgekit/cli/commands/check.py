"""`edgekit check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edgekit.cli.arguments import Duration, Share, path_type, report_option_of, wait_option
from edgekit.cli.common import Call, Command, common

if TYPE_CHECKING:
    from edgekit.core.reports.check import CheckReport

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
ACTIONS: Final = "GITHUB_ACTIONS"

config_option = click.option(
    "--config",
    type=path_type,
    default=Path("edgekit.toml"),
    show_default=True,
    metavar="FILE",
    help="A file with a [check] table, or a pyproject.toml.",
)


@click.command(
    "check",
    cls=Command,
    examples=[
        "edgekit check",
        "edgekit check --config ci/edgekit.toml --report check.xml --report check.md",
        "edgekit check --launches 12 --time-box 2min",
        "edgekit check --baseline-commit origin/main",
    ],
)
@config_option
@click.option("--launches", type=click.IntRange(min=5), metavar="NUMBER", help="Overrides 'launches' in FILE.")
@click.option("--time-limit", type=Duration(), metavar="TIME", help="Overrides 'time_limit_s' in FILE.")
@click.option("--time-box", type=Duration(), metavar="TIME", help="Overrides 'time_box_s' in FILE.")
@click.option("--minimum-effect", type=Share(), metavar="SHARE", help="Overrides 'minimum_effect' in FILE.")
@click.option(
    "--baseline-commit", metavar="COMMIT", help="The commit to compare with; overrides 'baseline_commit' in FILE."
)
@wait_option
@click.option("--rerun-later", is_flag=True, help="Let the next runs confirm a slower median, not re-runs in this one.")
@click.option(
    "--trust", is_flag=True, help="Run the Python code that FILE names as sources; remembered for this project."
)
@click.option("--no-record", is_flag=True, help="Do not add this run to the history.")
@report_option_of(
    "check", ".html, .json, .md, .xml (JUnit), .codequality.json, .bencher.json or .benchmark-action.json"
)
@common(acts=True, chance=True, records=True)
def command(
    call: Call,
    config: Path,
    launches: int | None,
    time_limit: float | None,
    time_box: float | None,
    minimum_effect: float | None,
    baseline_commit: str | None,
    wait: float | None,
    rerun_later: bool,
    trust: bool,
    no_record: bool,
    report: tuple[Path, ...],
) -> int:
    """Check models in CI against budgets, a baseline and the history.

    Exits with 1 if a check failed. Undecided checks are printed as INCONCLUSIVE; the policy in FILE decides whether
    they change the exit code. In GitHub Actions the result is added to the step summary, and what did not pass is an
    annotation of its line in FILE.
    """
    from edgekit.cli.reports import rendered, write_documents
    from edgekit.flows.check import check_order
    from edgekit.report.check import render

    given = {
        "launches": launches,
        "time_limit_s": time_limit,
        "time_box_s": time_box,
        "minimum_effect": minimum_effect,
        "baseline_commit": baseline_commit,
        "rerun_later": rerun_later or None,
    }
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    settings = call.settings(wait_s=wait)

    def show(found: CheckReport) -> int:
        write_documents(found, report)
        _summarize(found)
        if annotations := _annotations(found):
            click.echo(annotations, nl=False, err=True) if call.json else call.output.write(annotations)
        call.answer(found, lambda shown: rendered(shown, render, call.output, report))
        call.keep(found)
        return found.verdict.exit_code

    return call.perform(
        lambda progress: check_order(
            config, record=not no_record, changes=changes, trust=trust, settings=settings, progress=progress
        ),
        show,
    )


def _annotations(found: CheckReport) -> str:
    """Workflow commands that annotate FILE, in GitHub Actions; empty elsewhere."""
    if os.environ.get(ACTIONS) != "true":
        return ""
    from edgekit.report.check import render_annotations

    root = os.environ.get("GITHUB_WORKSPACE") or "."
    return render_annotations(found, Path(os.path.relpath(found.config, root)).as_posix())


def _summarize(found: CheckReport) -> None:
    """Add the result to the summary of a step of GitHub Actions, where there is one."""
    path = os.environ.get(SUMMARY)
    if path:
        from edgekit.core.errors import from_os_error
        from edgekit.core.system.durable.appended import append_text
        from edgekit.report.check import render_markdown

        try:
            append_text(Path(path), render_markdown(found))
        except OSError as err:
            raise from_os_error(err, f"writing '{path}'") from err

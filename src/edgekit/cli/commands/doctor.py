"""`edgekit doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit.cli.common import Call, Command, common
from edgekit.cli.output import columns

if TYPE_CHECKING:
    from edgekit.core.reports.setup.doctor import DoctorReport, Finding


@click.command("doctor", cls=Command, examples=["edgekit doctor", "edgekit doctor --json", "edgekit doctor --clean"])
@click.option("--clean", is_flag=True, help="Remove what killed commands left, and list it.")
@common()
def command(call: Call, clean: bool) -> int:
    """Check this machine and print the commands that fix it.

    Exits with 3 if something prevents building, running or measuring. Changes nothing, except that --clean removes the
    temporary files of killed commands from the folder for temporary files, the cache and this folder.
    """
    from edgekit.flows.doctor import diagnose

    diagnosis = diagnose(settings=call.settings(), clean=clean)
    call.answer(diagnosis, _text)
    return diagnosis.exit_code


def _text(diagnosis: DoctorReport) -> str:
    table = columns((_MARKS[one.state], one.name, _line(one)) for one in diagnosis.findings)
    mends = [f"Hint: {one.mend}" for one in diagnosis.findings if one.state != "ok"]
    removed = [f"removed '{path}'" for path in diagnosis.removed]
    left = [f"left '{path}': its process may run elsewhere, or as another user" for path in diagnosis.left]
    return "\n".join([*removed, *left, table, *dict.fromkeys(mends)])


def _line(finding: Finding) -> str:
    """What was found; what could be added is named in the line, what must be mended in a hint below the table."""
    return f"{finding.text} ({finding.mend})" if finding.state == "ok" and finding.mend else finding.text


_MARKS = {"ok": "ok", "warning": "warning", "problem": "PROBLEM"}

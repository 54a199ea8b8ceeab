"""`edgekit config`."""

from __future__ import annotations

import click
import msgspec

from edgekit.cli.common import Call, Command, common
from edgekit.cli.output import columns
from edgekit.cli.program import Commands
from edgekit.core.reports.setup.config import ConfigReport
from edgekit.core.system.settings import Setting, without_password


@click.group("config", cls=Commands)
def command() -> None:
    """Show the settings in force.

    Order of precedence: flag, EDGEKIT_* variable, edgekit.toml (or [tool.edgekit] in pyproject.toml), the user's own
    file, default.
    """


@command.command(
    "show", cls=Command, examples=["edgekit config show --origin", "EDGEKIT_LAUNCHES=12 edgekit config show --json"]
)
@click.option("--origin", is_flag=True, help="Show where each value comes from.")
@common()
def show(call: Call, origin: bool) -> None:
    """Print every setting that is in force."""
    found = tuple(msgspec.structs.replace(one, value=without_password(one.value)) for one in call.origins()[1])
    call.answer(ConfigReport(settings=found), lambda shown: _text(shown.settings, origin))


def _text(found: tuple[Setting, ...], origin: bool) -> str:
    return columns((one.name, _toml(one.value), *([one.origin] if origin else [])) for one in found)


def _toml(value: object) -> str:
    """The value as it is written in a TOML file."""
    return msgspec.json.encode(value).decode()

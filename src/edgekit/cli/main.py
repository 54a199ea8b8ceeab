"""The `edgekit` program: runs one command line and turns whatever happens into an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process in a child, and exit with its code."""
    arguments = sys.argv[1:]
    try:
        from edgekit.cli.supervisor import supervised

        code = supervised(lambda: _prepared(arguments), lambda err: _failed(err, arguments))
    except (Exception, KeyboardInterrupt) as err:  # noqa: BLE001 - the system may refuse a pipe or a process
        code = _failed(err, arguments)
    sys.exit(code)


def _prepared(arguments: list[str]) -> int:
    """Set up this process, and run the command line."""
    try:
        # Imported under the handler: Ctrl-C while packages load ends in 130 as well.
        from edgekit.cli.startup import prepare

        prepare()
        return run(arguments)
    except KeyboardInterrupt as err:
        return _failed(err, arguments)


def run(arguments: list[str]) -> int:
    """Run one command line, and give its exit code. Nothing is raised, whatever the command does."""
    try:
        from edgekit.cli.program import invoke

        code = invoke(arguments)
        sys.stdout.flush()
        return code
    except BaseException as err:  # noqa: BLE001 - the one place where every failure becomes an exit code
        return _failed(err, arguments)


def _failed(err: BaseException, arguments: list[str]) -> int:
    from edgekit.cli.failures import report

    return report(err, arguments)

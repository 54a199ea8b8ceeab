"""The message and the exit code of a command that fails."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shlex
import signal
import sys
import traceback

import click

from edgekit.cli.printing import say
from edgekit.core.errors import (
    EdgekitError,
    Incomplete,
    Interrupted,
    OutputClosed,
    UserError,
    nearest,
    of_the_machine,
    was_interrupted,
)
from edgekit.core.system.native import memory_limit

_LONGEST_NAME = 80
_COMMON = ("--json", "--quiet", "-q", "--verbose", "-v", "--debug", "--offline", "--seed", "--dry-run")


def report(err: BaseException, arguments: list[str]) -> int:
    """Print what failed on stderr (with `--json` also on stdout), and return the exit code of the process."""
    failure = translate(err, arguments)
    if isinstance(failure, Interrupted):
        with contextlib.suppress(ValueError):  # a second Ctrl-C ends the process at once; only the main thread may ask
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        if "--debug" in arguments:
            say("".join(traceback.format_exception(err)))
        if not isinstance(failure, OutputClosed):
            _tell(failure, err)
    with contextlib.suppress(OSError):
        if "--json" in arguments and not isinstance(failure, OutputClosed):
            _write_document(failure, arguments)
    _let_go_of_closed_streams()
    return failure.exit_code


def translate(err: BaseException, arguments: list[str]) -> EdgekitError:
    """`err` as one of edgekit's own errors, with a message and a hint."""
    if isinstance(err, Incomplete):
        return UserError(err.message, hint=shlex.join(["edgekit", *arguments, *err.options]))
    if isinstance(err, Interrupted):
        return err
    # Extension modules report Ctrl-C as a failed import, which then looks like a package that is not there.
    if isinstance(err, click.Abort) or was_interrupted(err):
        return Interrupted("Interrupted.")
    if isinstance(err, EdgekitError):
        return err
    if isinstance(err, click.ClickException):
        return _usage(err, arguments)
    if isinstance(err, BrokenPipeError) and _is_closed():
        return OutputClosed("Standard output was closed.")
    if isinstance(err, MemoryError) and (limited := memory_limit.exceeded(err)):
        return limited
    return of_the_machine(err) or _of_name(err) or _fault(err, arguments)


def _of_name(err: BaseException) -> UserError | None:
    """The error for a name that no file can have, or that cannot be passed on; None for any other error."""
    if isinstance(err, OSError) and err.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        name = str(err.filename or "")
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
        return UserError(f"'{shown}' cannot be opened: {err.strerror}.")
    if isinstance(err, UnicodeEncodeError) and err.reason == "surrogates not allowed":
        name = str(err.object)[:_LONGEST_NAME].encode("utf-8", "backslashreplace").decode()
        return UserError(f"'{name}' contains bytes that are not UTF-8.", hint="Rename the file or the folder.")
    if isinstance(err, ValueError) and str(err) in ("embedded null byte", "embedded null character in path"):
        return UserError("The name of a file contains a null character.")
    return None


def command_name(arguments: list[str]) -> str:
    """The words of `arguments` that name the command: `bundle pack`; empty when they name none."""
    from edgekit.cli.program import COMMANDS, Commands, program

    words = [word for word in arguments if not word.startswith("-")]
    if not words or words[0] not in COMMANDS:
        return ""
    with contextlib.suppress(Exception):  # a command that does not import is named by its first word
        context = click.Context(program)
        group = program.get_command(context, words[0])
        if isinstance(group, Commands) and len(words) > 1 and words[1] in group.list_commands(context):
            return f"{words[0]} {words[1]}"
    return words[0]


def _usage(err: click.ClickException, arguments: list[str]) -> UserError:
    context = getattr(err, "ctx", None)
    path = context.command_path if context is not None else f"edgekit {command_name(arguments)}".strip()
    hint = f"{path} --help"
    if isinstance(err, click.exceptions.NoArgsIsHelpError):
        return UserError(f"'{path}' needs a command.", hint=hint)
    if isinstance(err, click.NoSuchOption):
        return UserError(_no_such_option(err, context), hint=hint)
    return UserError(err.format_message(), hint=hint)


def _no_such_option(err: click.NoSuchOption, context: click.Context | None) -> str:
    if isinstance(context.command if context else None, click.Group) and err.option_name in _COMMON:
        return f"Option '{err.option_name}' must follow the name of a command."
    known = [name for one in context.command.get_params(context) for name in one.opts] if context else []
    return f"Unknown option '{err.option_name}'.{nearest(err.option_name, known)}"


def _fault(err: BaseException, arguments: list[str]) -> EdgekitError:
    what = traceback.format_exception_only(err)[-1].strip()
    if isinstance(err, SystemExit):
        what = f"called code ended the process (SystemExit: {err.code})"
    again = shlex.join(["edgekit", *(word for word in arguments if word != "--debug"), "--debug"])
    return EdgekitError(
        f"This is a bug in edgekit, please report it: {what}",
        hint=f"{again}   # shows where; attach this and the output of 'edgekit doctor'",
    )


def _tell(failure: EdgekitError, err: BaseException) -> None:
    """Say on stderr what failed, and the hint; no further line of either begins where these words begin."""
    if isinstance(err, click.exceptions.NoArgsIsHelpError) and err.ctx:
        sys.stderr.write(f"{err.ctx.get_help()}\n\n")
    say(failure.message if isinstance(failure, Interrupted) else f"Error: {failure.message}")
    if failure.hint:
        say(f"Hint: {failure.hint}")


def _write_document(failure: EdgekitError, arguments: list[str]) -> None:
    from edgekit.cli.output import Output
    from edgekit.core.reports.error import ErrorFacts, ErrorReport

    facts = ErrorFacts(
        type(failure).__name__, failure.message, failure.hint, failure.exit_code, getattr(failure, "code", "")
    )
    Output(sys.stdout).write_document(ErrorReport(command=command_name(arguments), error=facts))


def _is_closed() -> bool:
    """True when nobody reads standard output any more; a pipe to another program may break as well."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _let_go_of_closed_streams() -> None:
    """Let the interpreter flush into the void at its end, where it would print a traceback and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

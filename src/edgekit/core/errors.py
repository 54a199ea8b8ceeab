"""Every error that edgekit raises on purpose, with its exit code.

EdgekitError                70  a bug in edgekit
├── VerdictFailed            1  parity, accuracy, budget or regression
├── UserError                2  wrong input: a name, an option, samples, a factory
│   ├── Refused                 known not to work; `core/refusals.py` lists the reasons by code
│   └── Incomplete              options are missing; the hint is the command with them
├── EnvironmentFault         3  something on the machine is missing or full
│   ├── MissingExtra            an optional package is not installed
│   ├── ProviderRefused         the requested provider does not run the model
│   ├── DiskFull                no disk space left
│   ├── DeviceUnavailable       does not respond now; may be retried
│   └── DeviceError             fails again until the device changes
├── VerdictInconclusive      4  the measurement supports neither pass nor fail
├── Unreadable               5  a file is damaged, modified, or not what it should be
│   ├── ModelUnreadable         an .onnx, .tflite or weights file
│   └── BundleUnreadable        a bundle
├── ConversionFailed         5  a converter failed, timed out or was killed
├── Interrupted            130  Ctrl-C
└── OutputClosed           141  the reader of standard output closed it
"""

from __future__ import annotations

import difflib
import errno
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypedDict

# How the loader of shared libraries says that a limit is reached.
NO_MEMORY: Final = ("failed to map segment", "annot allocate memory")


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


# What the machine, not a file, is to blame for; and what it, not edgekit, is to blame for.
DISK_ERRORS: Final = _numbers("ENOSPC", "EDQUOT", "EROFS", "EIO", "EFBIG", "EMFILE")
_MACHINE_ERRORS: Final = DISK_ERRORS | _numbers("EACCES", "EPERM", "ENFILE", "ENOMEM", "EAGAIN")


class EdgekitError(Exception):
    """What failed, with the value in quotes; `hint` is the next command to run, `code` a reason; both may be empty."""

    exit_code = 70
    usual_hint = ""
    code = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.usual_hint


class VerdictFailed(EdgekitError):
    """Parity, accuracy, a budget or a comparison failed."""

    exit_code = 1


class UserError(EdgekitError):
    """The input is wrong; the user can correct it."""

    exit_code = 2


class Refused(UserError):
    """It is known not to work; `code` is the reason in `core/refusals.py`."""

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Incomplete(UserError):
    """A command needs more options: `options` in words, `--sizes` and `T=64`, that make it run."""

    def __init__(self, message: str, *, options: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint or shlex.join(options))
        self.options = tuple(options)


class EnvironmentFault(EdgekitError):
    """Something on the machine is missing; the hint is the command that installs or repairs it."""

    exit_code = 3


class MissingExtra(EnvironmentFault):
    """An optional package is not installed."""


class ProviderRefused(EnvironmentFault):
    """The requested execution provider does not run the model."""


class DiskFull(EnvironmentFault):
    """No disk space is left."""


class DeviceUnavailable(EnvironmentFault):
    """The device does not respond now; a retry may succeed."""


class DeviceError(EnvironmentFault):
    """The device responds but cannot do the job; a retry fails again."""


class VerdictInconclusive(EdgekitError):
    """The measurement supports neither pass nor fail, and the policy is to report that."""

    exit_code = 4


class Unreadable(EdgekitError):
    """A file is damaged, modified, or not of the type that its name suggests."""

    exit_code = 5


class ModelUnreadable(Unreadable):
    """An .onnx, .tflite or weights file cannot be read as a model."""


class BundleUnreadable(Unreadable):
    """A bundle is truncated or modified, or has a newer schema."""

    usual_hint = "edgekit export SOURCE --out BUNDLE"


class ConversionFailed(EdgekitError):
    """A converter failed, timed out, was killed, or wrote a wrong file."""

    exit_code = 5


class Interrupted(EdgekitError):
    """The user pressed Ctrl-C."""

    exit_code = 130


class OutputClosed(EdgekitError):
    """The reader of standard output closed it, as `head` does; 128 + SIGPIPE, like any program in a pipe."""

    exit_code = 141


class ErrorRecord(TypedDict):
    """An error that is passed between processes as JSON; `error` is the name of its class."""

    error: str
    message: str
    hint: str
    code: str


# Verdicts, Ctrl-C and a closed output are the concern of the process that a user has started: no other reports them.
_OWN: Final = (VerdictFailed, VerdictInconclusive, Interrupted, OutputClosed)
_REPORTED: Final = {
    kind.__name__: kind
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, EdgekitError) and not issubclass(kind, _OWN)
}


def to_record(err: EdgekitError) -> ErrorRecord:
    """`err` as a record for another process, which calls `from_record`."""
    return ErrorRecord(error=type(err).__name__, message=err.message, hint=err.hint, code=err.code)


def from_record(
    error: str, message: str, *, hint: str = "", code: str = "", otherwise: Callable[..., EdgekitError] = EdgekitError
) -> EdgekitError:
    """The error that another process reported. The process is not trusted: only known class names are accepted.

    Args:
        otherwise: Creates the error for every other name, from `message` and `hint`.
    """
    kind = _REPORTED.get(error)
    if kind is None:
        return otherwise(message, hint=hint)
    return kind(message, hint=hint, code=code) if issubclass(kind, Refused) else kind(message, hint=hint)


def was_interrupted(err: BaseException) -> bool:
    """Whether Ctrl-C caused `err`: interrupted code may raise its own error while it unwinds."""
    seen: list[BaseException] = []
    following: list[BaseException | None] = [err]
    while following:
        cause = following.pop()
        # A cause may have its own effect as its context: an error that is kept, and raised again for another.
        if cause is None or any(cause is known for known in seen):
            continue
        if isinstance(cause, KeyboardInterrupt):
            return True
        seen.append(cause)
        following += [cause.__cause__, cause.__context__]
    return False


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """`" Did you mean 'x'?"` for the closest known name, or an empty text. Ignores case: KB is near kB."""
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff)
    return f" Did you mean '{folded[close[0]]}'?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> UserError:
    """The error for an unregistered name; suggests the closest registered one."""
    names = sorted(known)
    offer = nearest(name, names) or f" Known: {', '.join(names) or 'none'}."
    return UserError(f"Unknown {kind} '{name}'.{offer}", hint=hint)


def of_the_machine(err: BaseException) -> EdgekitError | None:
    """The error for what this machine lacks: memory, processes, room, files; None if it is not to blame for `err`."""
    text = str(err)
    if isinstance(err, MemoryError) or (isinstance(err, ImportError) and any(sign in text for sign in NO_MEMORY)):
        return EnvironmentFault("There is not enough memory.", hint="free -h; ulimit -v")
    if isinstance(err, FileNotFoundError) and "No usable temporary directory" in text:
        return EnvironmentFault("No folder for temporary files can be written to.", hint="df -h /tmp; ulimit -f")
    if isinstance(err, BlockingIOError) or (isinstance(err, RuntimeError) and "can't start new thread" in text):
        return EnvironmentFault("The system starts no more processes or threads.", hint="ulimit -u; ps -eLf | wc -l")
    if isinstance(err, OSError) and err.errno in _MACHINE_ERRORS:
        return from_os_error(err, f"using '{err.filename}'" if err.filename else "reading or writing")
    return None


def from_os_error(err: OSError, doing: str) -> EdgekitError:
    """The edgekit error for an error of the operating system; a full disk becomes `DiskFull`."""
    if err.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"No space left while {doing}.", hint="df -h")
    return EnvironmentFault(f"Failed while {doing}: {err.strerror or err}.")

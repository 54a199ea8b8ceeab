"""Every error edgekit raises on purpose, and the exit code each one ends in.

EdgekitError                70  a fault of ours
├── VerdictFailed            1  parity, accuracy, budget or regression
├── UserError                2  the call is wrong: a name, an option, samples, a factory
│   └── Refused                 known not to work; `core/refusals.py` has the reasons by code
├── EnvironmentFault         3  something around us is missing or full
│   ├── MissingExtra            an optional package is not installed
│   ├── ProviderRefused         the requested provider does not run the model
│   ├── DiskFull                no room to write
│   ├── DeviceUnavailable       no answer now; may be retried
│   └── DeviceError             will fail again until the device changes
├── VerdictInconclusive      4  the measurement cannot decide
├── Unreadable               5  a file is damaged, tampered with, or not what it should be
│   ├── ModelUnreadable         an .onnx, .tflite or weights file
│   └── BundleUnreadable        a bundle
├── ConversionFailed         5  a converter failed, timed out or was killed
├── Interrupted            130  Ctrl-C
└── OutputClosed           141  the reader of standard output went away
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable
from typing import Final, TypedDict


class EdgekitError(Exception):
    """What failed, with the value in quotes; `hint` is the next command to type, or empty; so is `code`."""

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
    """The call is wrong; the user changes it."""

    exit_code = 2


class Refused(UserError):
    """Something that is known not to work; `code` names the reason in `core/refusals.py`."""

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class EnvironmentFault(EdgekitError):
    """Something the machine should offer is missing; the hint is the command to type."""

    exit_code = 3


class MissingExtra(EnvironmentFault):
    """An optional package is not installed."""


class ProviderRefused(EnvironmentFault):
    """The requested execution provider does not run the model."""


class DiskFull(EnvironmentFault):
    """There is no room to write."""


class DeviceUnavailable(EnvironmentFault):
    """The device does not answer now; a retry may succeed."""


class DeviceError(EnvironmentFault):
    """The device answered and cannot do the job; a retry will fail again."""


class VerdictInconclusive(EdgekitError):
    """The measurement cannot decide, and the policy says to report that."""

    exit_code = 4


class Unreadable(EdgekitError):
    """A file is damaged, tampered with, or not what its name says."""

    exit_code = 5


class ModelUnreadable(Unreadable):
    """An .onnx, .tflite or weights file cannot be read as a model."""


class BundleUnreadable(Unreadable):
    """A bundle is truncated, tampered with, or of a newer schema."""

    usual_hint = "edgekit export SOURCE --out BUNDLE"


class ConversionFailed(EdgekitError):
    """A converter failed, timed out, was killed, or wrote a wrong file."""

    exit_code = 5


class Interrupted(EdgekitError):
    """The user pressed Ctrl-C."""

    exit_code = 130


class OutputClosed(EdgekitError):
    """Whoever read standard output stopped reading, as `head` does; 128 + SIGPIPE, like any program in a pipe."""

    exit_code = 141


class ErrorRecord(TypedDict):
    """An error as JSON carries it from one process to another; `error` is the name of its class."""

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
    """`err` for another process, which calls `from_record`."""
    return ErrorRecord(error=type(err).__name__, message=err.message, hint=err.hint, code=err.code)


def from_record(
    error: str, message: str, *, hint: str = "", code: str = "", otherwise: Callable[..., EdgekitError] = EdgekitError
) -> EdgekitError:
    """The error that another process reported, which is not trusted: `error` is looked up among what it may report.

    Args:
        otherwise: Makes the error of every other name, of `message` and `hint`.
    """
    kind = _REPORTED.get(error)
    if kind is None:
        return otherwise(message, hint=hint)
    return kind(message, hint=hint, code=code) if issubclass(kind, Refused) else kind(message, hint=hint)


def was_interrupted(err: BaseException) -> bool:
    """Whether Ctrl-C is behind `err`: what it interrupts may fail in turn while it unwinds, or report its own error."""
    cause: BaseException | None = err
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """`" Did you mean 'x'?"` for the closest known name, or an empty text. Case is not a difference: KB is near kB."""
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff)
    return f" Did you mean '{folded[close[0]]}'?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> UserError:
    """The error for a name that nothing is registered under; offers the closest right one."""
    names = sorted(known)
    offer = nearest(name, names) or f" Known: {', '.join(names) or 'none'}."
    return UserError(f"Unknown {kind} '{name}'.{offer}", hint=hint)


def from_os_error(err: OSError, doing: str) -> EdgekitError:
    """An operating-system error in edgekit's words; a full disk becomes `DiskFull`."""
    if err.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"No space left while {doing}.", hint="df -h")
    return EnvironmentFault(f"Failed while {doing}: {err.strerror or err}.")

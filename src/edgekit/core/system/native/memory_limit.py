"""How much memory a model may take: the system refuses more, and the backend or numpy reports that.

The limit is one of this process, for what it takes after a model was opened. Programs that use edgekit as a library
have none: it would hold for their own code as well.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edgekit.core.errors import ModelUnreadable
from edgekit.core.system.native.environment import hand_on, number_of

VARIABLE: Final = "EDGEKIT_MEMORY_GB"
_GB: Final = 1_000_000_000
# Room for images and sounds at their full size, and for copies of the weights.
_FREE_GB: Final = 4.0
_PER_BYTE: Final = 16
# Pages of data in /proc/self/statm.
_DATA: Final = 5
_SAYS_SO: Final = re.compile(
    r"bad_alloc|bad allocation|(failed|unable|cannot|could not) to allocate|cannot allocate|not (have )?enough memory",
    re.I,
)
_DATA_LIMIT: Final = "RLIMIT_DATA"

_wanted: Callable[[], float] | None = None
_limit_bytes = 0


def from_environment() -> float:
    """The limit in GB that the parent of this process has set; 0 without one."""
    return number_of(VARIABLE)


def start(wanted: Callable[[], float] = from_environment) -> None:
    """Limit the memory of models in this process; `wanted` gives GB, or 0 for a limit by the size of the file."""
    global _wanted  # noqa: PLW0603 - the limit of the system is one of the whole process as well
    _wanted = wanted


def apply(path: Path) -> None:
    """Let this process take at most so much more memory than now, if `start` was called.

    Processes that it starts have the limit too, until `lift`.
    """
    global _limit_bytes  # noqa: PLW0603 - see above
    if _wanted is None or (system := _system()) is None:
        return
    hand_on(VARIABLE, _wanted())
    _limit_bytes = max(_limit_bytes, allowed_bytes(path))
    soft, hard = system.getrlimit(system.RLIMIT_DATA)
    limit = _used_bytes() + _limit_bytes
    limit = limit if hard == system.RLIM_INFINITY else min(limit, hard)
    if soft in (system.RLIM_INFINITY, hard) or limit > soft:
        with contextlib.suppress(OSError, ValueError):
            system.setrlimit(system.RLIMIT_DATA, (limit, hard))


def allowed_bytes(path: Path) -> int:
    """How much memory the model at `path` may take, here and on a device: what is set, or by the size of the file."""
    given = from_environment() if _wanted is None else _wanted()
    size = path.stat().st_size if path.is_file() else 0
    return int(given * _GB) if given else int(_FREE_GB * _GB) + _PER_BYTE * size


def lift(pid: int) -> None:
    """Free a program that was just started from the limit of this process."""
    if not _limit_bytes or (system := _system()) is None or not hasattr(system, "prlimit"):
        return
    with contextlib.suppress(OSError, ValueError):
        _, hard = system.prlimit(pid, system.RLIMIT_DATA)
        system.prlimit(pid, system.RLIMIT_DATA, (hard, hard))


def described() -> str:
    """The limit in words; empty without one."""
    return f"{_limit_bytes / _GB:.3g} GB" if _limit_bytes else ""


def exceeded(err: BaseException | str) -> ModelUnreadable | None:
    """The error for a model that needs more memory than the limit; None if neither `err` nor its text says so."""
    if not _limit_bytes or not (isinstance(err, MemoryError) or _SAYS_SO.search(str(err))):
        return None
    return ModelUnreadable(
        f"The model needs more memory than its limit of {described()}.",
        hint=f"export {VARIABLE}={2 * _limit_bytes / _GB:.0f}",
    )


def exceeded_on(device: str, said: str, limit_bytes: int) -> ModelUnreadable | None:
    """The same for a launch on a device, which reports it in its own words."""
    if not _SAYS_SO.search(said):
        return None
    return ModelUnreadable(
        f"The model needs more memory on '{device}' than its limit of {limit_bytes / _GB:.3g} GB, or than is free.",
        hint=f"export {VARIABLE}={2 * limit_bytes / _GB:.0f}   # if '{device}' has that much",
    )


def _system() -> Any:
    """The module that sets limits; None on a system without this one."""
    try:
        import resource
    except ImportError:
        return None
    return resource if hasattr(resource, _DATA_LIMIT) and _used_bytes() else None


def _used_bytes() -> int:
    """What counts for the limit; 0 where the system does not say."""
    try:
        with Path("/proc/self/statm").open(encoding="ascii") as stream:
            return int(stream.read().split()[_DATA]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return 0

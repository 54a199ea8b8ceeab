"""Reads the options of a target, given as text, for one backend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgekit.core.errors import UserError, unknown
from edgekit.core.target import MAX_THREADS


def threads_of(options: Mapping[str, str]) -> int:
    """The number of threads; 1 by default, because shared machines have slow phases with more.

    Raises:
        UserError: The text is not a whole number from 1 to 256.
    """
    text = options.get("threads", "1")
    if not text.isdigit() or not 1 <= int(text) <= MAX_THREADS:
        raise UserError(f"Option 'threads': expected 1 to {MAX_THREADS}, got '{text}'.")
    return int(text)


def choice(options: Mapping[str, str], name: str, choices: Iterable[str], default: str) -> str:
    """The text of option `name`, which must be one of `choices`.

    Raises:
        UserError: The text is something else; the nearest choice is suggested.
    """
    text = options.get(name, default)
    if text not in choices:
        raise unknown(f"value of option '{name}'", text, choices)
    return text

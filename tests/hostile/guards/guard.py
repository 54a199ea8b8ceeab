"""One guard of docs/threat-model.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """A guard: the text in `file` that holds a promise, what is there without it, and the test that then fails.

    `name` is the first column of a row in docs/threat-model.md.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

"""One mutant: the files that are hostile, and the command that reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Case:
    """What is tried: a command line, or a call that a command makes with what a device has said.

    `files` lie in the folder in which the command runs. It may write what begins with one of the names in `writes`.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    call: Callable[[], object] | None = None
    writes: tuple[str, ...] = ("out",)

    def lay_out(self, folder: Path) -> None:
        """Write the files of the mutant."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


Maker = Callable[[Random], Case]

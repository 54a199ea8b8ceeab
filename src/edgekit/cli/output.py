"""Standard output holds the result of a command and nothing else: one JSON document, or text."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Final, TextIO

from edgekit.core.errors import OutputClosed
from edgekit.core.system import documents

_GAP: Final = "  "


class Output:
    """Where results are written: a stream, in whole documents or lines, flushed at once."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    @property
    def is_terminal(self) -> bool:
        """True when a person reads it."""
        return self._stream.isatty()

    @property
    def columns(self) -> int | None:
        """Width of the terminal; None for a pipe or a file."""
        return os.get_terminal_size(self._stream.fileno()).columns if self.is_terminal else None

    def write_document(self, document: object) -> None:
        """One JSON document in UTF-8."""
        self.write_text(documents.encode(document).decode())

    def write_text(self, text: str) -> None:
        """Text as it is, with a final newline.

        Raises:
            OutputClosed: The reader closed the stream.
        """
        try:
            self._stream.write(text if text.endswith("\n") else f"{text}\n")
            self._stream.flush()
        except BrokenPipeError as err:
            raise OutputClosed("Standard output was closed.") from err


@contextlib.contextmanager
def results_apart() -> Iterator[Output]:
    """Standard output for results alone: what models, packages and programs print in the block goes to stderr."""
    real = sys.stdout
    real.flush()
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_moved_descriptor(real)) if _is_process_stdout(real) else real
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield Output(stream)


def _is_process_stdout(stream: TextIO) -> bool:
    """False where a test or a program put another stream in its place."""
    try:
        return stream.fileno() == 1
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _moved_descriptor(real: TextIO) -> Iterator[TextIO]:
    """A stream on what descriptor 1 was, while 1 itself leads to stderr, for C libraries and child processes too."""
    kept = os.dup(1)
    try:
        with contextlib.suppress(OSError):  # stderr may be closed
            os.dup2(2, 1)
        stream = open(kept, "w", encoding=real.encoding, errors="replace", closefd=False)  # noqa: SIM115 - see below
        try:
            yield stream
        finally:
            with contextlib.suppress(OSError):  # what could not be written was told when it was written
                stream.close()
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as text in aligned columns."""
    table = [tuple(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )

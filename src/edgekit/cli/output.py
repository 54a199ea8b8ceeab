"""Standard output holds the result of a command and nothing else: one JSON document, or text."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Final, TextIO

from edgekit.cli import printing
from edgekit.core.errors import OutputClosed
from edgekit.core.system import documents

_GAP: Final = "  "
_COLUMN: Final = re.compile(r"(?<=\S)  +(?=\S)")
_ESCAPE: Final = "\x1b"
# Columns that must be left for a text under the last column.
_LEAST: Final = 24


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
        self.write(printing.escaped(documents.encode(document).decode()))

    def write_text(self, text: str) -> None:
        """Text for a person, on a terminal wrapped at words where a line is wider; errors as in `write`."""
        wrapped = text if self.columns is None else "\n".join(fitting(text.split("\n"), self.columns))
        self.write(printing.printable(wrapped, is_coloured=True))

    def write(self, text: str) -> None:
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


def fitting(lines: Iterable[str], width: int) -> Iterator[str]:
    """Lines of at most `width` columns where words allow it; what continues one begins under its last column."""
    for line in lines:
        if len(line) <= width or _ESCAPE in line:  # colours: wrapped by what drew it
            yield line
            continue
        gaps = [gap.end() for gap in _COLUMN.finditer(line) if gap.end() <= width - _LEAST]
        indent = gaps[-1] if gaps else len(line) - len(line.lstrip()) + len(_GAP)
        yield from textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
        )


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as text in aligned columns."""
    table = [tuple(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )

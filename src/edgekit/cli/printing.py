"""The one way to a terminal or a log: no character controls it, and no line is taken for another program's command."""

from __future__ import annotations

import re
import sys
from typing import Final, TypeVar

from edgekit.core.system.documents import with_texts
from edgekit.report.plain import HOSTILE, REPLACEMENT, clean

D = TypeVar("D")
_INDENT: Final = "  "
_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]*m)")
# What a CI runner acts on: '::error::' at the beginning of a line, '##[error]' and '##vso[' anywhere.
_COMMAND: Final = re.compile(r"^(\s*)(?=::)|(?<=##)(?=\w*\[)", re.MULTILINE)
_INVISIBLE: Final = "\N{ZERO WIDTH SPACE}"


def shown(document: D) -> D:
    """A copy of `document` for people: every text in it is one line without control characters."""
    copy: D = with_texts(document, clean)
    return copy


def printable(text: str, *, is_coloured: bool = False) -> str:
    """Lines without control characters, none of which a CI runner takes for a command.

    Args:
        is_coloured: Keep the sequences that select a colour.
    """
    parts = _COLOUR.split(text) if is_coloured else [text]
    parts[::2] = [HOSTILE.sub(REPLACEMENT, part) for part in parts[::2]]
    return _COMMAND.sub(lambda found: f"{found[1] or ''}{_INVISIBLE}", "".join(parts))


def escaped(document: str) -> str:
    """A JSON document of the same content without control characters; only its texts can contain any."""
    plain = HOSTILE.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
    return re.sub(r"##(?=\w*\[)", r"#\\u0023", plain)


def say(text: str) -> None:
    """Print text on standard error; only its first line begins in the first column."""
    first, *others = text.splitlines() or [""]
    lines = [first, *(line if line.startswith((_INDENT, "\t")) else f"{_INDENT}{line}" for line in others)]
    sys.stderr.write(printable("\n".join(line.rstrip("\n") for line in lines)) + "\n")

"""Text from outside as one harmless line: what every rendering of a name, a label or a reply goes through."""

from __future__ import annotations

import re
from typing import Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
# Marks that reorder what follows.
_REORDERING: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Control characters but tab and newline, separators of lines, marks, surrogates, code points no XML document may hold.
HOSTILE: Final = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_REORDERING}\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """`text` on one line, without control characters, lone surrogates and marks that reorder what follows."""
    return HOSTILE.sub(REPLACEMENT, " ".join(text.splitlines()).replace("\t", " "))

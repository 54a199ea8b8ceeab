"""What a terminal shows at 60 and 80 columns, and a pipe at 100: no line is wider, and no word is broken."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from tests.report.made_up import documents, variants

from edgekit.report import check, comparison, terminal, tune

# Where a table becomes blocks, the first cell of a row is their headline and needs no header.
FIRST = {"artifact", "target"}
LONG = "a-network-with-a-rather-long-name"
PRINTED: dict[str, tuple[Callable[[Any, Console], None], Any]] = {
    "report": (terminal.render, variants.passed()),
    "report of many": (terminal.render, variants.several_sizes()),
    "failed report": (terminal.render, variants.failed()),
    "compare": (comparison.render, documents.comparison(LONG)),
    "check": (check.render, documents.checked(LONG)),
    "tune": (tune.render, documents.tuned(LONG)),
}


def printed(name: str, width: int) -> str:
    render, document = PRINTED[name]
    buffer = io.StringIO()
    render(document, Console(file=buffer, width=width))
    return buffer.getvalue()


def words(text: str) -> set[str]:
    return {word for word in text.split() if re.search(r"\w", word)}


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", PRINTED)
def test_no_word_is_broken_and_no_line_is_too_wide(name: str, width: int) -> None:
    text = printed(name, width)

    whole = {word for word in words(printed(name, 400)) if len(word) <= width - 8}
    assert max(map(len, text.splitlines())) <= width
    assert whole - words(text) - FIRST == set()

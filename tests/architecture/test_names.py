"""A public class has a name of its own in the whole package: one word, one thing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOTS: Final = ("src/edgekit", "train", "export", "runtime", "devices")
_CLASS: Final = re.compile(r"^class ([A-Za-z]\w*)", re.MULTILINE)
# The runner is one file that ships alone: it opens the same sessions without this package.
_TWICE: Final = {"OnnxSession"}


def classes(repository: Path) -> list[str]:
    """Names of all public classes at the top of modules."""
    links = {repository / "src" / "edgekit" / name for name in ROOTS}
    files = [path for root in ROOTS for path in (repository / root).rglob("*.py") if links.isdisjoint(path.parents)]
    return [name for path in files for name in _CLASS.findall(path.read_text(encoding="utf-8"))]


def test_no_class_name_stands_for_two_concepts(repository: Path) -> None:
    names = classes(repository)

    assert {name for name in names if names.count(name) > 1} == _TWICE

"""`edgekit` on PyPI is another project's package: no text of this repository leads there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Options and other packages may stand between; a path, `edgekit-onnx` and the next command of a line may not match.
INSTALLED = re.compile(r"\bpip3? (?:install|download|wheel)\b[^\n;|&`#)]*?[\s\"'=]edgekit(?![\w./-])")
# A requirement with extras or a version: `edgekit[cpu]`, `edgekit>=0.1`.
REQUIRED = re.compile(r"(?<![\w./\[-])edgekit(?:\[[a-z]|\s*[=<>~]=\s*\d)")
THIS = Path(__file__).name


def leads_there(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if INSTALLED.search(line) or REQUIRED.search(line):
            yield line


def test_no_text_installs_the_foreign_package(tree: Path) -> None:
    found = []
    for path in sorted(path for path in tree.rglob("*") if path.is_file() and path.name != THIS):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(tree)}: {line.strip()}" for line in leads_there(text)]

    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "pip install edgekit",
        'pip install "edgekit[cpu,export]"',
        "run `pip install --upgrade edgekit` in",
        "python -m pip install -qq click edgekit",
        "    edgekit[export]",
        "edgekit==0.1.0",
    ],
)
def test_the_search_sees_the_old_form(line: str) -> None:
    assert list(leads_there(line))


@pytest.mark.parametrize(
    "line",
    [
        "pip install edgekit-onnx",
        'pip install "dist/edgekit_onnx-0.1.0-py3-none-any.whl[cpu]"',
        "pip install ./edgekit",
        'pip install ".[cpu]" && edgekit doctor',
        "pip uninstall -y edgekit edgekit-onnx && pip install .",
        '"edgekit-onnx[cpu] @ git+https://host/edgekit"',
    ],
)
def test_the_search_leaves_right_forms(line: str) -> None:
    assert not list(leads_there(line))

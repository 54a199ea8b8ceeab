"""Every Python that the program starts is kept away from the current folder, which others may have filled."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.architecture.test_layout import modules

PROTECTED = ("-P", "-I")
MODES = ("-c", "-m")
# Processes of multiprocessing obey only the environment, which this function sets for the call.
SPAWNING, GUARD = "get_context", "away_from_here"


def unprotected(source: str) -> Iterator[str]:
    """Commands of Python in the source without `-P` or `-I`, and functions that spawn without the guard."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple) and node.elts and _starts_python(node.elts):
            second = node.elts[1] if len(node.elts) > 1 else None
            if not (isinstance(second, ast.Constant) and second.value in PROTECTED):
                yield ast.unparse(node)
        if isinstance(node, ast.FunctionDef) and SPAWNING in ast.unparse(node) and not _is_guarded(node):
            yield node.name


def _is_guarded(function: ast.FunctionDef) -> bool:
    return any(GUARD in ast.unparse(one) for one in function.decorator_list)


def _starts_python(elements: list[ast.expr]) -> bool:
    """Whether the list is the command of a Python: `sys.executable`, or another value before `-c` or `-m`."""
    first, *others = elements
    if ast.unparse(first) == "sys.executable":
        return True
    options = [one.value for one in others[:2] if isinstance(one, ast.Constant)]
    return not isinstance(first, ast.Constant | ast.Starred) and any(mode in options for mode in MODES)


def test_the_program_starts_no_python_that_imports_from_the_current_folder(repository: Path) -> None:
    product = [
        path for path in modules(repository) if path.relative_to(repository).parts[0] not in ("tests", "benchmarks")
    ]

    found = {str(path.relative_to(repository)): list(unprotected(path.read_text(encoding="utf-8"))) for path in product}

    assert {path: starts for path, starts in found.items() if starts} == {}


@pytest.mark.parametrize(
    "line",
    [
        "run([sys.executable, '-c', code])",
        "run([python, '-m', 'venv', folder])",
        "run([str(folder / 'python'), '-m', 'pip'])",
        "def f():\n    multiprocessing.get_context('spawn')",
    ],
)
def test_a_start_without_the_option_is_found(line: str) -> None:
    assert len(list(unprotected(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "run([sys.executable, '-P', '-m', 'edgekit'])",
        "run([python, '-I', '-c', code])",
        "run(['git', 'commit', '-m', text])",
        "@away_from_here()\ndef f():\n    multiprocessing.get_context('spawn')",
    ],
)
def test_a_protected_start_is_let_through(line: str) -> None:
    assert list(unprotected(line)) == []

"""Walks every text that people read: literals of the source, help texts, documentation.

`python -m tests.english.walk` lists every hit in the source.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
RULES: Final = Path(__file__).with_name("idioms.toml")
# Takes the place of the values in a message.
GAP: Final = "…"
# Written by programs: docs/cli.md is the help texts, which are walked in the source.
GENERATED: Final = ("docs/cli.md",)
_ROOMS: Final = ("src/edgekit", "train", "export", "runtime", "devices")
_TEXTS: Final = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "action.yml")
_FENCES: Final = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_LITERALS: Final = re.compile(r"`[^`\n]*`|\]\([^)\n]*\)|https?://\S+")


@dataclass(frozen=True)
class Text:
    """A piece of text with the file and the line that it begins in."""

    file: str
    line: int
    content: str


@dataclass(frozen=True)
class Rule:
    """A pattern that must not occur, and what to write instead."""

    pattern: str
    instead: str
    unless: str = ""

    @property
    def regex(self) -> re.Pattern[str]:
        """The pattern between word boundaries; a space in it matches any white space."""
        return re.compile(rf"\b(?:{self.pattern})\b".replace(" ", r"\s+"), re.IGNORECASE)


@dataclass(frozen=True)
class Hit:
    """One place where a rule is broken."""

    file: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: '{self.found}': {self.instead}"


@cache
def settings() -> dict[str, object]:
    """`idioms.toml`."""
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


def rules(table: str) -> tuple[Rule, ...]:
    """The rules of a table of `idioms.toml`, `idiom` or `term`."""
    found = settings()[table]
    assert isinstance(found, list)
    return tuple(Rule(one["pattern"], one["instead"], one.get("unless", "")) for one in found)


def hits(texts: Iterator[Text]) -> list[Hit]:
    """Every place in `texts` where a rule is broken."""
    every = [(rule, rule.regex) for table in ("idiom", "term") for rule in rules(table)]
    return [
        Hit(text.file, text.line + text.content.count("\n", 0, match.start()), " ".join(match[0].split()), rule.instead)
        for text in texts
        for rule, regex in every
        for match in regex.finditer(text.content)
        if not _allowed(rule, text.content, match)
    ]


def _allowed(rule: Rule, content: str, match: re.Match[str]) -> bool:
    """Whether what surrounds a match makes it one of the exceptions of its rule."""
    around = " ".join(content[max(match.start() - 24, 0) : match.end() + 24].split())
    return bool(rule.unless and re.search(rule.unless, around, re.IGNORECASE))


def documentation() -> Iterator[Text]:
    """Pages, readmes and examples; of Markdown the prose alone, without code, quoted names and output."""
    folders = [path for name in ("docs", "examples", "benchmarks") for path in sorted((ROOT / name).rglob("*"))]
    for path in [ROOT / name for name in _TEXTS] + [path for path in folders if path.is_file()]:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".md" and name not in GENERATED:
            yield Text(name, 1, prose(path.read_text(encoding="utf-8")))
        elif path.name == "action.yml" or (name.startswith("examples/") and path.suffix != ".pyc"):
            yield Text(name, 1, path.read_text(encoding="utf-8"))


def prose(page: str) -> str:
    """A page in which blank space takes the place of code and links, line for line."""
    return _LITERALS.sub(GAP, _FENCES.sub(lambda match: "\n" * match[0].count("\n"), page))


def literals() -> Iterator[Text]:
    """Every text of two words and more in the source, public docstrings included, and the templates of reports."""
    for path in sorted(path for room in _ROOMS for path in (ROOT / room).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(tuple(f"src/edgekit/{link}/" for link in _ROOMS[1:])):
            yield from (Text(name, node.lineno, content) for node, content in _strings(path.read_text("utf-8")))
    for path in sorted((ROOT / "src/edgekit/report/templates").glob("*.html")):
        yield Text(path.relative_to(ROOT).as_posix(), 1, path.read_text(encoding="utf-8"))


def _strings(source: str) -> Iterator[tuple[ast.expr, str]]:
    tree = ast.parse(source)
    skipped = {id(node) for node in _private_docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield from _readable(node, "".join(map(_part, node.values)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield from _readable(node, node.value)


def _readable(node: ast.expr, content: str) -> Iterator[tuple[ast.expr, str]]:
    if re.search(r"[a-z…]\W* +\W*[a-z]", content, re.IGNORECASE):
        yield node, content


def _part(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else GAP


def _private_docstrings(tree: ast.AST) -> Iterator[ast.expr]:
    """The docstring of every function and class whose name begins with an underscore."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name.startswith("_"):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


if __name__ == "__main__":
    print(*hits(literals()), sep="\n")

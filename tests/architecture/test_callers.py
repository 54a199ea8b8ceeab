"""Everything that a module defines is used by the product: what only tests call is deleted."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.architecture import trees

import edgekit

TOP = ("train", "export", "runtime", "devices")
# What no code of ours names, and who uses it.
CALLED_FROM_OUTSIDE = {
    "edgekit:__getattr__": "Python, for the names of edgekit.__all__",
    "edgekit.qat:__all__": "Python, for the names that users import",
    "edgekit:__dir__": "Python, for dir(edgekit)",
    "edgekit.pytest_plugin:pytest_addoption": "pytest",
    "edgekit.pytest_plugin:pytest_configure": "pytest",
    "edgekit.runtime.portable.deployed:main": "the start of a deployed program",
    "edgekit.runtime.portable.inputs:read_input": "the module next to it in a deployed program, by a relative import",
}
# Decorators that register what they stand above.
REGISTERING = re.compile(r"(click|command|main)\.(command|group)\(|pytest\.fixture")
TEXT = re.compile(r"\b(edgekit[\w.]*):(\w+)")
DOCUMENTED = re.compile(r"from (edgekit[\w.]*) import (\w+)")

Reference = tuple[str, str]

# What Alembic reads and calls in each step of a migration.
STEP = re.compile(r"edgekit\.store\.migrations\.versions\.step_\d{4}:(revision|down_revision|upgrade)")


@dataclass
class Product:
    """Every module by its dotted name, and what the modules name."""

    trees: dict[str, ast.Module]
    references: set[Reference] = field(default_factory=set)
    attributes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for module, tree in self.trees.items():
            _Names(self, module, tree).collect()

    def unused(self) -> Iterator[str]:
        """`module:name` of every definition that nothing else names."""
        for module, tree in self.trees.items():
            for node in tree.body:
                for name in defined_by(node):
                    if (module, name) not in self.references and not is_registered(node):
                        yield f"{module}:{name}"

    def uncalled(self) -> Iterator[str]:
        """`module:Class.method` of every method whose name is no attribute anywhere but in itself."""
        for module, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not self._is_foreign(module, node):
                    yield from (f"{module}:{node.name}.{name}" for name in self._uncalled_of(node))

    def _uncalled_of(self, node: ast.ClassDef) -> Iterator[str]:
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("__"):
                own = sum(isinstance(one, ast.Attribute) and one.attr == method.name for one in ast.walk(method))
                if self.attributes[method.name] == own:
                    yield method.name

    def _is_foreign(self, module: str, node: ast.ClassDef) -> bool:
        """True for a class of somebody else's framework, which calls its methods itself."""
        return any(isinstance(base, ast.Attribute) or self._inherits(module, base) for base in node.bases)

    def _inherits(self, module: str, base: ast.expr) -> bool:
        inner = [node for node in self.trees[module].body if isinstance(node, ast.ClassDef)]
        return any(
            isinstance(base, ast.Name) and node.name == base.id and self._is_foreign(module, node) for node in inner
        )


class _Names:
    """Collects what one module names."""

    def __init__(self, product: Product, module: str, tree: ast.Module) -> None:
        self.product, self.module, self.tree = product, module, tree
        self.modules: dict[str, str] = {}

    def collect(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                self._import(node)
        for statement in self.tree.body:
            own = set(defined_by(statement))
            for node in ast.walk(statement):
                self._name(node, own)

    def _import(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            if full in self.product.trees:
                self.modules[alias.asname or alias.name] = full
            else:
                self.product.references.add((str(node.module), alias.name))

    def _name(self, node: ast.AST, own: set[str]) -> None:
        references = self.product.references
        if isinstance(node, ast.Name) and node.id not in own:
            references.add((self.module, node.id))
        elif isinstance(node, ast.Attribute):
            self.product.attributes[node.attr] += 1
            if isinstance(node.value, ast.Name) and node.value.id in self.modules:
                references.add((self.modules[node.value.id], node.attr))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            references |= set(TEXT.findall(node.value))
            # A module that is named whole, such as the tracer of a format, is used through a protocol.
            for statement in self.product.trees.get(node.value * (node.value.count(".") > 1), ast.Module([], [])).body:
                references |= {(node.value, name) for name in defined_by(statement)}


def defined_by(node: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []


def is_registered(node: ast.stmt) -> bool:
    return any(REGISTERING.match(ast.unparse(one)) for one in getattr(node, "decorator_list", []))


def modules_of(repository: Path) -> Iterator[tuple[str, Path]]:
    folders = {"edgekit": repository / "src" / "edgekit"} | {f"edgekit.{name}": repository / name for name in TOP}
    for package, folder in folders.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if package != "edgekit" or parts[0] not in TOP:
                yield ".".join((package, *parts)).removesuffix(".__init__"), path


@pytest.fixture(scope="module")
def product(repository: Path) -> Product:
    found = Product({name: trees.tree(path.read_text(encoding="utf-8")) for name, path in modules_of(repository)})
    folders = ("src/edgekit/report/pages/templates", "src/edgekit/dashboard/templates")
    for page in (path for folder in folders for path in (repository / folder).iterdir()):
        found.attributes.update(re.findall(r"\.(\w+)", page.read_text(encoding="utf-8")))
    for example in (repository / "examples").glob("*.py"):
        found.attributes.update(re.findall(r"\.(\w+)", example.read_text(encoding="utf-8")))
    for page in [repository / "README.md", *(repository / "docs").glob("*.md")]:
        found.references |= set(DOCUMENTED.findall(page.read_text(encoding="utf-8")))
    return found


def test_everything_defined_is_used_exported_or_registered(product: Product) -> None:
    public = {f"edgekit:{name}" for name in edgekit.__all__}

    unused = {name for name in product.unused() if not STEP.fullmatch(name)}

    assert unused - public == set(CALLED_FROM_OUTSIDE)


def test_every_method_is_called(product: Product) -> None:
    assert list(product.uncalled()) == []


MODULE = """
import click
from edgekit.other import helper, table
LIMIT = 1
def used(): return LIMIT
def again(): return again()
def main(): return used(), table.ROW
@click.command()
def command(): pass
class Row:
    def shown(self): return self.hidden()
    def hidden(self): return 1
class Own(click.Command):
    def format_help(self): pass
START = "edgekit.a:main"
"""
TABLE = "ROW = 1\nOTHER = 2\n"


def test_the_search_for_callers_sees_what_it_should() -> None:
    found = Product({"edgekit.a": ast.parse(MODULE), "edgekit.other.table": ast.parse(TABLE)})

    assert sorted(found.unused()) == [
        "edgekit.a:Own",
        "edgekit.a:Row",
        "edgekit.a:START",
        "edgekit.a:again",
        "edgekit.other.table:OTHER",
    ]
    assert list(found.uncalled()) == ["edgekit.a:Row.shown"]

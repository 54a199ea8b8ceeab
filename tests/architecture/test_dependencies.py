"""What setup.cfg declares and what the source imports are the same packages, extra by extra."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.architecture.trees import nodes

from edgekit.core.system.installation import DISTRIBUTION, EXTRAS, requirement
from edgekit.flows.doctor import PACKAGES

PRODUCT = (
    "src/edgekit/core",
    "src/edgekit/report",
    "src/edgekit/store",
    "src/edgekit/dashboard",
    "src/edgekit/flows",
    "src/edgekit/cli",
)
TOP = ("train", "export", "runtime", "devices")
FOLDERS = {"train/": "train", "src/edgekit/store/": "history", "src/edgekit/dashboard/": "dashboard"}
# Distributions whose modules have another name.
MODULES = {
    "ai-edge-litert": "ai_edge_litert",
    "cyclonedx-python-lib": "cyclonedx",
    "onnxruntime-gpu": "onnxruntime",
    "pillow": "PIL",
    "protobuf": "google",
    "scikit-learn": "sklearn",
}
# Modules that nothing imports by a literal name, and why they are declared.
IMPORTED_ELSEWHERE = {
    "tflite-runtime": "runtime/portable/runner.py imports it by the name of the engine it was asked for"
}
# Imports that nobody declares, and why.
UNDECLARED = {
    "pytest": "pytest_plugin.py is imported by pytest alone",
    "no_such_package_anywhere": "a test of what happens where a package is missing",
}
# What developers run and no test imports.
TOOLS = {"build", "import-linter", "mypy", "pytest-cov", "pytest-timeout", "pytest-xdist", "ruff", "setuptools"}


@dataclass(frozen=True)
class Import:
    """One import of a foreign package; `extra` is the one that `need` names, or that of the folder, or none."""

    module: str
    extra: str
    place: str


def module_of(distribution: str) -> str:
    return MODULES.get(distribution, distribution.replace("-", "_"))


def distributions(text: str) -> Iterator[str]:
    """The names in a requirement list, without versions and markers; `edgekit-onnx[...]` stays as it is."""
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.match(r"edgekit-onnx\[[\w,-]+\]|[\w.-]+", line)
        assert match is not None, line
        yield match[0]


def included(name: str) -> list[str]:
    """The extras in `edgekit-onnx[...]`; none for every other requirement."""
    inner = name.removeprefix(f"{DISTRIBUTION}[")
    return [] if inner == name else inner.removesuffix("]").split(",")


class Declared:
    """The requirements of setup.cfg."""

    def __init__(self, repository: Path) -> None:
        config = configparser.ConfigParser()
        config.read(repository / "setup.cfg", encoding="utf-8")
        self.core = set(distributions(config["options"]["install_requires"]))
        self.own = {name: set(distributions(text)) for name, text in config["options.extras_require"].items()}
        self.typing = next(name for name in config.sections() if name.startswith("mypy-torch"))

    def whole(self, extra: str) -> set[str]:
        """Every distribution that `extra` brings, those of other extras included."""
        found = set()
        for name in self.own[extra]:
            inner = included(name)
            found |= {name} if not inner else set().union(*map(self.whole, inner))
        return found

    def modules(self, extra: str) -> set[str]:
        """What may be imported where `extra` is installed."""
        return {module_of(name) for name in self.core | (self.whole(extra) if extra else set())}


@pytest.fixture(scope="module")
def declared(repository: Path) -> Declared:
    return Declared(repository)


def sources(repository: Path, *folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((repository / folder).rglob("*.py"))]
    return found + sorted((repository / "src/edgekit").glob("*.py")) * ("src/edgekit/core" in folders)


def is_foreign(module: str) -> bool:
    return module not in sys.stdlib_module_names and module not in {
        "edgekit",
        "tests",
        "benchmarks",
        "install",
        "audit",
    }


def plain_imports(source: str) -> Iterator[str]:
    for node in nodes(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def needs(source: str) -> Iterator[tuple[str, str]]:
    """Module and extra of every `need("module", extra="extra")`."""
    for node in nodes(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "need":
            (module,), (extra,) = node.args, [word.value for word in node.keywords]
            yield ast.literal_eval(module), ast.literal_eval(extra)


def imports_of(path: Path, place: str) -> Iterator[Import]:
    source = path.read_text(encoding="utf-8")
    # Nothing in these folders runs without its extra; elsewhere a plain import must work in the smallest installation.
    folder = next((extra for start, extra in FOLDERS.items() if place.startswith(start)), "")
    found = [(module, folder) for module in plain_imports(source)] + list(needs(source))
    for module, extra in found:
        root = module.partition(".")[0]
        if is_foreign(root):
            yield Import(root, extra, place)


@pytest.fixture(scope="module")
def imported(repository: Path) -> list[Import]:
    """Every foreign import of the product, those for type checkers included where the layer allows them."""
    return [
        found
        for path in sources(repository, *PRODUCT, *TOP)
        for found in imports_of(path, str(path.relative_to(repository)))
    ]


def test_every_imported_package_is_declared_in_its_extra(imported: list[Import], declared: Declared) -> None:
    missing = [
        found
        for found in imported
        if found.module not in declared.modules(found.extra) and found.module not in UNDECLARED
    ]

    assert missing == []


def test_every_declared_package_is_imported(imported: list[Import], declared: Declared) -> None:
    modules = {found.module for found in imported}
    own = declared.core.union(*(names for extra, names in declared.own.items() if extra not in {"all", "dev"}))

    unused = {name for name in own if not included(name) and module_of(name) not in modules}

    assert unused == set(IMPORTED_ELSEWHERE)


def test_every_extra_is_asked_for_or_installs_what_is(imported: list[Import], declared: Declared) -> None:
    asked = {found.extra for found in imported} | {"gpu", "tflite-legacy", "all", "dev"}

    assert set(declared.own) - asked == set()


@pytest.fixture(scope="module")
def tested(repository: Path) -> set[str]:
    """The foreign modules that tests and benchmarks import."""
    texts = (path.read_text(encoding="utf-8") for path in sources(repository, "tests", "benchmarks"))
    return {root for text in texts for name in plain_imports(text) if is_foreign(root := name.partition(".")[0])}


def test_tests_and_benchmarks_import_what_development_installs(tested: set[str], declared: Declared) -> None:
    assert tested - declared.modules("dev") - set(UNDECLARED) == set()
    own = {name for name in declared.own["dev"] if not included(name)}
    assert {name for name in own if module_of(name) not in tested} == TOOLS


def test_the_type_check_ignores_only_packages_that_are_used(
    imported: list[Import], tested: set[str], declared: Declared
) -> None:
    ignored = {pattern.removesuffix(".*") for pattern in declared.typing.removeprefix("mypy-").split(",")}

    assert ignored - {found.module for found in imported} - tested == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_what_doctor_offers_to_install_has_a_version(name: str) -> None:
    assert re.fullmatch(rf"{name}[=>]=[\d.]+", requirement(name))


def test_hints_install_what_setup_cfg_declares(repository: Path) -> None:
    config = configparser.ConfigParser()
    config.read(repository / "setup.cfg", encoding="utf-8")
    declared = {
        name: tuple(filter(None, map(str.strip, text.splitlines())))
        for name, text in config["options.extras_require"].items()
        if name not in {"all", "dev"}
    }

    assert declared == EXTRAS
    assert config["metadata"]["name"] == DISTRIBUTION


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import psutil", [("psutil", "")]),
        ("from rich.console import Console", [("rich", "")]),
        ("import os, edgekit.core", []),
        ('need("onnx.helper", extra="export").x', [("onnx", "export")]),
    ],
)
def test_the_search_for_imports_sees_what_it_should(
    source: str, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)

    assert [(found.module, found.extra) for found in imports_of(path, "runtime/module.py")] == expected

"""Folders, links, the mapping in setup.cfg and the package list say the same."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.architecture.trees import nodes

TOP = ("train", "export", "runtime", "devices")


@pytest.fixture(scope="module")
def setup_cfg(repository: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(repository / "setup.cfg", encoding="utf-8")
    return config


def words(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def mapping(config: configparser.ConfigParser) -> dict[str, str]:
    pairs = (line.partition("=") for line in words(config["options"]["package_dir"]))
    return {package.strip(): folder.strip() for package, _, folder in pairs}


def folders_with_modules(root: Path) -> Iterator[Path]:
    """Every folder under `root`, not through links, that holds Python files."""
    for folder in (root, *(path for path in sorted(root.rglob("*")) if path.is_dir())):
        through_link = any(part.is_symlink() for part in (folder, *folder.parents) if part.is_relative_to(root))
        if not through_link and folder.name != "__pycache__" and any(folder.glob("*.py")):
            yield folder


def packages_on_disk(repository: Path) -> set[str]:
    inner = repository / "src" / "edgekit"
    found = {".".join(("edgekit", *folder.relative_to(inner).parts)) for folder in folders_with_modules(inner)}
    for name in TOP:
        found |= {
            ".".join(("edgekit", *folder.relative_to(repository).parts))
            for folder in folders_with_modules(repository / name)
        }
    return found


def modules(repository: Path) -> list[Path]:
    """Every Python file of the project, each once."""
    roots = [repository / name for name in ("src/edgekit", *TOP, "tests", "benchmarks")]
    return [
        path for root in roots if root.is_dir() for folder in folders_with_modules(root) for path in folder.glob("*.py")
    ]


def test_the_mapping_names_the_package_and_the_four_folders(setup_cfg: configparser.ConfigParser) -> None:
    assert mapping(setup_cfg) == {"edgekit": "src/edgekit"} | {f"edgekit.{name}": name for name in TOP}


def test_every_package_on_disk_is_listed_and_every_listed_one_is_there(
    repository: Path, setup_cfg: configparser.ConfigParser
) -> None:
    listed = words(setup_cfg["options"]["packages"])

    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == packages_on_disk(repository)


def test_every_package_has_an_init_file(repository: Path) -> None:
    roots = [repository / "src" / "edgekit", *(repository / name for name in TOP)]

    assert [
        str(folder) for root in roots for folder in folders_with_modules(root) if not (folder / "__init__.py").is_file()
    ] == []


@pytest.mark.parametrize("name", TOP)
def test_a_link_shows_each_folder_inside_the_package(name: str, repository: Path) -> None:
    link = repository / "src" / "edgekit" / name

    assert link.is_symlink()
    assert link.readlink() == Path("..", "..", name)
    assert link.resolve() == (repository / name).resolve()


def test_package_data_belongs_to_a_listed_package_and_exists(
    repository: Path, setup_cfg: configparser.ConfigParser
) -> None:
    for package, patterns in setup_cfg["options.package_data"].items():
        folder = repository / "src" / Path(*package.split("."))

        assert package in words(setup_cfg["options"]["packages"])
        for pattern in words(patterns):
            assert list(folder.glob(pattern)), f"{package}: no file matches {pattern}"


def test_no_file_imports_a_folder_by_its_bare_name(repository: Path) -> None:
    found = []
    for path in modules(repository):
        for node in nodes(path.read_text(encoding="utf-8")):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            found += [f"{path}:{name}" for name in names if name.split(".")[0] in TOP]

    assert found == []


def test_the_walk_over_modules_sees_every_layer(repository: Path) -> None:
    seen = {str(path.relative_to(repository)) for path in modules(repository)}

    assert {"src/edgekit/core/errors.py", "runtime/backend.py", "devices/device.py", "tests/conftest.py"} <= seen
    assert not any(name.startswith("src/edgekit/runtime/") for name in seen)


def test_every_entry_point_names_something_that_exists(setup_cfg: configparser.ConfigParser, repository: Path) -> None:
    for group in setup_cfg["options.entry_points"].values():
        for line in words(group):
            module, _, attribute = line.partition("=")[2].strip().partition(":")
            source = repository / "src" / Path(*module.split(".")).with_suffix(".py")
            tree = ast.parse(source.read_text(encoding="utf-8"))

            assert not attribute or attribute in {
                node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
            }

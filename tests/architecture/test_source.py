"""House rules that no other tool checks, and pages that repeat what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.architecture.trees import nodes

from edgekit.core import errors
from edgekit.core.errors import EdgekitError

SHIPPED = tuple(f"src/edgekit/{name}" for name in ("core", "report", "store", "dashboard", "flows", "cli"))
TOP = ("train", "export", "runtime", "devices")
# A suppression names the rule and then the reason.
CODES = re.compile(r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w,\s-]+\])(?P<reason>.*)$")
BROAD = {"Exception", "BaseException"}
# Programs of their own, which answer on standard output: they run on the device and import nothing of edgekit.
PROGRAMS = {"runtime/portable/runner.py", "runtime/portable/deployed.py"}


@pytest.fixture(scope="module")
def sources(repository: Path) -> dict[str, str]:
    """Every shipped module by its path from the root."""
    paths = [path for folder in (*SHIPPED, *TOP) for path in sorted((repository / folder).rglob("*.py"))]
    paths += sorted((repository / "src" / "edgekit").glob("*.py"))
    return {str(path.relative_to(repository)): path.read_text(encoding="utf-8") for path in paths}


def test_msgspec_knows_every_type_before_it_is_used(sources: dict[str, str]) -> None:
    """Threads that meet a type together would crash the process: see `native.types.prepared`."""
    reading = {"json.decode", "msgpack.decode", "convert", "json.Decoder", "msgpack.Decoder"}
    calls = [
        (f"{path}:{node.lineno}", node)
        for path, text in sources.items()
        for node in nodes(text)
        if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("msgspec.") in reading
    ]
    kinds = {place: kind for place, node in calls if (kind := _kind_of(node)) is not None}

    unknown = [place for place, kind in kinds.items() if not (_is_prepared(kind) or _is_built_in(kind))]

    assert len(kinds) > 20
    assert [place.partition(":")[0] for place in unknown] == ["src/edgekit/core/system/native/types.py"]


def _kind_of(call: ast.Call) -> ast.expr | None:
    named = [one.value for one in call.keywords if one.arg == "type"]
    place = 0 if ast.unparse(call.func).endswith("Decoder") else 1
    return next(iter([*named, *call.args[place : place + 1]]), None)


def _is_prepared(kind: ast.expr) -> bool:
    return isinstance(kind, ast.Call) and ast.unparse(kind.func) == "prepared"


def _is_built_in(kind: ast.expr) -> bool:
    return set(re.findall(r"\w+", ast.unparse(kind))) <= {"dict", "tuple", "str", "int", "float"}


def test_temporary_folders_are_made_where_they_get_an_owner(sources: dict[str, str]) -> None:
    makers = re.compile(r"mkdtemp|mkstemp|TemporaryDirectory\(|NamedTemporaryFile")
    found = {path for path, text in sources.items() if makers.search(text)}

    assert found == {"src/edgekit/core/system/durable/owners.py", "runtime/portable/deployed.py"}


@pytest.fixture(scope="module")
def everything(repository: Path, sources: dict[str, str]) -> dict[str, str]:
    """The same with tests and benchmarks."""
    paths = [path for folder in ("tests", "benchmarks") for path in sorted((repository / folder).rglob("*.py"))]
    return sources | {str(path.relative_to(repository)): path.read_text(encoding="utf-8") for path in paths}


def is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in BROAD for node in ast.walk(handler.type))


def raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def broad_handlers(source: str) -> Iterator[ast.ExceptHandler]:
    return (
        node for node in nodes(source) if isinstance(node, ast.ExceptHandler) and is_broad(node) and not raises(node)
    )


def unexplained(line: str) -> bool:
    """True for a suppression that names no code or gives no reason."""
    if not re.search(r"#\s*(?:noqa|type:\s*ignore)", line):
        return False
    match = CODES.search(line)
    return match is None or not match["reason"].strip(" #-")


def test_whoever_catches_everything_and_goes_on_says_why(sources: dict[str, str]) -> None:
    silent = [
        f"{name}:{handler.lineno}"
        for name, source in sources.items()
        for handler in broad_handlers(source)
        if "#" not in source.splitlines()[handler.lineno - 1]
    ]

    assert silent == []


def test_every_suppression_names_its_rule_and_its_reason(everything: dict[str, str]) -> None:
    found = [
        f"{name}:{number}"
        for name, source in everything.items()
        if name != "tests/architecture/test_source.py"
        for number, line in enumerate(source.splitlines(), 1)
        if unexplained(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("x = 1", False),
        ("x = 1  # noqa", True),
        ("x = 1  # noqa: S311", True),
        ("x = 1  # noqa: S311 an order, no secret", False),
        ("x = 1  # noqa: S311, N802 - an order, no secret", False),
        ("x = 1  # type: ignore", True),
        ("x = 1  # type: ignore[misc]", True),
        ("x = 1  # type: ignore[misc, arg-type]  # torch is not followed", False),
    ],
)
def test_the_check_of_suppressions_sees_what_it_should(line: str, wrong: bool) -> None:
    assert unexplained(line) is wrong


def test_only_the_command_line_prints(sources: dict[str, str]) -> None:
    prints = [
        f"{name}:{node.lineno}"
        for name, source in sources.items()
        if not name.startswith("src/edgekit/cli/") and name not in PROGRAMS
        for node in nodes(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]

    assert prints == []


def test_no_shipped_module_is_longer_than_four_hundred_lines(sources: dict[str, str]) -> None:
    lengths = {name: len(source.splitlines()) for name, source in sources.items()}

    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_every_error_class_is_documented_with_its_exit_code(repository: Path) -> None:
    page = (repository / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|$", page, re.MULTILINE))
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgekitError)]

    assert documented == {kind.__name__: str(kind.exit_code) for kind in classes}

"""Every command that edgekit prints, in hints, causes and help pages, is one that its command line reads."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import onnx
import pytest
from onnx import helper
from tests.flows import onnx_files
from tests.flows.onnx_files import dense

from edgekit.cli.program import COMMANDS, program

ROOT = Path(__file__).parents[2]
FOLDERS = ("src/edgekit", "export", "runtime", "devices", "train")
# What a value in a command may be: a number, a file, a name.
VALUES = ("1", "x.json", "x")
GROUPS = ("edgekit devices add", "edgekit tools install")
_NAMES = "|".join(COMMANDS)
# A heading has two spaces behind the name of its command.
_COMMAND = re.compile(rf"(?:^|[ :(])(edgekit (?:{_NAMES})\b(?!:|  )[^`\n]*)|'(edgekit (?:{_NAMES}) [^'`\n]*)'")
_ENDS = re.compile(r"   #|, then |, or |; |\)\.$|\.$| \||,$| > ")
_VERBS = "was|is|did|does|has|made|reads|writes|takes|supports|shows|sends|tells|compares|installs"
# Words behind a command in a sentence, not its arguments.
_PROSE = re.compile(rf"(?<=[a-z]) (?:{_VERBS})\b.*")


def texts(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, and the text with each of its values as one of VALUES, of all strings but docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if not isinstance(node, ast.Module) or node.body
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in documented or id(node) in inside:
            continue
        for value in VALUES:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, value, node.value
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else value for part in node.values)
                yield node.lineno, value, "".join(map(str, parts))


def commands() -> dict[str, list[str]]:
    """By place in the source: the command with every kind of value."""
    found: dict[str, list[str]] = {}
    for file in (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))):
        for line, _, text in texts(file):
            for place, match in enumerate(_COMMAND.finditer(text)):
                if match[2] and match[2] in GROUPS:  # a sentence about the command
                    continue
                words = _PROSE.sub("", _ENDS.split(match[1] or match[2])[0]).strip().rstrip("\\").strip()
                if words.count('"') % 2:  # inside "$( )" of a shell
                    words = words.removesuffix(')"')
                found.setdefault(f"{file.relative_to(ROOT)}:{line}:{place}", []).append(words)
    return found


def problem(command: str) -> str:
    """Why the command line does not read it; empty if it does."""
    try:
        words = shlex.split(command)[1:]
    except ValueError as err:
        return str(err)
    # A command keeps the help option of its first context, which other tests print.
    context = click.Context(program, **program.context_settings)
    parsed = program.get_command(context, words[0])
    assert parsed is not None
    rest = words[1:]
    if isinstance(parsed, click.Group) and rest and not rest[0].startswith("-"):
        _, parsed, rest = parsed.resolve_command(context, rest)
        assert parsed is not None
    try:
        parsed.make_context(words[0], list(rest), parent=context)
    except click.exceptions.Exit:  # --help
        return ""
    except click.ClickException as err:
        return err.format_message()
    return ""


def test_there_are_commands_to_look_at() -> None:
    assert len(commands()) > 100


@pytest.mark.parametrize(("place", "forms"), commands().items(), ids=str)
def test_a_printed_command_is_one_that_exists(place: str, forms: list[str]) -> None:
    problems = [problem(form) for form in forms]

    assert "" in problems, f"{place}: {forms[0]}: {problems[0]}"


FAILING = (
    "profile fixed.onnx --batch 1,8",
    "bundle inspect fixed.onnx",
    "bisect fixed.onnx a b",
    "tune nowhere",
    "compare fixed.onnx nowhere.onnx",
    "explain nowhere.json",
    "devices add local --ssh a",
    "devices check local",
    "devices check nothing",
    "export sequence.onnx --out made",
    "validate fixed.onnx",
    "run fixed.onnx",
    "list thing",
    "build fixed.onnx --target nothing",
    "check --config report.toml",
    "history accept --why x --config report.toml",
)


@pytest.mark.parametrize("command", FAILING)
def test_no_hint_leads_back_to_its_error(edgekit: Any, folder: Path, command: str) -> None:
    # 'devices add local' advised itself, 'export' of a sequence advised 'profile', which does not open it either.
    words, seen = shlex.split(command), [command]
    for _ in range(4):
        if not (hint := hint_of(edgekit(*words).err)):
            return
        words = shlex.split(hint)
        assert shlex.join(words) not in seen
        seen.append(shlex.join(words))
        if any(word.isupper() for word in words):  # what the user must fill in
            return


def hint_of(err: str) -> str:
    """The arguments of the command in the hint; empty if the hint is none."""
    hint = next((line[6:] for line in err.splitlines() if line.startswith("Hint: ")), "")
    return _ENDS.split(hint.removeprefix("edgekit "))[0] if hint.startswith("edgekit ") else ""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a fixed batch, one that returns a sequence, a configuration with a report that is not there."""
    dense(tmp_path / "fixed.onnx", batch=1)
    x, kind = onnx_files.tensor("x", ["N", 4]), onnx.TensorProto.FLOAT
    sequence = helper.make_tensor_sequence_value_info("parts", kind, None)
    nodes = [helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0)]
    onnx.save(onnx_files.model(nodes, [x], [sequence], []), str(tmp_path / "sequence.onnx"))
    text = '[[check.models]]\npath = "fixed.onnx"\nbaseline = "old.json"\n[check]\nlaunches = 5\n'
    (tmp_path / "report.toml").write_text(text)
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path

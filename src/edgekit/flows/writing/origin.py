"""What a build was made from, as its report keeps it: a build that is resumed notices what has changed since then.

Nothing is imported and nothing is run: the code of the user is found by the imports that its files contain.
"""

from __future__ import annotations

import ast
import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError
from edgekit.core.reports.report import BuildOrigin
from edgekit.core.system.files import sha256_bytes, sha256_file
from edgekit.export.factory_call import HUGGING_FACE, FactoryCall, is_factory, parse_factory
from edgekit.export.formats import is_model_file
from edgekit.flows.opening.external_data import self_contained
from edgekit.flows.opening.factories import portable
from edgekit.flows.opening.source import RUN_FILE, ExportOptions, SourceOptions, is_reference

_PATHS: Final = ("weights", "samples", "labels", "data")
# Of data sets, which may have many gigabytes, the names and sizes of the files.
_LARGE: Final = "data"
_NAMES: Final = {"inputs": "input", "states": "state", "raw": "with-preprocessing", "int8_time_s": "int8-time"}
# What changes no artifact.
_WITHOUT_EFFECT: Final = ("trust", "keep_going")


@dataclass(frozen=True)
class MadeFrom:
    """A source and the options of a build, as a user names them."""

    source: str
    options: SourceOptions
    how: ExportOptions

    def origin(self, earlier: BuildOrigin | None = None) -> BuildOrigin:
        """What would be made from, as it is now; options that are not given are those of `earlier`."""
        chosen = {**(earlier.options if earlier else {}), **dict(_given(self.options, self.how))}
        of_options = {_flag(name): _digest(Path(chosen[name]), name) for name in _PATHS if name in chosen}
        return BuildOrigin(self.source, chosen, {**dict(self._code()), **of_options})

    def _code(self) -> Iterator[tuple[str, str]]:
        """The files of the source, apart from options and installed packages, with the digest of each."""
        path = Path(self.source)
        if is_reference(self.source):
            return
        if (path / RUN_FILE).is_file():
            from edgekit.train.training_run import read_run

            for name in (RUN_FILE, read_run(path).weights):
                yield name, _digest(path / name)
        elif is_model_file(self.source):
            if path.is_file():
                with self_contained(path) as whole:
                    yield path.name, sha256_file(whole)
        elif is_factory(self.source) and not self.source.endswith(".py"):
            yield from _code_of(parse_factory(self.source))


def refuse_changed(earlier: BuildOrigin, now: BuildOrigin, out: Path) -> None:
    """Raise if a build was made from something else than what is there now.

    Raises:
        UserError: The message says what has changed; the hint converts it again.
    """
    changes = list(_changes(earlier, now))
    if changes:
        words = ["edgekit", "build", now.source, *_words(now), "--out", str(out), "--force"]
        raise UserError(
            f"The build in '{out}' was made from something else: {'; '.join(changes)}.",
            hint=f"{shlex.join(words)}   # converts it again",
        )


def _changes(earlier: BuildOrigin, now: BuildOrigin) -> Iterator[str]:
    """What differs, one phrase each."""
    before, after = _plain(earlier.source), _plain(now.source)
    if before != after:
        yield f"from '{before}', not from '{after}'"
        return
    for name in sorted({*earlier.options, *now.options} - {*_PATHS}):
        if earlier.options.get(name) != now.options.get(name):
            was = f"was '{earlier.options[name]}'" if name in earlier.options else "was not given"
            yield f"{_flag(name)} {was}"
    for name in sorted({*earlier.digests, *now.digests}):
        if earlier.digests.get(name) != now.digests.get(name):
            yield _changed(name, earlier.digests.get(name), now.digests.get(name))


def _changed(name: str, before: str | None, after: str | None) -> str:
    what = name if name.startswith("--") else f"'{name}'"
    if before is None:
        return f"{what} was not there"
    return f"{what} is not there any more" if not after else f"{what} has changed"


def _plain(source: str) -> str:
    """A source without the folder it is in, which may be typed in several ways."""
    if is_factory(source) and not source.endswith(".py"):
        return portable(parse_factory(source))
    return Path(source).name


def _given(options: SourceOptions, how: ExportOptions) -> Iterator[tuple[str, str]]:
    """The options that are not the defaults, as texts."""
    for values in (options, how):
        for field in dataclasses.fields(values):
            value = getattr(values, field.name)
            if value != field.default and field.name not in _WITHOUT_EFFECT:
                yield field.name, _text(field.name, value)


def _text(name: str, value: object) -> str:
    """The value of an option as it is typed; of one that is repeated, a line for each."""
    if isinstance(value, tuple):
        return "\n".join(map(str, value))
    return f"{100 * value:g}pt" if name == "max_drop" and isinstance(value, float) else str(value)


def _flag(name: str) -> str:
    return f"--{_NAMES.get(name, name.replace('_', '-'))}"


def _words(origin: BuildOrigin) -> Iterator[str]:
    """The options as they are typed."""
    for name, text in origin.options.items():
        for one in text.split("\n"):
            yield _flag(name)
            if one != str(True):
                yield one


def _digest(path: Path, option: str = "") -> str:
    """sha256 over a file, or over the names and contents of a folder; empty if there is neither."""
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        return ""
    files = sorted(one for one in path.rglob("*") if one.is_file())
    rows = [
        f"{one.relative_to(path).as_posix()}:{one.stat().st_size if option == _LARGE else sha256_file(one)}"
        for one in files
    ]
    return sha256_bytes("\n".join(rows).encode())


def _code_of(call: FactoryCall) -> Iterator[tuple[str, str]]:
    """The user's own files that a factory is made of."""
    if call.place == HUGGING_FACE:
        if (folder := Path(str(call.arguments[0]))).is_dir():
            yield folder.name, _digest(folder)
        return
    root = Path(call.place).resolve().parent if call.is_file else Path.cwd()
    first = [Path(call.place).resolve()] if call.is_file else list(_files_of(root, call.place))
    for path in _imported(root, first):
        yield path.relative_to(root).as_posix(), _digest(path)


def _imported(root: Path, first: list[Path]) -> list[Path]:
    """Files of `root`, and those of it that they import, directly or not."""
    found, todo = set[Path](), list(first)
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        todo += [file for name in _imports(path, root) for file in _files_of(root, name)]
    return sorted(found)


def _imports(path: Path, root: Path) -> Iterator[str]:
    """What a file may import, as full names; of `from a import b` also `a.b`."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # its own digest says when it changes
    package = path.parent.relative_to(root).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _files_of(root: Path, name: str) -> Iterator[Path]:
    """The files below `root` that importing a module runs: its own, and those of the packages around it."""
    parts = [part for part in name.split(".") if part.isidentifier()]
    for end in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:end])
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                yield file

"""`edgekit init`: a commented edgekit.toml for the models of a folder, and a workflow that checks them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.bundle import MANIFEST
from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.reports.setup.init import InitReport
from edgekit.core.system.check_settings import BASELINES, MADE
from edgekit.core.system.files import anything, refuse_existing, write_new
from edgekit.core.system.installation import origin
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import PROJECT_FILE
from edgekit.core.units import format_value
from edgekit.flows.opening.artifacts import FORMATS, example_sizes, opened
from edgekit.flows.opening.external_data import copy_model
from edgekit.flows.writing.workflows import WHEELS, workflow_of

MOST_MODELS: Final = 20
# A size has no noise: 10 % is room for work on the model, not for errors.
_ROOM: Final = 1.1
_DEPTH: Final = 3
_IGNORE: Final = ".gitignore"
_SKIPPED: Final = (MADE, BASELINES, WHEELS, "node_modules", "build", "dist", "venv", "site-packages")
_SUFFIXES: Final = (*(suffix for suffix in FORMATS if suffix != ".json"), ".edgekit")
_HEAD: Final = """\
# What 'edgekit check' measures and judges. docs/ci.md of edgekit lists every key.
[check]
target = ["local"]            # or devices of 'edgekit devices list', e.g. ["pi5"]
# budgets = ["latency.p90 <= 8 ms", "accuracy.drop <= 1 pt"]   # for every model; latencies of one machine only
inconclusive = "pass"         # printed and counted; "report" exits with 4, "fail" with 1
size_tolerance = 0.1          # a file may be 10 % larger than its baseline
"""


@dataclass(frozen=True)
class InitOrder:
    """The texts of the files to write and the models to copy as baselines, by path, and the models that they name."""

    files: Mapping[Path, str]
    baselines: Mapping[Path, Path]
    models: tuple[str, ...]
    remaining: tuple[str, ...]
    force: bool = False
    command: str = "init"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return (
            *(f"write '{path}'" for path in self.files),
            *(f"copy '{source}' to '{path}', its baseline" for path, source in self.baselines.items()),
        )

    def run(self, progress: Progress) -> InitReport:
        """Write the files."""
        for path, text in self.files.items():
            if path.name == _IGNORE:
                _ignore(path)
            else:
                write_new(path, text.encode(), force=self.force, may_replace=anything)  # files of its own name
        for path, source in self.baselines.items():
            copy_model(source, path, force=False)
        return InitReport(
            written=tuple(map(str, (*self.files, *self.baselines))), models=self.models, remaining=self.remaining
        )


@contextmanager
def init_order(folder: str | Path = ".", *, ci: str = "", force: bool = False) -> Iterator[InitOrder]:
    """Write `edgekit.toml` for the models below `folder`, and with `ci` (`github` or `gitlab`) a workflow.

    A copy of each model in `edgekit-baseline` is its baseline.

    Args:
        force: Replace the files if they exist; `.gitignore` is only added to, and baselines stay.

    Raises:
        UserError: There is no model, or a file exists.
    """
    root = Path(folder)
    models = find_models(root)
    if not models:
        raise UserError(
            f"'{root.resolve().name}' contains no bundle, .onnx or .tflite.",
            hint="edgekit export net.py:Net --samples samples.npz --to onnx-fp32 --out bundle",
        )
    files, remaining = {root / PROJECT_FILE: project_file(root, models)}, list[str]()
    if ci:
        workflow = workflow_of(ci, origin())
        files[root / workflow.path] = workflow.text
        remaining += workflow.remaining
    for path in files:
        refuse_existing(path, force=force, option="folder", may_replace=anything)
    files |= _ignoring(root)
    copies = {root / BASELINES / path.relative_to(root): path for path in models if _opens(path)}
    missing = {out: source for out, source in copies.items() if not out.exists()}
    yield InitOrder(
        files, missing, tuple(path.relative_to(root).as_posix() for path in models), tuple(remaining), force
    )


def find_models(root: Path) -> tuple[Path, ...]:
    """Bundles and model files below `root`, sorted; none inside of bundles, hidden folders or environments."""
    found: list[Path] = []
    for place, folders, names in os.walk(root):
        here = Path(place)
        inner = sorted(one for one in folders if one[0] != "." and one not in _SKIPPED)
        bundles = [one for one in inner if (here / one / MANIFEST).is_file()]
        found += [here / one for one in bundles]
        found += [here / name for name in names if Path(name).suffix in _SUFFIXES]
        deep = len(here.relative_to(root).parts) >= _DEPTH
        folders[:] = [] if deep else [one for one in inner if one not in bundles]
    return tuple(sorted(found)[:MOST_MODELS])


def project_file(root: Path, models: tuple[Path, ...]) -> str:
    """The text of `edgekit.toml`."""
    stems = [path.stem for path in models]
    parts = [_HEAD]
    for path in models:
        inner = path.relative_to(root)
        name = path.stem if stems.count(path.stem) == 1 else inner.as_posix().replace("/", "-")
        parts.append(_model(path, inner.as_posix(), name))
    return "\n".join(parts)


def _opens(path: Path) -> bool:
    try:
        with opened(path, with_samples=False):
            return True
    except EdgekitError:
        return False


def _model(path: Path, shown: str, name: str) -> str:
    """The table of one model; a comment if it cannot be opened here."""
    try:
        with opened(path, with_samples=False) as found:
            if not found.artifacts:
                return f"# '{shown}' contains no artifact\n"
            size = max(one.size_bytes for one in found.artifacts)
            sizes = example_sizes(found.spec) if found.is_described_by_file else []
    except EdgekitError as err:
        return f"# '{shown}' cannot be opened here: {' '.join(err.message.split())}\n"
    limit, present = (format_value(one, "bytes") for one in (size * _ROOM, size))
    lines = ["[[check.models]]", f"name = {json.dumps(name)}", f"path = {json.dumps(shown)}"]
    lines.append(
        f"baseline = {json.dumps(f'{BASELINES}/{shown}')}   # measured in turn with it; 'history accept' replaces it"
    )
    lines.append(f'budgets = ["size <= {limit}"]   # {present} now')
    if sizes:
        lines.append(f"sizes = {json.dumps(sizes)}   # an example: the sizes that you use")
    return "\n".join(lines) + "\n"


def _ignore(path: Path) -> None:
    """Add a line to `.gitignore` as it is now."""
    for file, text in _ignoring(path.parent).items():
        write_new(file, text.encode(), force=True, may_replace=anything)


def _ignoring(root: Path) -> dict[Path, str]:
    """`.gitignore` with what a check writes, unless it is there."""
    path = root / _IGNORE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if f"{MADE}/" in text.splitlines():
        return {}
    start = text if not text or text.endswith("\n") else f"{text}\n"
    return {path: f"{start}{MADE}/\n"}

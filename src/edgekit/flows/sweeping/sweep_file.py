"""The sweep file: which models, artifacts, targets, threads, batch sizes and backend versions are combined."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from edgekit.core.errors import UserError
from edgekit.core.system.check_settings import HISTORY_SUFFIX, said, unlike
from edgekit.core.system.confined.project_paths import inside
from edgekit.core.system.native.types import prepared
from edgekit.core.target import MAX_THREADS
from edgekit.flows.measuring.pairs import DEFAULT_PAIRS, DEFAULT_TIME_LIMIT_S
from edgekit.flows.sweeping.backend_versions import BackendVersion

_DOCUMENTED: Final = "docs/sweep.md lists every key."
_Ratio = Annotated[float, msgspec.Meta(gt=0, lt=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_Launches = Annotated[int, msgspec.Meta(ge=5, le=1000)]
_Threads = Annotated[int, msgspec.Meta(ge=1, le=MAX_THREADS)]
_Batch = Annotated[int, msgspec.Meta(ge=1, le=65536)]


class SweepFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All keys of the file. Paths are relative to it, and are in its folder.

    Attributes:
        models: Bundles, `.onnx` or `.tflite` files, at least one.
        artifact: Recipes or aliases of bundles; all artifacts by default.
        target: Targets, as `--target` names them.
        threads: Numbers of threads, each combined with each target.
        batch: Batch sizes.
        sizes: Sizes of the dynamic axes of bare files, e.g. 'T=64'.
        engine: Backend versions, e.g. 'onnxruntime==1.31.1'; the first is the reference of the others.
        launches: Fresh processes of each combination; with several backend versions, before the first evaluation.
        time_limit_s: How long each process keeps timing after warm-up, in seconds.
        minimum_effect: The smallest difference between backend versions that counts; by default that of the settings.
        alpha: Probability that any verdict says faster or slower of versions that are equally fast.
        results: The file that keeps every launch; by default that of the sweep file with the suffix `.jsonl`.
    """

    models: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    artifact: tuple[str, ...] = ()
    target: tuple[str, ...] = ("local",)
    threads: tuple[_Threads, ...] = ()
    batch: tuple[_Batch, ...] = (1,)
    sizes: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()
    launches: _Launches = DEFAULT_PAIRS
    time_limit_s: _Seconds = DEFAULT_TIME_LIMIT_S
    minimum_effect: _Ratio | None = None
    alpha: _Ratio = 0.05
    results: str = ""

    @property
    def engines(self) -> tuple[BackendVersion, ...]:
        """The backend versions, each once; errors as in `BackendVersion.parse`."""
        return tuple(dict.fromkeys(BackendVersion.parse(text) for text in self.engine))


def read_sweep(path: Path) -> SweepFile:
    """The sweep file at `path`, with the name of its results.

    A cloned repository may contain it, so it names only what is in its folder, and runs nothing.

    Raises:
        UserError: No such file, not TOML, a wrong name or value, or a place outside of its folder.
    """
    table = _table(path)
    problems = unlike(table, SweepFile.__struct_fields__, "")
    if problems:
        raise UserError(f"'{path}': {' '.join(problems)}", hint=_DOCUMENTED)
    try:
        found = msgspec.convert(table, prepared(SweepFile))
    except msgspec.ValidationError as err:
        raise UserError(f"'{path}': {said(err)}", hint=_DOCUMENTED) from err
    found = msgspec.structs.replace(found, results=found.results or path.with_suffix(HISTORY_SUFFIX).name)
    for place, text in enumerate(found.models):
        inside(path.parent, text, f"'{path}': models[{place}]")
    inside(path.parent, found.results, f"'{path}': results")
    if Path(found.results).suffix != HISTORY_SUFFIX:
        message = f"'{path}': results: '{found.results}' does not end with {HISTORY_SUFFIX}."
        raise UserError(message, hint=f'results = "sweep{HISTORY_SUFFIX}"')
    _ = found.engines
    return found


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise UserError(f"There is no file '{path}'.", hint=_DOCUMENTED) from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, OSError) as err:
        raise UserError(f"'{path}' is not TOML: {err}.") from err

"""The `[check]` table of `edgekit.toml`: what `edgekit check` measures and judges."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from edgekit.core.errors import UserError, nearest
from edgekit.core.system.confined.project_paths import inside
from edgekit.core.system.native.types import prepared
from edgekit.core.system.toml_lines import line_of

Policy = Literal["pass", "report", "fail"]
_Ratio = Annotated[float, msgspec.Meta(gt=0, lt=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0)]
_Launches = Annotated[int, msgspec.Meta(ge=5)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]

BaselineMetric = Literal["latency", "size", "accuracy", "memory", "instructions"]

MADE: Final = "edgekit-built"
BASELINES: Final = "edgekit-baseline"
HISTORY_FILE: Final = "edgekit-history.jsonl"
# No other program reads a file of this name as its own.
HISTORY_SUFFIX: Final = ".jsonl"
_PATHS: Final = ("path", "baseline", "samples", "weights", "end_to_end")
_EXAMPLE: Final = '[[check.models]] with path = "model.onnx"'


class CheckedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model to check. Paths are relative to the configuration file, and are in its folder.

    Attributes:
        path: A bundle, `.onnx` or `.tflite`.
        name: Its name in results and history; by default the path without its suffix.
        artifact: Recipes or aliases to check; by default the one that meets the budgets.
        target: Its own targets instead of those of the table.
        budgets: Its own budgets, in addition to those of the table.
        baseline: A bundle or model file, measured alternately with this one in the same job, or a report (`.json`).
        source: What `edgekit export` creates `path` from before each check; its code is run. `path` is then optional.
        to: Recipes of that export.
        inputs: Inputs of the source, e.g. 'x:float32[N,1,28,28]'; of a bare file their values, e.g. 'sr=16000'.
        sizes: Sizes of its dynamic axes, e.g. 'T=32,64'; of a bare file one size each, at which it is measured.
        samples: Its real inputs, as in `--samples`.
        weights: Its weights.
        end_to_end: The file with which calls from end to end begin, for budgets on them; by default the first sample.
    """

    path: str = ""
    name: str = ""
    artifact: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    baseline: str = ""
    source: str = ""
    to: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    samples: str = ""
    weights: str = ""
    end_to_end: str = ""

    @property
    def called(self) -> str:
        """The name, by default from the path or the source."""
        return self.name or (Path(self.path).stem if self.path else self.source.rpartition(":")[2])


class CheckFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of the table.

    Attributes:
        models: The models to check, at least one.
        target: Targets to check on.
        budgets: Limits for every model.
        minimum_effect: The smallest difference in latency or memory from the baseline that counts.
        baseline_metrics: What is compared with a baseline; without it, all that can be measured on both sides.
        size_tolerance: How much larger than its baseline a file may be, 0.01 for 1 %.
        accuracy_tolerance: How much accuracy may be lost against the baseline, 0.01 for 1 point.
        instructions_tolerance: How many more instructions than its baseline a model may take, as a share.
        alpha: Probability that any of all checks fails although nothing is slower.
        inconclusive: Exit code after an inconclusive check: 0 (`pass`), 4 (`report`) or 1 (`fail`).
        patience: With `pass`, this many inconclusive runs of a check in a row fail.
        launches: Number of fresh processes per measurement, and of pairs before the first look at a comparison.
        time_limit_s: How long each process keeps timing after warm-up, in seconds.
        time_box_s: Longest time of one comparison, in seconds.
        nightly: Compare each median with the previous nights in the history.
        rerun_later: Leave the confirmation of a slower median to the next runs, instead of five re-runs in this one.
        history: File of earlier runs, relative to the configuration file.
        baseline_commit: The commit whose sources are the baseline of every model that has a source.
    """

    models: Annotated[tuple[CheckedModel, ...], msgspec.Meta(min_length=1)]
    target: tuple[str, ...] = ("local",)
    budgets: tuple[str, ...] = ()
    minimum_effect: _Ratio = 0.03
    baseline_metrics: tuple[BaselineMetric, ...] = ()
    size_tolerance: _Share = 0.0
    accuracy_tolerance: _Share = 0.01
    instructions_tolerance: _Share = 0.001
    alpha: _Ratio = 0.05
    inconclusive: Policy = "pass"
    patience: _Count = 10
    launches: _Launches = 8
    time_limit_s: _Seconds = 0.5
    time_box_s: _Seconds = 45.0
    nightly: bool = False
    rerun_later: bool = False
    history: str = HISTORY_FILE
    baseline_commit: str = ""


def read_check(path: Path) -> CheckFile:
    """The `[check]` table of an `edgekit.toml`, or `[tool.edgekit.check]` of a `pyproject.toml`.

    Raises:
        UserError: No such file or table, a wrong name or value (with its path), two models with one name, or a place
            outside of the folder of the file.
    """
    table = _table(path)
    problems = _unknown_keys(table)
    if problems:
        raise UserError(f"'{path}' [check]: {' '.join(problems)}", hint="docs/ci.md lists every key.")
    try:
        found = msgspec.convert(table, prepared(CheckFile))
    except msgspec.ValidationError as err:
        raise UserError(f"'{path}' [check]: {said(err)}", hint="edgekit check --help") from err
    for place, model in enumerate(found.models):
        if not model.path and not model.source:
            raise UserError(f"'{path}' [check]: models[{place}] has neither 'path' nor 'source'.", hint=_EXAMPLE)
    _refuse_outside(path, found)
    names = [model.called for model in found.models]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"'{path}' [check]: two models have the name '{twice}'.", hint='name = "another"')
    return found


def completed(file: CheckFile) -> CheckFile:
    """The settings, with default paths for the models that are exported from a source."""
    return msgspec.structs.replace(file, models=tuple(_placed(model, file.baseline_commit) for model in file.models))


def lines_of(path: Path, file: CheckFile) -> Callable[[str, str, str], int]:
    """`line(model, kind, check)`: where the configuration asks for a check of a model.

    The line is that of the budget, of the baseline or the commit to compare with, of `nightly`, or of the model.
    """
    text = path.read_text(encoding="utf-8")
    root = ("tool", "edgekit", "check") if path.name == "pyproject.toml" else ("check",)
    places = {model.called: place for place, model in enumerate(file.models)}

    def line(model: str, kind: str, check: str) -> int:
        found, own = file.models[places[model]], (*root, "models", places[model])
        if kind == "budget":
            is_own = any(check in text for text in found.budgets)
            return line_of(text, (*(own if is_own else root), "budgets"), check)
        if kind == "baseline":
            of_commit = bool(file.baseline_commit and found.source)
            return line_of(text, (*root, "baseline_commit") if of_commit else (*own, "baseline"))
        return line_of(text, (*root, "nightly") if kind == "history" else own)

    return line


def _placed(model: CheckedModel, commit: str) -> CheckedModel:
    if not model.source:
        return model
    name = model.called
    base = f"{MADE}/{name}/base" if commit else ""
    return msgspec.structs.replace(
        model, name=name, path=model.path or f"{MADE}/{name}/now", baseline=model.baseline or base
    )


def _refuse_outside(path: Path, file: CheckFile) -> None:
    """Raise if the file names anything outside of its own folder; what is made for a model counts as well."""
    for key, text in _places(file):
        if text:
            inside(path.parent, text, f"'{path}' [check]: {key}")
    if Path(file.history).suffix != HISTORY_SUFFIX:
        raise UserError(
            f"'{path}' [check]: history: '{file.history}' does not end with {HISTORY_SUFFIX}.",
            hint=f'history = "{HISTORY_FILE}"',
        )


def _places(file: CheckFile) -> Iterator[tuple[str, str]]:
    """Every path of the file with its key."""
    yield "history", file.history
    for place, given in enumerate(file.models):
        model, key = _placed(given, file.baseline_commit or "HEAD"), f"models[{place}]"
        yield from ((f"{key}.{name}", getattr(model, name)) for name in _PATHS)
        yield f"{key}.source", _local_part(model.source)


def _local_part(source: str) -> str:
    """The path in a source: of a Python file or a model file, or after `hf:`; empty for the name of a model."""
    place, colon, _ = source.partition(".py:")
    if colon:
        return f"{place}.py"
    if source.startswith("hf:"):
        rest = source.removeprefix("hf:")
        return rest if rest[:1] in ("/", ".", "~") else ""
    return source if ":" not in source and (Path(source).suffix or "/" in source) else ""


def _table(path: Path) -> Any:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise UserError(f"There is no file '{path}'.", hint=f"Create it: {_EXAMPLE}") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as err:
        raise UserError(f"'{path}' is not TOML: {err}.") from err
    if path.name == "pyproject.toml":
        content = content.get("tool", {}).get("edgekit", {})
    if "check" not in content:
        raise UserError(f"'{path}' has no table [check].", hint=f"Add {_EXAMPLE}")
    return content["check"]


def _unknown_keys(table: object) -> list[str]:
    """One sentence for each key that no setting has, with the nearest one."""
    if not isinstance(table, dict):
        return []
    problems = unlike(table, CheckFile.__struct_fields__, "")
    models = table.get("models")
    for place, model in enumerate(models if isinstance(models, list) else []):
        if isinstance(model, dict):
            problems += unlike(model, CheckedModel.__struct_fields__, f"models[{place}].")
    return problems


def unlike(table: Iterable[str], known: Sequence[str], place: str) -> list[str]:
    """One sentence for each key of a table, which is at `place`, that is not known, with the nearest one."""
    return [f"unknown key '{place}{key}'.{nearest(key, known)}" for key in table if key not in known]


def said(err: msgspec.ValidationError) -> str:
    """`models[0].path: expected str, got int.` for msgspec's own sentence."""
    text, _, place = str(err).replace("`", "").partition(" - at $.")
    text = text[0].lower() + text[1:]
    return f"{place}: {text}." if place else f"{text}."

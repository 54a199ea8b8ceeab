"""A lane: the conversions of one format, one after the other, in one worker."""

from __future__ import annotations

import importlib.util
import queue
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.errors import ConversionFailed, EdgekitError, UserError
from edgekit.core.recipe import COMPLEX, Recipe
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import sha256_bytes, sha256_file
from edgekit.export import messages
from edgekit.export.formats import Format
from edgekit.export.messages import ModuleRef
from edgekit.export.workers.cache import ConversionCache, key_of
from edgekit.export.workers.versions import versions
from edgekit.export.workers.worker import Worker

# The tensors of the module, in the folder of a run, and its weights if its factory sets random ones.
STATE: Final = "state.pt"
WEIGHTS: Final = "weights.safetensors"


@dataclass(frozen=True)
class Made:
    """One finished file; it remains in place, because later conversions may read it."""

    recipe: Recipe
    path: Path
    converted: messages.Converted


@dataclass(frozen=True)
class NotMade:
    """A recipe that failed, with its error."""

    recipe: Recipe
    error: BaseException


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is converted: the module, its completed spec, and the files that workers read."""

    module: ModuleRef
    spec: ModelSpec
    traced: messages.Traced
    seed: int
    folder: Path
    feed: Path
    calibration: Path
    calibration_digest: str
    method: str = "min-max"
    opset: int = 0


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What the thread of one format works with."""

    worker: Worker
    row: Format
    exporter: str
    recipes: tuple[Recipe, ...]
    subject: Subject
    cache: ConversionCache

    def run(self, finished: queue.Queue[Made | NotMade]) -> None:
        """Put every recipe into `finished`, as a file or with the error that it ended in."""
        source = self.source
        try:
            self.worker.finish_loading()
            converted = self._export(source)
        except BaseException as err:  # noqa: BLE001  # raised again by the thread that reads the queue
            for recipe in self.recipes:
                finished.put(NotMade(recipe, err))
            return
        for recipe in sorted(self.recipes, key=lambda recipe: recipe.precision != "fp32"):
            try:
                finished.put(self._made(recipe, source, converted))
            except BaseException as err:  # noqa: BLE001  # as above
                finished.put(NotMade(recipe, err))

    def more(self, recipe: Recipe) -> Made | NotMade:
        """One more recipe, after `run` has ended, from the float32 file that it left."""
        out = self.folder / f"{recipe.name}{self.row.suffix}"
        try:
            return Made(recipe, out, self._quantize(recipe, self.source, out))
        except EdgekitError as err:
            return NotMade(recipe, err)

    @property
    def folder(self) -> Path:
        """Where files are made."""
        return self.subject.folder

    @property
    def source(self) -> Path:
        """The float32 file, from which the others are made."""
        return self.folder / f"float{self.row.suffix}"

    def _made(self, recipe: Recipe, source: Path, converted: messages.Converted) -> Made:
        if recipe.precision == "fp32":
            return Made(recipe, source, converted)
        out = self.folder / f"{recipe.name}{self.row.suffix}"
        return Made(recipe, out, self._quantize(recipe, source, out))

    def _export(self, out: Path) -> messages.Converted:
        subject = self.subject
        job = messages.Export(
            subject.module,
            subject.spec,
            self.exporter,
            str(subject.feed),
            str(out),
            subject.seed,
            str(subject.folder / STATE),
            subject.opset if self.row.has_opsets else 0,
            COMPLEX in subject.traced.operators,
        )
        key = key_of(
            kind="export", traced=msgspec.to_builtins(subject.traced), opset=subject.opset, **self._dependencies
        )
        return self._ask(key, job, out, f"converting '{subject.spec.name}'")

    def _quantize(self, recipe: Recipe, source: Path, out: Path) -> messages.Converted:
        subject = self.subject
        samples = (subject.calibration, subject.calibration_digest) if _reads_samples(recipe) else ("", "")
        job = messages.Quantize(
            subject.spec,
            self.row.quantizer,
            str(source),
            recipe.name,
            str(samples[0]),
            str(subject.feed),
            str(out),
            method=subject.method,
        )
        key = key_of(
            kind="quantize",
            recipe=recipe.name,
            source=sha256_file(source),
            calibration=(samples[1], subject.method if samples[1] else ""),
            **self._dependencies,
        )
        return self._ask(key, job, out, f"making '{recipe.name}'")

    def _ask(self, key: str, job: messages.Question, out: Path, what: str) -> messages.Converted:
        known = self.cache.get(key, out)
        if known is not None:
            return known
        converted = self.worker.ask(job, what).converted
        if converted is None or not out.is_file():
            raise ConversionFailed(f"The {self.worker.toolchain} converter did not write a file while {what}.")
        self.cache.put(key, out, converted)
        return converted

    @cached_property
    def _dependencies(self) -> dict[str, object]:
        """What every conversion of this lane depends on besides its own inputs."""
        spec = self.subject.spec
        return {
            "exporter": self.exporter,
            "code": _code_digest(self.exporter, self.row.quantizer),
            "tools": versions(self.row.name),
            "inputs": [msgspec.to_builtins(tensor) for tensor in spec.inputs],
            "outputs": [msgspec.to_builtins(tensor) for tensor in spec.outputs],
            "sizes": {axis: list(sizes) for axis, sizes in spec.sizes.items()},
        }


def _reads_samples(recipe: Recipe) -> bool:
    """True if a file depends on samples: for its ranges, or for the nodes that float16 cannot compute."""
    return recipe.needs_calibration or recipe.precision == "fp16"


def _code_digest(*locations: str) -> str:
    """sha256 over the code of this package and of the modules that hold the exporter and the quantizer."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    files += [place for one in locations for place in [_file_of(one)] if place]
    return sha256_bytes(b"".join(path.read_bytes() for path in files if path.is_file()))


def _file_of(exporter: str) -> Path | None:
    try:
        found = importlib.util.find_spec(exporter.partition(":")[0])
    except (ImportError, ValueError) as err:
        raise UserError(f"The exporter '{exporter}' cannot be imported: {err}.") from err
    return Path(found.origin) if found is not None and found.origin else None

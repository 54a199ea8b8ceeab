"""A lane: the conversions of one format, in turn, in one worker."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.errors import ConversionFailed
from edgekit.core.recipe import Recipe
from edgekit.core.spec import ModelSpec
from edgekit.export import jobs
from edgekit.export.process import Worker
from edgekit.export.source import ModuleRef


@dataclass(frozen=True)
class Made:
    """One file that a worker made; `is_shared` says that later conversions read it too."""

    recipe: Recipe
    path: Path
    converted: jobs.Converted
    is_shared: bool


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What one format's thread works with."""

    worker: Worker
    exporter: str
    request_module: ModuleRef
    spec: ModelSpec
    recipes: tuple[Recipe, ...]
    folder: Path
    feed: Path
    calibration: Path
    seed: int

    def run(self, finished: queue.Queue[Made | BaseException]) -> None:
        """Put every finished file into `finished`, or the error that ended this lane."""
        try:
            self._convert(finished)
        except BaseException as err:  # noqa: BLE001  # raised again by the thread that reads the queue
            finished.put(err)

    def _convert(self, finished: queue.Queue[Made | BaseException]) -> None:
        source = self.folder / f"float.{self.worker.toolchain}"
        job = jobs.Export(self.request_module, self.spec, self.exporter, str(self.feed), str(source), self.seed)
        converted = self._ask(job, source, f"converting '{self.spec.name}'")
        for recipe in self.recipes:
            if recipe.precision == "fp32":
                finished.put(Made(recipe, source, converted, is_shared=True))
        for recipe in self.recipes:
            if recipe.precision != "fp32":
                finished.put(self._quantize(recipe, source))

    def _quantize(self, recipe: Recipe, source: Path) -> Made:
        out = self.folder / f"{recipe.name}.{recipe.format}"
        calibration = str(self.calibration) if recipe.needs_calibration else ""
        job = jobs.Quantize(self.spec, self.exporter, str(source), recipe.name, calibration, str(out))
        return Made(recipe, out, self._ask(job, out, f"making '{recipe.name}'"), is_shared=False)

    def _ask(self, job: jobs.Job, out: Path, what: str) -> jobs.Converted:
        converted = self.worker.ask(job, what).converted
        if converted is None or not out.is_file():
            raise ConversionFailed(f"The {self.worker.toolchain} converter wrote no file while {what}.")
        return converted

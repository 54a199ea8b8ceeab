"""`edgekit export`: a bundle of validated artifacts from a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.recipe import Recipe, parse_recipes
from edgekit.core.reports.report import Outcome, Report, parity_verdict
from edgekit.core.system.files import new_folder, refuse_existing
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.export.checking.accuracy import metric_of
from edgekit.export.routes import default_recipes
from edgekit.flows.judging.needed_samples import say_widths
from edgekit.flows.opening.source import ExportOptions, Source, SourceOptions, ready_source
from edgekit.flows.order import door
from edgekit.flows.writing.bundle import write_bundle, writing_steps


@dataclass(frozen=True)
class ExportOrder:
    """An opened source, the recipes, and the bundle to write."""

    source: Source
    recipes: tuple[Recipe, ...]
    how: ExportOptions
    out: Path
    force: bool
    settings: Settings
    command: str = "export"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return (*writing_steps(self.source, self.recipes, self.how), f"write the bundle '{self.out}'")

    def run(self, progress: Progress) -> Report:
        """Write the bundle; the verdict is that of parity."""
        with new_folder(self.out, force=self.force) as staging:
            written = write_bundle(self.source, self.recipes, staging, self.settings, progress, self.how)
        verdict = parity_verdict(written.parity)
        return written.findings(self.out).report(
            self.command, self.settings, verdict=verdict, outcomes=(Outcome("local", verdict),)
        )


@contextmanager
def export_order(
    source: str,
    *,
    out: str | Path,
    to: str | Sequence[str] = (),
    options: SourceOptions = SourceOptions(),
    how: ExportOptions = ExportOptions(),
    settings: Settings = Settings(),
    force: bool = False,
    progress: Progress = Silent(),
) -> Iterator[ExportOrder]:
    """Export `source` with every recipe in `to`, validate each artifact, and write the bundle `out`.

    Args:
        source: Reference model, run directory, `file.py:factory` (its code is executed), or an .onnx, .tflite or .pt2.
        out: Directory of the bundle; written completely or not at all.
        to: Recipe names or aliases; by default those that suit the source.
        how: How artifacts are made, e.g. the largest drop.

    Raises:
        UserError, EnvironmentFault, ConversionFailed, Unreadable: As their messages say.
    """
    recipes = parse_recipes(to or default_recipes(source))
    refuse_existing(Path(out), force=force)
    with progress.stage("load"):
        ready = ready_source(source, options, how, recipes, settings, progress)
    metric = metric_of(ready.spec, ready.split.evaluation)
    say_widths((), how.max_drop, len(ready.split.evaluation), progress, metric)
    yield ExportOrder(ready, recipes, how, Path(out), force, settings)


export = door(export_order)

"""`edgekit sweep`: every combination of a sweep file measured, and what backend versions cost; it can be resumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from edgekit.core.errors import EnvironmentFault
from edgekit.core.reports.sweep import SweepReport, SweptCombination, SweptModel
from edgekit.core.system.documents import now
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.fleet.together import THREADS
from edgekit.flows.measuring.measure import refuse_batches
from edgekit.flows.measuring.pairs import Protocol
from edgekit.flows.opening.artifacts import Opened, is_bare, opened
from edgekit.flows.opening.devices import named_targets
from edgekit.flows.opening.repository import reproduction
from edgekit.flows.opening.versions import versions
from edgekit.flows.order import door
from edgekit.flows.sweeping.backend_versions import BackendVersion, refuse_missing
from edgekit.flows.sweeping.combinations import Combination, combined, with_threads
from edgekit.flows.sweeping.device_part import DevicePart
from edgekit.flows.sweeping.kept_launches import SweepResults
from edgekit.flows.sweeping.sweep_file import SweepFile, read_sweep
from edgekit.flows.sweeping.version_verdicts import judge_pairs

# How long the processes of a killed command may take to end.
_ENDING_S: Final = 3.0


@dataclass(frozen=True)
class SweepOrder:
    """A sweep file that was read, with its models opened.

    `installs`: backend versions that this run may download. `again`: what the results contain does not count.
    """

    path: Path
    file: SweepFile
    combinations: tuple[Combination, ...]
    protocol: Protocol
    settings: Settings
    installs: tuple[BackendVersion, ...] = ()
    again: bool = False
    command: str = "sweep"

    @property
    def results(self) -> Path:
        """The file with all launches."""
        return self.path.parent / self.file.results

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        steps = [f"pip install {one} into '{one.folder}'" for one in self.installs]
        count = self.protocol.pairs
        for one in self.combinations:
            engines = f" in each of {', '.join(map(str, one.engines))}" if one.engines else ""
            more = ", more if these are inconclusive" if len(one.engines) > 1 else ""
            steps.append(f"measure {one.described}{engines}: {count} fresh processes{more}")
        kept = "measure again what" if self.again else "do not measure again what"
        return (*steps, f"{kept} '{self.results}' contains under the same conditions")

    def run(self, progress: Progress) -> SweepReport:
        """Measure what the results lack; devices work at the same time.

        Raises:
            EdgekitError: Nothing could be launched, for this reason, and nothing was kept before.
            KeyboardInterrupt: Ctrl-C came before anything was measured.
        """
        for engine in self.installs:
            with progress.stage(f"install {engine}"):
                engine.install()
        for engine in dict.fromkeys(one for each in self.combinations for one in each.engines):
            engine.check()
        with claimed(self.results, wait_s=_ENDING_S), temporary_folder() as folder:
            results = SweepResults.read(self.results)
            parts = self._parts(results)
            try:
                work = {part.name: partial(part.run, Path(folder) / part.name, progress) for part in parts}
                THREADS.run(work, progress)
            except KeyboardInterrupt:
                if not results.found:
                    raise
                for part in parts:
                    part.interrupt()
            report = self._report(parts, results)
        errors = [part.error for part in parts if part.error is not None]
        if not report.combinations and errors:
            raise errors[0]
        return report

    def _parts(self, results: SweepResults) -> list[DevicePart]:
        by_device: dict[str, list[Combination]] = {}
        for one in self.combinations:
            by_device.setdefault(one.target.device, []).append(one)
        limit_s, again = self.file.time_limit_s, self.again
        return [DevicePart(name, its, results, self.protocol, limit_s, again) for name, its in by_device.items()]

    def _report(self, parts: Sequence[DevicePart], results: SweepResults) -> SweepReport:
        rows = tuple(row for part in parts for row in part.rows())
        missing = tuple(one for part in parts for one in part.missing())
        # Versions are launched on this machine only.
        verdicts = judge_pairs(
            [pair for part in parts for pair in part.pairs],
            results,
            self.protocol,
            emulated=any(part.emulated for part in parts if part.pairs),
        )
        return SweepReport(
            created=now(),
            file=str(self.path),
            results=str(self.results),
            minimum_effect=self.protocol.minimum_effect,
            alpha=self.protocol.alpha,
            launched=results.added,
            combinations=rows,
            verdicts=verdicts,
            verdict=worst(
                [
                    *(one.compared.verdict for one in verdicts),
                    *(Verdict.FAIL for one in rows if one.is_wrong),
                    *(Verdict.INCOMPLETE for one in missing if one.is_open),
                ]
            ),
            missing=missing,
            models=self._models(rows),
            facts={part.name: part.facts for part in parts},
            tools=versions(),
            reproduction=reproduction(),
        )

    def _models(self, rows: Sequence[SweptCombination]) -> tuple[SweptModel, ...]:
        """The models of which something was measured."""
        measured = {(row.model, row.artifact) for row in rows}
        found: dict[str, dict[str, Combination]] = {}
        for one in self.combinations:
            if (one.model, one.artifact.recipe) in measured:
                found.setdefault(one.model, {})[one.artifact.recipe] = one
        return tuple(
            SweptModel(
                model=model,
                spec=next(iter(its.values())).found.spec,
                artifacts=tuple(one.artifact for one in its.values()),
            )
            for model, its in found.items()
        )


@contextmanager
def sweep_order(
    path: str | Path,
    *,
    install: bool = False,
    again: bool = False,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Iterator[SweepOrder]:
    """Every combination that a sweep file names, measured; what its results have is not measured again.

    Args:
        path: The sweep file, as in `read_sweep`.
        install: Download the backend versions that have no environment yet.
        again: Measure everything again.

    Raises:
        UserError: The file names something wrong, or `install` without the network.
        EnvironmentFault: A backend version is not installed, and `install` is false.
        Unreadable: A model or the results are damaged.
    """
    path = Path(path)
    file = read_sweep(path)
    engines = file.engines
    installs = tuple(one for one in engines if not one.is_installed) if install else ()
    if not install:
        refuse_missing(engines, path)
    if installs and settings.offline:
        raise EnvironmentFault(f"'{installs[0]}' must be downloaded, which --offline forbids.", hint="Omit --offline.")
    targets = with_threads(named_targets(file.target), file.threads)
    effect = settings.minimum_effect if file.minimum_effect is None else file.minimum_effect
    protocol = Protocol(
        file.launches, minimum_effect=effect, alpha=file.alpha, seed=settings.seed, wait_s=settings.wait_s
    )
    with ExitStack() as stack:
        models = {text: _opened(path.parent / text, file, stack, progress) for text in dict.fromkeys(file.models)}
        found = combined(models, file.artifact, targets, tuple(dict.fromkeys(file.batch)), engines)
        yield SweepOrder(path, file, found, protocol, settings, installs, again)


sweep = door(sweep_order)


def _opened(path: Path, file: SweepFile, stack: ExitStack, progress: Progress) -> Opened:
    """A model, with the sizes of the file if it is bare, that can be measured at all batch sizes."""
    found = stack.enter_context(opened(path, sizes=file.sizes if is_bare(path) else (), progress=progress))
    refuse_batches(found, file.batch)
    return found

"""`edgekit history`: earlier checks, since when a series is slower, and accepted levels."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from edgekit.core.errors import UserError, unknown
from edgekit.core.reports.history import Accepted, AcceptReport, HistoryReport, Line, Point, Run, Series, Step
from edgekit.core.reports.kept import ImportReport, Keepable, decode_kept
from edgekit.core.reports.report import is_report
from edgekit.core.statistics.nightly import MIN_HISTORY, blame, expected_level
from edgekit.core.system.check_settings import HISTORY_SUFFIX, CheckedModel, CheckFile, completed, read_check
from edgekit.core.system.confined.project_paths import refuse_foreign
from edgekit.core.system.documents import now
from edgekit.core.system.files import read_bytes
from edgekit.core.system.progress import Progress
from edgekit.flows.judging.history import (
    append,
    comparable,
    history_file,
    level_of,
    points,
    read_history,
    red_since,
)
from edgekit.flows.keeping.runs import check_store, opened
from edgekit.flows.keeping.shared_lines import keep_lines, with_kept_lines
from edgekit.flows.opening.artifacts import without_signature
from edgekit.flows.opening.external_data import ready_model_copy
from edgekit.flows.opening.repository import commit_of, project_of

_log = logging.getLogger(__name__)


def show(config: Path, *, store: str = "", command: str = "history show") -> HistoryReport:
    """Every series of the configuration's history, with the first slow point of its clearest step.

    Args:
        config: A file with a [check] table.
        store: The store of runs that has further lines of the same project; an empty text for none.

    Raises:
        UserError: No configuration.
        Unreadable: The history is damaged.
    """
    path = history_file(config, read_check(config))
    lines = with_kept_lines(read_history(path), config.parent, store)
    names = dict.fromkeys(name for line in lines if isinstance(line, Run) for name in line.values)
    series = tuple(_series(name, points(lines, name)) for name in names)
    accepted = tuple(line for line in lines if isinstance(line, Accepted))
    return HistoryReport(file=str(path), series=series, accepted=accepted, command=command)


@dataclass(frozen=True)
class AcceptOrder:
    """Models of a configuration whose current latency becomes the new level, with the reason."""

    config: Path
    file: CheckFile
    models: tuple[CheckedModel, ...]
    why: str
    store: str = ""
    command: str = "history accept"

    @property
    def _history(self) -> Path:
        return history_file(self.config, self.file)

    @property
    def _kept(self) -> list[CheckedModel]:
        """The models whose baseline stays from run to run; one that a commit makes is made anew each time."""
        return [one for one in self.models if one.baseline and not (self.file.baseline_commit and one.source)]

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        names = ", ".join(one.called for one in self.models)
        copies = (f"replace the baseline '{one.baseline}' with '{one.path}'" for one in self._kept)
        return (*copies, f"add to '{self._history}': {names} accepted, {self.why}")

    def run(self, progress: Progress) -> AcceptReport:
        """Replace the baselines, and add a line to the history."""
        line = Accepted(
            created=now(),
            commit=commit_of(self.config.parent),
            why=self.why,
            models=tuple(one.called for one in self.models),
            baselines=tuple(one.baseline for one in self._kept),
        )
        # Every copy is complete before the line is added: a full disk changes neither.
        with ExitStack() as stack:
            for one in self._kept:
                # A signature is a part of one file, which is replaced whole.
                files = (without_signature(self.config.parent / name)[0] for name in (one.path, one.baseline))
                stack.enter_context(_replaced(*files))
            told = append(self._history, line)
        shared = keep_lines(read_history(self._history), self.config.parent, self.store)
        for warning in filter(None, (told, shared)):
            _log.warning("%s", warning)
        return AcceptReport(file=str(self._history), accepted=line)


@contextmanager
def accept_order(config: Path, *, why: str, model: Sequence[str] = (), store: str = "") -> Iterator[AcceptOrder]:
    """Accept the current latency of models as their new level, and their current files as baselines.

    Args:
        why: The reason, which is recorded in the history.
        model: Names of models; all models if empty.
        store: The store of runs to which the line is added as well; an empty text for none.

    Raises:
        UserError: No reason, an unknown model, or a baseline that is a report.
    """
    file = completed(read_check(config))
    yield AcceptOrder(config, file, _accepted_models(file, config.parent, why, model), why.strip(), store)


@dataclass(frozen=True)
class ImportOrder:
    """Reports of earlier commands and histories of checks, which were read and are to be kept."""

    place: str
    reports: Mapping[Path, Keepable]
    histories: Mapping[Path, tuple[Line, ...]]
    command: str = "history import"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return tuple(
            f"keep what is in '{path}', unless it is kept already" for path in (*self.reports, *self.histories)
        )

    def run(self, progress: Progress) -> ImportReport:
        """Keep each report and each line once."""
        with opened(self.place, make=True) as store, progress.stage("import"):
            from edgekit.store.gate_lines import add_lines
            from edgekit.store.recording import record

            kept = [record(store, one) for one in self.reports.values()]
            added = tuple(number for number, is_new in kept if is_new)
            lines = sum(add_lines(store, project_of(path.parent), found) for path, found in self.histories.items())
            return ImportReport(store=store.name, added=added, known=len(kept) - len(added), lines=lines)


@contextmanager
def import_order(place: str, files: Sequence[Path]) -> Iterator[ImportOrder]:
    """Keep the reports (.json) of earlier commands, and the histories of checks (.jsonl) of the projects around them.

    Raises:
        UserError, Unreadable: A file is neither; then nothing is kept.
        MissingExtra: As in `check_store`.
    """
    check_store(place)
    histories = {path: _history(path) for path in files if path.suffix == HISTORY_SUFFIX}
    reports = {path: decode_kept(read_bytes(path), f"'{path}'") for path in files if path not in histories}
    yield ImportOrder(place, reports, histories)


def _history(path: Path) -> tuple[Line, ...]:
    if not path.exists():
        raise UserError(f"'{path}' does not exist.")
    return read_history(path)


def _series(name: str, found: Sequence[Point]) -> Series:
    """The series over the runs at the sizes of the last one."""
    last = found[-1]
    found = found if last.sizes is None else comparable(found, last.sizes, unknown=len(last.sizes) < 2)
    values = [point.value for point in found]
    earlier = level_of(found[:-1])
    level = expected_level(earlier) if len(earlier) >= MIN_HISTORY else None
    red = red_since(found)
    since = found[red] if red < len(found) else None
    place = blame(values)
    if place is None:
        return Series(name, len(values), found[-1], level, red_since=since)
    size = median(values[place:]) / median(values[:place]) - 1
    return Series(name, len(values), found[-1], level, Step(found[place], found[place - 1], size), since)


def _accepted_models(file: CheckFile, folder: Path, why: str, names: Sequence[str]) -> tuple[CheckedModel, ...]:
    if not why.strip():
        raise UserError("A new baseline needs its reason.", hint='edgekit history accept --why "larger input"')
    known = {model.called: model for model in file.models}
    for name in names:
        if name not in known:
            raise unknown("model", name, known)
    chosen = tuple(known[name] for name in names) if names else file.models
    for model in chosen:
        if is_report(model.baseline):
            raise UserError(
                f"The baseline '{model.baseline}' is a report, which must be measured.",
                hint=shlex.join(
                    ["edgekit", "profile", str(folder / model.path), "--report", str(folder / model.baseline)]
                ),
            )
    return chosen


@contextmanager
def _replaced(source: Path, baseline: Path) -> Iterator[None]:
    """Replace the baseline by a copy of a bundle or model file, which is complete before the block, after the block."""
    if not source.exists():
        raise UserError(f"'{source}', the new baseline, does not exist.")
    refuse_foreign(baseline, "The baseline")
    with ready_model_copy(source, baseline):
        yield

"""The results of a sweep: an append-only file with one JSON line per launch, kept as soon as it has ended."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final

import msgspec

from edgekit.core.errors import Unreadable, from_os_error
from edgekit.core.job import JobResult
from edgekit.core.measurement import Launch
from edgekit.core.system.documents import BROKEN_JSON, now
from edgekit.core.system.durable.appended import append_line, read_lines
from edgekit.core.system.installation import origin
from edgekit.core.system.native.types import prepared
from edgekit.flows.measuring.rounds import Launched
from edgekit.flows.measuring.summary import replaced, to_launch

_log = logging.getLogger(__name__)
# 1: first version.
SWEEP_RESULTS_SCHEMA: Final = 1


class SweptLaunch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="launch"):
    """One launch of one combination.

    `key` is the checksum of all conditions that decide whether it may be used again, `cell` says for people what was
    launched, and launches with the same `round` belong together. `is_wrong`: its outputs failed parity.
    """

    key: str
    cell: str
    round: Annotated[int, msgspec.Meta(ge=0)]
    created: str
    result: JobResult
    is_replaced: bool = False
    is_wrong: bool = False
    schema_version: int = SWEEP_RESULTS_SCHEMA


class SweptAgain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="again"):
    """The user asked to measure these combinations again: earlier launches of them do not count."""

    keys: tuple[str, ...]
    created: str
    schema_version: int = SWEEP_RESULTS_SCHEMA


@dataclass(frozen=True)
class KeptLaunch:
    """A launch of the file; `order` is the number of its line."""

    order: int
    line: SweptLaunch

    @cached_property
    def launch(self) -> Launch:
        """The launch, with the end of its warm-up, which takes a while to find."""
        found = to_launch(self.order, self.line.result)
        return replaced(found) if self.line.is_replaced else found


@dataclass
class SweepResults:
    """What the file contains of each combination, by its key; `added` counts the launches of this run."""

    path: Path
    found: dict[str, list[KeptLaunch]] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    lines: int = 0
    added: int = 0

    @classmethod
    def read(cls, path: Path) -> SweepResults:
        """The results in a file; none where there is no file. A torn last line is left out, and the log says so.

        Raises:
            Unreadable: A line is damaged, of a newer schema, or not of a sweep; the message has its number.
            EnvironmentFault: The file cannot be read.
        """
        try:
            lines, torn = read_lines(path)
        except OSError as err:
            raise from_os_error(err, f"reading '{path}'") from err
        if torn:
            _log.warning(
                "The last line of '%s' is left out: it ends in the middle, as a killed command leaves it.", path
            )
        results = cls(path)
        for number, line in enumerate(lines, 1):
            if line.strip():
                results._take(_line(path, number, line))
        return results

    def rounds(self, key: str) -> set[int]:
        """The rounds in which a combination has a launch that counts; one that was to be repeated is not enough."""
        return set(self.counted(key))

    def counted(self, key: str, before: int | None = None) -> dict[int, KeptLaunch]:
        """The launch that counts in each round, of the rounds below `before`."""
        kept = [one for one in self.found.get(key, ()) if not one.line.is_replaced]
        return {one.line.round: one for one in kept if before is None or one.line.round < before}

    def add(self, key: str, cell: str, number: int, launched: Iterable[Launched], *, is_wrong: bool) -> None:
        """Keep the launches of one round on the disk, the one that counts last.

        Raises:
            DiskFull, EnvironmentFault: The file cannot be written.
        """
        for one in sorted(launched, key=lambda one: not one.launch.replaced):
            line = SweptLaunch(
                key=key,
                cell=cell,
                round=number,
                created=now(),
                result=one.result,
                is_replaced=one.launch.replaced,
                is_wrong=is_wrong,
            )
            self._append(line)
            self.added += 1

    def forget(self, keys: Iterable[str]) -> None:
        """Let earlier launches of these combinations not count any more; they stay in the file.

        Raises:
            DiskFull, EnvironmentFault: The file cannot be written.
        """
        known = tuple(key for key in keys if key in self.found)
        if known:
            self._append(SweptAgain(keys=known, created=now()))

    def _append(self, line: SweptLaunch | SweptAgain) -> None:
        try:
            append_line(self.path, msgspec.json.encode(line))
        except OSError as err:
            raise from_os_error(err, f"writing '{self.path}'") from err
        self._take(line)

    def _take(self, line: SweptLaunch | SweptAgain) -> None:
        self.lines += 1
        if isinstance(line, SweptAgain):
            for key in line.keys:
                self.found.pop(key, None)
                self.wrong.discard(key)
            return
        self.found.setdefault(line.key, []).append(KeptLaunch(self.lines, line))
        if line.is_wrong:
            self.wrong.add(line.key)


def _line(path: Path, number: int, text: bytes) -> SweptLaunch | SweptAgain:
    what = f"Line {number} of '{path}'"
    try:
        found = msgspec.json.decode(text, type=prepared(SweptLaunch | SweptAgain))
    except BROKEN_JSON as err:
        raise Unreadable(f"{what} is not a line of a sweep: {err}.", hint=f"Fix or remove line {number}.") from err
    if found.schema_version > SWEEP_RESULTS_SCHEMA:
        raise Unreadable(f"{what} has schema {found.schema_version}.", hint=origin().upgrade)
    return found

"""A Device on a Shell: what ssh and adb have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.devices.facts_remote import facts_of, read_sections, throttling_bits
from edgekit.devices.launches import measure
from edgekit.devices.shell import Shell


class ShellDevice:
    """A device that is reached by a Shell; it owns the shell.

    Args:
        runner: The Python file that runs one launch there.
        emulated: True when times on it are no latency of any device.
        timeout_s: What one launch may take.
    """

    def __init__(self, shell: Shell, runner: Path, *, emulated: bool = False, timeout_s: float = 300.0) -> None:
        self.name = shell.name
        self.emulated = emulated
        self.shell = shell
        self._runner = runner
        self._timeout_s = timeout_s
        self._throttled_before: int | None = None

    def facts(self) -> Facts:
        """What is known of the device now; a throttling before the first call does not count."""
        sections = read_sections(self.shell)
        if self._throttled_before is None:
            self._throttled_before = throttling_bits(sections) or 0
        facts = facts_of(sections, throttled_before=self._throttled_before)
        self.emulated = self.emulated or facts.emulated
        return facts

    def measure(self, job: Job) -> JobResult:
        """Run one launch; errors as in `Device.measure`."""
        result = measure(self.shell, job, self._runner, timeout_s=self._timeout_s)
        if not self.emulated:
            return result
        note = "peak memory under emulation holds the translator too and is not reported"
        return msgspec.structs.replace(result, peak_memory_bytes=None, notes=(*result.notes, note))

    def close(self) -> None:
        """End the connection."""
        self.shell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

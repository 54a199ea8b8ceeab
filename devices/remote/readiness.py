"""Checks whether a device is ready for a job, and how to fix what is not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from edgekit.core import machine
from edgekit.core.errors import EnvironmentFault
from edgekit.core.facts import Facts
from edgekit.core.machine import Texts
from edgekit.core.reports.setup.devices import OK, PROBLEM, WARNING, Check
from edgekit.devices.remote.engines import ENGINES, needed_bytes, probe, verify, why_these
from edgekit.devices.remote.facts import read_texts
from edgekit.devices.remote.onnxruntime_library import verify_native
from edgekit.devices.remote.shell import Shell, shortened, succeeded
from edgekit.devices.remote.transfer import free_bytes

_MAX_SKEW_S: Final = 60
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_HOT_C: Final = 70.0
_THROTTLING: Final = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}


def check(shell: Shell, runners: Mapping[str, Path]) -> Iterator[Check]:
    """Check connection, system, disk, backends, clock, governor and temperature, in that order, one by one.

    Without a connection, the other checks are left out.

    Args:
        runners: The C program by architecture.
    """
    try:
        texts = read_texts(shell)
    except EnvironmentFault as err:
        is_this = err.hint == f"edgekit devices check {shell.name}"
        yield Check("connection", PROBLEM, err.message, "" if is_this else err.hint)
        return
    facts = machine.facts(texts)
    yield Check("connection", OK, f"{facts.system}, {facts.cpu or 'unknown processor'}")
    yield from _system(shell, facts)
    yield _disk(shell)
    yield _runtime(shell, texts, runners)
    yield _clock(shell)
    yield _governor(facts)
    yield _temperature(facts, machine.throttling_bits(texts) or 0)


def _system(shell: Shell, facts: Facts) -> Iterator[Check]:
    yield _architecture(facts)
    if facts.emulated:
        yield Check("emulation", WARNING, "emulated processor: no latency will be printed", "Use the device itself.")
    try:
        platform = probe(shell)
    except EnvironmentFault as err:
        yield Check("python", WARNING, f"{err.message} Only .onnx runs without it.")
        return
    yield Check("python", OK, f"Python {platform.python}, glibc 2.{platform.glibc}")


def _architecture(facts: Facts) -> Check:
    if facts.architecture in ("aarch64", "x86_64"):
        return Check("architecture", OK, facts.architecture)
    if facts.architecture == "armv7l":
        fix = "For .onnx install a 64-bit system; ONNX Runtime and LiteRT have no 32-bit builds."
        return Check("architecture", WARNING, "armv7l: only .tflite, with tflite-runtime 2.14", fix)
    return Check("architecture", PROBLEM, facts.architecture, "Use a 64-bit Arm or x86 device.")


def _disk(shell: Shell) -> Check:
    free = free_bytes(shell)
    if free is None:
        return Check("disk", WARNING, "cannot read its free space")
    found, needed = f"{free / 1e6:.0f} MB free", needed_bytes(ENGINES)
    if free < needed:
        return Check("disk", WARNING, found, f"New backends need {needed / 1e6:.0f} MB.")
    return Check("disk", OK, found)


def _runtime(shell: Shell, texts: Texts, runners: Mapping[str, Path]) -> Check:
    """The backends in Python if there are any, and why not those of this machine; otherwise the C library."""
    architecture = machine.architecture(texts)
    is_native = any(line.startswith("native/") for line in texts.get("native", "").splitlines())
    try:
        if is_native and architecture in runners:
            found = verify_native(shell, runners[architecture])
        else:
            found = verify(shell) + why_these(shell)
    except EnvironmentFault as err:
        return Check("runtime", PROBLEM, err.message, err.hint)
    return Check("runtime", OK, found)


def _clock(shell: Shell) -> Check:
    said = succeeded(shell, shell.run("date +%s"), "reading its clock").text
    if not _SECONDS.fullmatch(said):
        return Check("clock", WARNING, f"'date' printed '{shortened(said)}'")
    skew = int(said) - time.time()
    if abs(skew) > _MAX_SKEW_S:
        return Check("clock", WARNING, f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}", "sudo timedatectl")
    return Check("clock", OK, "agrees with this machine's clock")


def _governor(facts: Facts) -> Check:
    if facts.governor is None:
        return Check("governor", WARNING, facts.missing["governor"])
    if facts.governor == "performance":
        return Check("governor", OK, facts.governor)
    fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Check("governor", WARNING, f"'{facts.governor}': the clock changes while measuring", fix)


def _temperature(facts: Facts, bits: int) -> Check:
    now = [name for bit, name in _THROTTLING.items() if bits >> bit & 1]
    heat = "unknown temperature" if facts.temperature_c is None else f"{facts.temperature_c:.1f} °C"
    if now or facts.throttled:
        fix = "Cool the device, or use a stronger power supply."
        return Check("temperature", WARNING, f"{heat}, {', '.join(now) or 'throttled'} now", fix)
    if facts.temperature_c is not None and facts.temperature_c > _HOT_C:
        return Check("temperature", WARNING, f"{heat}: near the limit", "Let it cool down, or add a fan.")
    return Check("temperature", OK if facts.temperature_c is not None else WARNING, heat)

"""Mutants of what devices and pages say: the results of launches, facts, lists, arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from benchmarks.fuzz import seed_models
from benchmarks.fuzz.case import Case
from benchmarks.fuzz.values import TEXTS, alter, as_json, mutated_bytes, number, text

from edgekit.core.job import Job, JobResult
from edgekit.core.samples import write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.core.system.processes import Finished

_FACTS: Final[dict[str, Any]] = {"cpu": "A76", "cores": 4, "temperature_c": 51.0, "clock_hz": 2.4e9, "load": 0.1}
_OPERATOR: Final = {"name": "a", "kind": "Conv", "provider": "cpu", "seconds": 1e-4}
RESULT: Final[dict[str, Any]] = {
    "backend": "onnxruntime",
    "engine": "1.31.1",
    "provider": "cpu",
    "values": [0.001] * 5,
    "warmups": [0.002],
    "load_s": 0.1,
    "first_run_s": 0.002,
    "peak_memory_bytes": 10**7,
    "nivcsw": 3,
    "energy_j": 0.1,
    "notes": ["a"],
    "operators": [_OPERATOR],
    "before": _FACTS,
    "after": _FACTS,
    "schema_version": 1,
}
_FAILURE: Final = {"error": "UserError", "message": "no", "hint": "x", "exit_code": 2, "schema_version": 1}
_TEXTS: Final = (
    "@@machine\naarch64\n@@cores\n4\n@@/proc/cpuinfo\nprocessor : 0\nFeatures : fp asimd\nModel : Raspberry Pi 5\n"
    "@@/proc/meminfo\nMemTotal: 8000000 kB\n@@/proc/loadavg\n0.1 0.2 0.3 1/99 9\n@@python\n3.11.2\n@@engines\n"
    "onnxruntime 1.2\n"
    "@@/sys/class/thermal/thermal_zone0/temp\n51000\n@@/sys/class/thermal/thermal_zone0/type\ncpu-thermal\n"
    "@@/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq\n2400000\n@@native\n1.2/libonnxruntime.so\n"
    "@@vcgencmd\nthrottled=0x50000\n@@nvidia-smi\nA, 1, 2, 3, 4, 5\n@@uname\nLinux pi 6.1 aarch64\n@@end\n"
)
_RECORDS: Final = b"float32 1,2 0:y\n" + bytes(8)
_HELLO: Final = {
    "user_agent": "Mozilla/5.0 Chrome/120",
    "platform": "Linux",
    "cores": 8,
    "model": "Pixel",
    "missing_webgpu": "",
}


@dataclass
class Replies:
    """A shell on a device that has every file already, and says the same to everything else."""

    reply: Finished
    name: str = "pi"
    root: str = "$HOME/.cache/edgekit"
    sent: list[str] = field(default_factory=list)

    def run(self, command: str, **_: Any) -> Finished:
        """The reply."""
        self.sent.append(command)
        return Finished(0, b"all\nall\n", "") if "blobs" in command and "echo all" in command else self.reply

    def put(self, source: Path, path: str, *, offset: int = 0) -> None:
        """Nothing is sent anywhere."""
        del source, offset
        self.sent.append(path)

    def close(self) -> None:
        """Nothing is open."""


def _line(random: Random) -> bytes:
    document = json.loads(json.dumps(RESULT if random.random() < 0.85 else _FAILURE))
    return as_json(random, alter(random, document, random.choice((1, 1, 2, 3))))


def _facts_text(random: Random) -> str:
    lines = _TEXTS.splitlines()
    for _ in range(random.choice((1, 2, 3))):
        place = random.randrange(len(lines))
        how = random.random()
        if how < 0.5:
            lines[place] = text(
                random, lines[place], ["@@end", "@@", "9" * 5000, str(number(random)), "nan", "throttled=0x"]
            )
        elif how < 0.8:
            words = lines[place].split(" ")
            words[random.randrange(len(words))] = random.choice((str(number(random)), "inf", random.choice(TEXTS)))
            lines[place] = " ".join(words)
        else:
            lines.insert(random.randrange(len(lines)), lines.pop(place))
    return "\n".join(lines)


def _arrays(random: Random) -> bytes:
    head, _, body = _RECORDS.partition(b"\n")
    words = head.decode().split(" ", 2)
    words[random.randrange(3)] = random.choice(
        (
            "float32",
            "int64",
            "object",
            "U3",
            "1,2",
            "-1",
            "0",
            "",
            "9" * 400,
            "1,",
            "0:z",
            "1:y",
            ":",
            str(number(random)),
            text(random, "1,2"),
        )
    )
    made = " ".join(words).encode("utf-8", "surrogatepass") + b"\n" + random.choice((body, body, body[:-1], body * 2))
    return mutated_bytes(random, made) if random.random() < 0.2 else made


def device(random: Random) -> Case:
    """A reply of a device, read as the command that asked for it reads it."""
    name = random.choice(sorted(_CALLS))
    reply = _CALLS[name](random)
    return Case(("devices", "check", "pi"), call=reply)


def _finished(random: Random, out: bytes) -> Finished:
    err = "" if random.random() < 0.8 else text(random, "No space left on device")
    return Finished(random.choice((0, 0, 0, 0, 1, 2, 124, 127, 139, 255)), out, err)


def _launched(random: Random) -> Callable[[], object]:
    states = "".join(f"@@state\n{_facts_text(random)}\n" for _ in range(random.choice((2, 2, 0, 1))))
    arrays = random.choice((_RECORDS, _arrays(random), b""))
    out = states.encode("utf-8", "surrogatepass") + b"@@result\n" + _line(random) + b"\n" + arrays
    finished = _finished(random, out)

    def call() -> None:
        from edgekit.devices.remote import launches
        from edgekit.devices.remote.runners import PythonRunner
        from edgekit.runtime.portable import PYTHON_RUNNER

        shell = Replies(finished)
        must_be_sane(launches.measure(shell, job(), PythonRunner(PYTHON_RUNNER), timeout_s=9.0))

    return call


def _told(random: Random) -> Callable[[], object]:
    # The process is edgekit's own, and only says what kind of error of edgekit it met.
    finished = Finished(0, _line(random), "")

    def call() -> None:
        from edgekit.devices.local import read_answer

        must_be_sane(read_answer(finished, 9.0))

    return call


def _looked(random: Random) -> Callable[[], object]:
    out = _facts_text(random).encode("utf-8", "surrogatepass")
    listed = "program net versions/1234\n0123456789ab\nprogram\n" + text(random, "0123456789ab")
    finished = _finished(
        random, random.choice((out, listed.encode("utf-8", "surrogatepass"), b"aarch64\n64\nglibc 2.36\n3 11 2\n"))
    )

    def call() -> None:
        from edgekit.devices.remote import engines, installed_programs, readiness
        from edgekit.devices.remote.facts import read_texts

        shell = Replies(finished)
        checks = list(readiness.check(shell, {}))
        assert checks
        for ask in (engines.look, installed_programs.installed, read_texts):
            ask(shell)

    return call


def _page(random: Random) -> Callable[[], object]:
    hello = as_json(random, alter(random, dict(_HELLO)) if random.random() < 0.4 else _HELLO)
    answer = _line(random) + b"\n" + random.choice((_RECORDS, _arrays(random)))

    def call() -> None:
        from edgekit.devices.web.browser import WebDevice

        with WebDevice("phone", {}, lambda _: None, connect_timeout_s=5, timeout_s=5) as page:
            page._site.hello.put(hello)
            page.facts()
            page._site.results.put(answer)
            must_be_sane(page.measure(job(backend="ort-web")))

    return call


def _read_arrays(random: Random) -> Callable[[], object]:
    data = _arrays(random)

    def call() -> None:
        from edgekit.devices.remote.array_records import unpacked

        unpacked(data)

    return call


_CALLS: Final[dict[str, Callable[[Random], Callable[[], object]]]] = {
    "launch": _launched,
    "local": _told,
    "look": _looked,
    "page": _page,
    "arrays": _read_arrays,
}


def job(backend: str = "") -> Job:
    """A launch of a tiny model, whose inputs are written to the folder for temporary files."""
    folder = Path.cwd()
    model = seed_models.DATA / "linear.onnx"
    write_arrays(folder / "out-feeds.npz", {"0:x": np.ones((1, 3), np.float32)})
    return Job(
        artifact=str(model), sha256=_digest(), format="onnx", feeds=str(folder / "out-feeds.npz"), backend=backend,
        outputs=str(folder / "out-outputs.npz"),
    )  # fmt: skip


@cache
def _digest() -> str:
    return sha256_file(seed_models.DATA / "linear.onnx")


def must_be_sane(result: JobResult) -> None:
    """Raise for a result that no launch can have: what is printed of it would be a verdict."""
    times: Sequence[float] = (*result.values, *result.warmups, result.load_s, result.first_run_s)
    assert result.values
    assert all(math.isfinite(one) and 0 <= one < 1e7 for one in times), times
    assert result.peak_memory_bytes is None or 0 <= result.peak_memory_bytes < 1 << 50
    assert all(0 <= one.seconds < 1e7 for one in result.operators)

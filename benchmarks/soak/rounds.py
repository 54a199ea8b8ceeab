"""One round: a command, mostly with a fault, then the same command without one, then the measurement."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Final

from benchmarks.soak.commands import Command
from benchmarks.soak.faults import Attempt, drawn, failing
from benchmarks.soak.place import Place, edgekit
from benchmarks.soak.quantities import quantities, settled, yield_to_others
from benchmarks.soak.residents import ask_page

LIMIT_S: Final = 600.0
_ADDRESS: Final = re.compile(rb"http://127\.0\.0\.1:\d+/[\w-]+/")


def one_round(
    place: Place, rng: random.Random, command: Command, lasts_s: dict[str, float], usual: int
) -> dict[str, Any]:
    """The row of a round.

    Args:
        lasts_s: How long each command takes without a fault, in seconds; brought up to date.
        usual: The number of processes between rounds.
    """
    fault = drawn(command, rng)
    row: dict[str, Any] = {"command": command.name, "fault": fault, "problems": []}
    try:
        _fail_and_repeat(command, place, rng, lasts_s, usual, row)
    except Exception:  # noqa: BLE001 - a fault of the soak itself costs one round, not all
        row["problems"].append(traceback.format_exc())
    ask_page(place.folder, rng)
    count, lines = settled(place, usual)
    if count > usual:
        row["problems"].append(f"{count - usual} processes left: {lines}")
    row["quantities"] = {"processes": count, **quantities(place)}
    return row


def _fail_and_repeat(
    command: Command, place: Place, rng: random.Random, lasts_s: dict[str, float], usual: int, row: dict[str, Any]
) -> None:
    """The command with the fault of the row, then without; codes, seconds and problems get into the row."""
    moment = rng.uniform(0.0, lasts_s[command.name])
    with failing(row["fault"], command, place, rng) as attempt:
        row["code"], row["seconds"] = _tried(command, attempt, place, moment, row["problems"])
    clean_s = row["seconds"]
    if row["fault"]:
        count, lines = settled(place, usual)
        if count > usual:
            row["problems"].append(f"{count - usual} processes left after the fault: {lines}")
        row["again"], clean_s = _tried(command, Attempt(codes=command.codes), place, 0.0, row["problems"])
    lasts_s[command.name] = 0.5 * (lasts_s[command.name] + clean_s)


def timed(command: Command, place: Place) -> float:
    """How long a command takes that nothing disturbs, in seconds; what is wrong with it is printed."""
    problems: list[str] = []
    _, seconds = _tried(command, Attempt(codes=command.codes), place, 0.0, problems)
    for problem in problems:
        print(f"first {command.name}: {problem}", flush=True)
    return seconds


def _tried(
    command: Command, attempt: Attempt, place: Place, moment: float, problems: list[str]
) -> tuple[int | None, float]:
    """Exit code and duration in seconds; what is wrong is added to `problems`."""
    begin = time.monotonic()
    said = place.folder / "stderr"
    with said.open("wb") as err, (place.folder / "stdout").open("wb") as out:
        process = subprocess.Popen(
            [*attempt.limits, *edgekit(command.words)],
            cwd=place.project,
            env=place.environment | attempt.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if attempt.closes_output else out,
            stderr=err,
            process_group=0,
        )
        if process.stdout:
            process.stdout.close()
        yield_to_others(place.nice)
        ended = threading.Event()
        watcher = threading.Thread(target=_open_page, args=(place, said, ended)) if command.opens_page else None
        if watcher:
            watcher.start()
        code = _ended(process, attempt, moment, begin)
        ended.set()
        if watcher:
            watcher.join()
        place.browser.close()
    text = said.read_text(errors="replace")
    text += (place.folder / "stdout").read_text(errors="replace")
    what = f"{' '.join(command.words.split()[:2])} exits with {code}"
    if code is None or code not in attempt.codes:
        problems.append(f"{what}: {text[-1500:]}")
    elif "Traceback" in text:
        problems.append(f"{what}, with a traceback: {text[-1500:]}")
    return code, round(time.monotonic() - begin, 2)


def _ended(process: subprocess.Popen[bytes], attempt: Attempt, moment: float, begin: float) -> int | None:
    """The exit code; None for a command that took too long and was killed."""
    if attempt.during:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        if process.poll() is None:
            attempt.during(process)
    try:
        return process.wait(LIMIT_S - (time.monotonic() - begin))
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def _open_page(place: Place, said: Path, ended: threading.Event) -> None:
    """Do what the owner of a phone does: open the address that the command prints."""
    while not ended.wait(0.2):
        found = _ADDRESS.search(said.read_bytes())
        if found:
            place.browser.open(found[0].decode())
            return

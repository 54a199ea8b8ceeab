"""A crowd of invented devices on one scheduler: throughput, and the memory of every program over time.

    python -m benchmarks.fleet.crowd [DEVICES [LAUNCHES [HOSTS]]]

By default 1,000 devices of four hosts and 100,000 launches, started by one command with a thread for each device.
Scheduler, hosts and command are processes of their own on this machine and share its cores; without keys. Lost
launches are counted; memory must not grow with the number of launches.
"""

from __future__ import annotations

import itertools
import logging
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from benchmarks.fleet.remote_hosts import a_job
from tests.devices.fleet.programs import host, scheduler

from edgekit.core.errors import EdgekitError
from edgekit.core.job import Job
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.devices.fleet.fleet_device import FleetDevice

DEVICES: Final = 1000
LAUNCHES: Final = 100_000
HOSTS: Final = 4
# Parts of the run after which memory is looked at; the first is warm-up.
PARTS: Final = 10


class Crowd:
    """Devices that launch at the same time, and what became of their launches."""

    def __init__(self, address: str, names: list[str], job: Job, launches: int) -> None:
        self.done = 0
        self.lost: Counter[str] = Counter()
        self._job = job
        self._left = itertools.count(launches, -1)
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=partial(self._launch, address, name)) for name in names]

    def start(self) -> None:
        """Start all devices."""
        for one in self._threads:
            one.start()

    @property
    def is_running(self) -> bool:
        """Whether a device still launches."""
        return any(one.is_alive() for one in self._threads)

    def _launch(self, address: str, name: str) -> None:
        with FleetDevice(name, address) as device:
            while next(self._left) > 0:
                try:
                    device.measure(self._job)
                except EdgekitError as err:
                    with self._lock:
                        self.lost[err.message[:100]] += 1
                else:
                    with self._lock:
                        self.done += 1


def megabytes(process: psutil.Process, *, whole: bool = True) -> float:
    """Resident memory of a process, with that of the processes below it if `whole`."""
    below = process.children(recursive=True) if whole else []
    return sum(one.memory_info().rss for one in (process, *below)) / (1 << 20)


def named(devices: int, hosts: int) -> list[list[str]]:
    """The names of the devices of each host."""
    return [[f"d{number}" for number in range(place, devices, hosts)] for place in range(hosts)]


def main() -> None:
    """Run the crowd, and print a line for each part."""
    given = [int(one) for one in sys.argv[1:]]
    devices, launches, hosts = (*given, *(DEVICES, LAUNCHES, HOSTS)[len(given) :])
    logging.basicConfig(level=logging.WARNING)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(temporary_folder()))
        served = stack.enter_context(scheduler())
        groups = named(devices, hosts)
        address = served.document["address"]
        joined = [stack.enter_context(host(address, ",".join(f"{one}=fake" for one in names))) for names in groups]
        programs = {"scheduler": psutil.Process(served.process.pid), "host": psutil.Process(joined[0].process.pid)}
        job = a_job(folder)
        crowd = Crowd(address, [name for names in groups for name in names], job, launches)
        start = before = time.perf_counter()
        crowd.start()
        for part in range(1, PARTS + 1):
            aim, already = part * launches // PARTS, (part - 1) * launches // PARTS
            while crowd.is_running and crowd.done + crowd.lost.total() < aim:
                time.sleep(0.05)
            now = time.perf_counter()
            memory = {name: megabytes(one) for name, one in programs.items()}
            memory["command"] = megabytes(psutil.Process(), whole=False)
            shown = ", ".join(f"{name} {size:.0f} MB" for name, size in memory.items())
            print(f"{aim} launches: {(aim - already) / (now - before):.0f} a second; {shown}", flush=True)
            before = now
        took = time.perf_counter() - start
        print(f"{crowd.done} of {launches} launches on {devices} devices in {took:.0f} s; {crowd.lost.total()} lost")
        for reason, count in crowd.lost.most_common(5):
            print(f"  {count}: {reason}")


if __name__ == "__main__":
    main()

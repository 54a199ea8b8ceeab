"""What a fleet over Dask costs and survives, with invented devices in processes of their own.

    python -m benchmarks.fleet.remote_hosts overhead     one launch through the fleet against one without
    python -m benchmarks.fleet.remote_hosts scale        1 and 4 hosts whose launches take a while
    python -m benchmarks.fleet.remote_hosts sweep        60 combinations; a host and the scheduler are killed meanwhile

Everything runs on this machine and shares its cores, TLS included.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from benchmarks.figures.figure_rows import record
from tests.devices.fleet.programs import host, scheduler
from tests.flows.scripted import fake_model

from edgekit.core.job import Job, JobResult
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import sha256_file
from edgekit.devices.fake import FakeDevice
from edgekit.devices.fleet import hosting
from edgekit.devices.fleet.fleet_device import FleetDevice
from edgekit.devices.fleet.host import Host
from edgekit.devices.fleet.keys import write_keys

LAUNCH_S = 0.5
SCALED = 40


class SleepingDevice(FakeDevice):
    """A device whose launches take a while, and no processor."""

    def __init__(self, launch_s: float) -> None:
        super().__init__()
        self.launch_s = launch_s

    def measure(self, job: Job) -> JobResult:
        """An invented result, after a while."""
        time.sleep(self.launch_s)
        return super().measure(job)


def offer(address: str, keys: Path, launch_s: float, names: Sequence[str]) -> None:
    """Be a host with sleeping devices until it is killed."""
    with temporary_folder() as folder:
        devices = {name: partial(SleepingDevice, launch_s) for name in names}
        hosting.join(address, keys, Host(devices, nullcontext, Path(folder)), Path(folder), partial(print, flush=True))


@contextmanager
def offered(address: str, keys: Path, launch_s: float, names: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A host with sleeping devices, in a process of its own, that has joined."""
    command = [sys.executable, "-m", "benchmarks.fleet.remote_hosts", "host", address, str(keys), str(launch_s), *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def a_job(folder: Path) -> Job:
    """A job with files of a few hundred bytes."""
    model, feeds = folder / "a.fake.json", folder / "feeds.npz"
    fake_model(model)
    feeds.write_bytes(b"feeds of an invented device")
    return Job(artifact=str(model), sha256=sha256_file(model), format="fake", feeds=str(feeds), min_values=30)


def launched(device: FleetDevice, job: Job, count: int) -> None:
    """Launch several times."""
    for _ in range(count):
        device.measure(job)


def overhead(folder: Path, keys: Path) -> None:
    """Print what one launch through the fleet costs."""
    job = a_job(folder)
    with (
        scheduler(keys) as served,
        offered(address := served.document["address"], keys, 0.0, ["lab"]),
        FleetDevice("lab", address, keys) as there,
        FakeDevice() as here,
    ):
        launched(there, job, 20)
        took: dict[str, list[float]] = {"fleet": [], "here": []}
        for _ in range(300):
            for name, device in (("fleet", there), ("here", here)):
                start = time.perf_counter()
                device.measure(job)
                took[name].append(time.perf_counter() - start)
    middle = {name: 1e3 * statistics.median(one) for name, one in took.items()}
    worst = 1e3 * statistics.quantiles(took["fleet"], n=20)[-1]
    print(f"a launch costs {middle['fleet'] - middle['here']:.1f} ms more through the fleet; 95 % below {worst:.1f} ms")
    record("fleet.launch", middle["fleet"] - middle["here"], seconds=took)


def scale(folder: Path, keys: Path) -> None:
    """Print how much more four hosts do than one."""
    job = a_job(folder)
    rates = {}
    for count in (1, 4):
        with ExitStack() as stack:
            address = stack.enter_context(scheduler(keys)).document["address"]
            names = [f"lab-{number}" for number in range(count)]
            devices = []
            for name in names:
                stack.enter_context(offered(address, keys, LAUNCH_S, [name]))
                devices.append(stack.enter_context(FleetDevice(name, address, keys)))
            with ThreadPoolExecutor(count) as threads:
                list(threads.map(partial(launched, job=job, count=1), devices))
                start = time.perf_counter()
                list(threads.map(partial(launched, job=job, count=SCALED), devices))
            rates[count] = count * SCALED / (time.perf_counter() - start)
    share = rates[4] / rates[1] / 4
    both = f"{rates[1]:.2f} /s with 1 host, {rates[4]:.2f} /s with 4"
    print(f"launches of {LAUNCH_S} s: {both}: {100 * share:.1f} % of four times")
    record("fleet.scale", 100 * share, launches_a_second=rates)


def sweep(folder: Path, keys: Path) -> None:
    """Print what a sweep of 60 combinations kept although a host and the scheduler were killed."""
    models = [f"{name}.fake.json" for name in "abcde"]
    for place, model in enumerate(models):
        fake_model(folder / model, offset=float(place))
    shape = {"models": models, "threads": [1, 2], "batch": [1, 4], "launches": 8, "time_limit_s": 0.01}
    targets = {"fleet": ["lab-0", "lab-1", "lab-2"], "here": ["fake"]}
    for name, target in targets.items():
        (folder / f"{name}.toml").write_text(
            "".join(f"{key} = {json.dumps(one)}\n" for key, one in {**shape, "target": target}.items())
        )
    results = folder / "fleet.jsonl"
    with ExitStack() as stack:
        served = stack.enter_context(scheduler(keys))
        address = served.document["address"]
        entries = "".join(f'[{name}]\nfleet = "{address}"\nkeys = "{keys}"\n' for name in targets["fleet"])
        (folder / "devices.toml").write_text(entries)
        hosts = [stack.enter_context(host(address, f"{name}=fake", keys)) for name in targets["fleet"]]
        running = _sweeping(folder, "fleet")
        _await_lines(results, 100, running)
        hosts[0].kill()
        stack.enter_context(host(address, "lab-0=fake", keys))
        _await_lines(results, 250, running)
        served.kill()
        stack.enter_context(scheduler(keys, int(address.rpartition(":")[2])))
        found = json.loads(running.communicate()[0])
    here = json.loads(_sweeping(folder, "here").communicate()[0])
    lines = [json.loads(line) for line in results.read_bytes().splitlines()]
    rounds = Counter((one["key"], one["round"]) for one in lines if not one["is_replaced"])
    print(
        f"{len(found['combinations'])} combinations, {found['launched']} launches, "
        f"{sum(count > 1 for count in rounds.values())} measured twice, {len(found['missing'])} missing; "
        f"verdict {found['verdict']}, without a fleet {here['verdict']}"
    )
    record("fleet.repeated", sum(count > 1 for count in rounds.values()), launched=found["launched"])
    for reason in {one["reason"] for one in found["missing"]}:
        print(f"missing: {reason}")


def _sweeping(folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgekit", "sweep", f"{name}.toml", "--json"]
    environ = {**os.environ, "EDGEKIT_DEVICES": str(folder / "devices.toml")}
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _await_lines(results: Path, count: int, running: subprocess.Popen[str]) -> None:
    while not results.is_file() or results.read_bytes().count(b"\n") < count:
        assert running.poll() is None
        time.sleep(0.02)


def main() -> None:
    """One of the parts, or a host for them."""
    parts = {"overhead": overhead, "scale": scale, "sweep": sweep}
    which = sys.argv[1] if len(sys.argv) > 1 else ""
    if which == "host":
        offer(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
        return
    if which not in parts:
        sys.exit(__doc__)
    with temporary_folder() as name:
        keys = Path(name) / "fleet.pem"
        write_keys(keys)
        parts[which](Path(name), keys)


if __name__ == "__main__":
    main()

"""How long `profile` takes on four devices against one of them, with a backend whose launch takes 2 s.

The devices are real sshds on loopback with a home each, so all four share the cores of this machine: what their shells
and interpreters compute counts four times, which devices of their own would not. Commands on one and on four are
interleaved. Where the scheduler disturbed a launch it was repeated: times are divided by the most launches of a device.
The figure is the median ratio; devices in turn give 4.

    python -m benchmarks.fleet.several_devices [PAIRS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures.figure_rows import record
from tests.standins.desk import Host, running_desk

from edgekit.core.system.durable.owners import temporary_folder

NAMES = ["pi-a", "pi-b", "pi-c", "pi-d"]
LINEAR = Path(__file__).parents[2] / "tests" / "runtime" / "data" / "linear.onnx"
LAUNCH_S = 2.0
LAUNCHES = 3
PAIRS = 8


def per_launch_s(folder: Path, desk: list[Host], target: str) -> float:
    """Seconds of one command, by the launches of the device that had most."""
    before = [len(host.launches) for host in desk]
    how = ["--target", target, "--launches", str(LAUNCHES), "--time-limit", "50ms"]
    settings = {"EDGEKIT_DEVICES": str(folder / "devices.toml"), "EDGEKIT_LEASES": str(folder / "leases")}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "edgekit", "profile", str(LINEAR), *how],
        cwd=folder,
        env={**os.environ, **settings},
        check=True,
        capture_output=True,
    )
    spent = time.perf_counter() - start
    # Each launch writes two lines.
    return 2 * spent / max(len(host.launches) - count for host, count in zip(desk, before, strict=True))


def main() -> None:
    """Measure pairs, and print each with the load of the machine."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    with temporary_folder() as name, running_desk(Path(name), NAMES, launch_s=LAUNCH_S) as desk:
        folder, ratios = Path(name), []
        per_launch_s(folder, desk, ",".join(NAMES))
        for _ in range(pairs):
            one, four = (per_launch_s(folder, desk, target) for target in (NAMES[0], ",".join(NAMES)))
            ratios.append(four / one)
            load = os.getloadavg()[0]
            print(f"one {one:.2f} s, four {four:.2f} s a launch: {four / one:.3f}, load {load:.1f}", flush=True)
    print(f"median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    record("devices.four", statistics.median(ratios), ratios=ratios)


if __name__ == "__main__":
    main()

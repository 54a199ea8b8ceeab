"""`deploy --for systemd`: the unit as systemd reads it, and the commands in it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.flows.deploying.small_bundles import small_bundle

from edgekit.core.system.progress import Silent
from edgekit.flows.deploy import program_order

HOME = "/opt/edgekit-model"
UNIT = "edgekit-model.service"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder in which the README was followed, with this Python in the place of the virtual environment."""
    out = tmp_path / "out"
    bundle = small_bundle(tmp_path / "bundle", name="net\\")  # a line that ends like this would continue in a unit
    with program_order(bundle, language="systemd", out=out) as order:
        order.run(Silent())
    root = tmp_path / "root"
    (root / f"{HOME[1:]}/venv/bin").mkdir(parents=True)
    python = root / f"{HOME[1:]}/venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    shutil.copy(out / "model.pyz", root / HOME[1:])
    (root / "etc/systemd/system").mkdir(parents=True)
    shutil.copy(out / UNIT, root / "etc/systemd/system")
    return root


def commands(root: Path) -> dict[str, list[str]]:
    """The commands of the unit by the name of their line, in `root`."""
    lines = (root / "etc/systemd/system" / UNIT).read_text().splitlines()
    pairs = (line.partition("=")[::2] for line in lines if line.startswith("Exec"))
    return {
        name: shlex.split(text.replace(HOME, f"{root}{HOME}").replace("%S", f"{root}/var/lib")) for name, text in pairs
    }


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(root: Path) -> None:
    # Without them, what the unit stands on is missing in a root of its own.
    for name in ("multi-user.target", "basic.target", "sysinit.target", "shutdown.target"):
        (root / "etc/systemd/system" / name).write_text("[Unit]\nDescription=x\n")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", UNIT], capture_output=True, text=True, check=False
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if "edgekit" in line]) == (0, [])


@pytest.mark.slow
def test_the_commands_of_the_unit_test_the_model_and_run_what_appears(root: Path) -> None:
    found = commands(root)
    subprocess.run(found["ExecStartPre"], check=True, stdout=subprocess.DEVNULL)
    folder = root / "var/lib/edgekit-model"
    with subprocess.Popen(found["ExecStart"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        np.save(folder / "in" / ".x.npy", np.zeros((1, 8, 8), np.float32))
        (folder / "in" / ".x.npy").rename(folder / "in" / "x.npy")
        end = time.monotonic() + 30
        while not (folder / "out" / "x.npy.json").exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.terminate()

    assert json.loads((folder / "out" / "x.npy.json").read_text())["input"] == "x.npy"

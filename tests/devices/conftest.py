"""Devices that tests reach: this machine through a shell, and the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.standins.cache import required
from tests.standins.jobs import job_of
from tests.standins.local_shell import LocalShell
from tests.standins.pi import Pi, running_pi

from edgekit.core.job import Job


@pytest.fixture
def here(tmp_path: Path) -> LocalShell:
    """A shell on this machine, in an empty home folder."""
    home = tmp_path / "home"
    home.mkdir()
    return LocalShell(home)


@pytest.fixture(scope="session")
def pi() -> Iterator[Pi]:
    """A Raspberry Pi 5 with the engines on it."""
    with required(), running_pi(prepared=True) as running:
        yield running


@pytest.fixture
def linear_job(tmp_path: Path) -> Job:
    """A short job of the linear model, with two feeds whose outputs are asked for."""
    return job_of("linear.onnx", tmp_path)

"""What every test can rely on: no settings of the user, one cache a run, a disk that is nearly full."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.warm.workers import warm_workers

from edgekit.core.system.durable.owners import make_folder

settings.register_profile("edgekit", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("edgekit")

# Variables of edgekit that the caller of a test run may set; every other one would change what is tested.
_KEPT = ("EDGEKIT_CACHE", "EDGEKIT_DATA", "EDGEKIT_REQUIRE_STANDINS")
# Seconds that a test with this marker takes, roughly.
_COSTS = {"slow": 2, "browser": 3, "device": 10}
# As many as a heavy package brings.
_MANY_MODULES = 200
_FROZEN = pytest.StashKey[int]()
_LEASES = pytest.StashKey[Path]()
_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    _obey_ctrl_c()
    for name in [name for name in os.environ if name.startswith("EDGEKIT_") and name not in _KEPT]:
        del os.environ[name]
    # This machine is leased by each test run for itself, not among all that run on it.
    config.stash[_LEASES] = leases = make_folder("edgekit-leases-")
    os.environ["EDGEKIT_LEASES"] = str(leases)
    # A worker of xdist finds the cache that its controller has set up.
    if "EDGEKIT_CACHE" not in os.environ:
        config.stash[_FOLDER] = folder = make_folder("edgekit-tests-")
        os.environ["EDGEKIT_CACHE"] = str(_cache(folder))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _LEASES in config.stash:
        shutil.rmtree(config.stash[_LEASES], ignore_errors=True)
    if _FOLDER in config.stash:
        del os.environ["EDGEKIT_CACHE"]
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In a parallel run the files with the most expensive tests come first, so that no process ends with one alone."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        costs: Counter[Path] = Counter()
        for item in items:
            costs[item.path] += sum(_COSTS[mark.name] for mark in item.iter_markers() if mark.name in _COSTS)
        items.sort(key=lambda item: -costs[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep what was imported out of the garbage collector, which measuring starts before each series of calls.

    Among the objects of every test module and of torch one collection takes 0.2 s, a series of calls 0.05 s.
    """
    if len(sys.modules) > item.config.stash.get(_FROZEN, 0) + _MANY_MODULES:
        item.config.stash[_FROZEN] = len(sys.modules)
        gc.collect()
        gc.freeze()


def _obey_ctrl_c() -> None:
    """Let Ctrl-C interrupt this process and all that it starts.

    A shell without job control makes its background jobs ignore Ctrl-C, and children inherit that: the tests that press
    it would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _cache(folder: Path) -> Path:
    """A cache whose conversions last for this run, and whose stand-ins, which take minutes to build, stay."""
    standins = Path.home() / ".cache" / "edgekit" / "standins"
    standins.mkdir(parents=True, exist_ok=True)
    (folder / "standins").symlink_to(standins)
    return folder


@pytest.fixture(autouse=True)
def _ctrl_c_as_before() -> Iterator[None]:
    """A command that was interrupted in this process lets the next Ctrl-C end it, which the tests after it must not."""
    before = signal.getsignal(signal.SIGINT)
    yield
    if signal.getsignal(signal.SIGINT) is not before:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _warm_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with warm_workers(tmp_path_factory.mktemp("warm")):
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return Path(__file__).parents[1]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB of its own. Mounting needs a capability that no package gives: its lack is a skip."""
    disk = tmp_path / "tiny-disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tiny file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)

"""What every test can rely on: no settings of the user, one cache a run, stand-ins that may be required."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("edgekit", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("edgekit")

# Variables of edgekit that a caller of the test run may set; every other one would change what is tested.
_KEPT = ("EDGEKIT_CACHE", "EDGEKIT_DATA", "EDGEKIT_REQUIRE_STANDINS")
_OWNED = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a worker of xdist inherits what its controller has set up
    home = tempfile.mkdtemp(prefix="edgekit-tests-")
    config.stash[_OWNED] = home
    for name in [name for name in os.environ if name.startswith("EDGEKIT_") and name not in _KEPT]:
        del os.environ[name]
    os.environ.setdefault("EDGEKIT_CACHE", f"{home}/cache")
    os.environ["XDG_CONFIG_HOME"] = f"{home}/config"
    os.environ["XDG_CACHE_HOME"] = f"{home}/xdg-cache"


def pytest_unconfigure(config: pytest.Config) -> None:
    if (home := config.stash.get(_OWNED, None)) is not None:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return Path(__file__).parents[1]


def missing_standin(reason: str) -> None:
    """Skip, counted and with its reason; a failure where every stand-in is required."""
    if os.environ.get("EDGEKIT_REQUIRE_STANDINS") == "1":
        pytest.fail(f"{reason}, and EDGEKIT_REQUIRE_STANDINS=1 asks for it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The Chromium program that opens pages in tests."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        missing_standin("Chromium is not installed (make standins)")
    return Path(str(found))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB of its own. Mounting needs a capability that no package gives, so its lack is a skip."""
    disk = tmp_path / "tiny-disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tiny file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)

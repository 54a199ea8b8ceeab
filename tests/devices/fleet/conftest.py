"""A fleet with a host, its keys, and a job for its devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.devices.fleet.programs import host, scheduler
from tests.flows import onnx_files

from edgekit.core.job import Job
from edgekit.core.samples import write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.devices.fleet.connection import Connection
from edgekit.devices.fleet.host import receive_here
from edgekit.devices.fleet.keys import write_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "fleet.pem"
    write_keys(path)
    return path


@pytest.fixture(scope="module")
def fleet(keys: Path) -> Iterator[str]:
    """The address of a fleet with a host that offers an invented device, and this machine."""
    with scheduler(keys) as served, host(served.document["address"], "lab=fake,desk=local", keys) as joined:
        assert joined.document["devices"] == {"lab": "fake", "desk": "local"}
        yield served.document["address"]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    net, feeds = folder / "net.onnx", folder / "feeds.npz"
    onnx_files.dense(net)
    write_arrays(feeds, {"0:x": np.ones((1, 8), np.float32), "1:x": np.zeros((1, 8), np.float32)})
    return Job(artifact=str(net), sha256=sha256_file(net), format="onnx", feeds=str(feeds), time_limit_s=0.01)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SHA-256 of the file of each part that was sent to a host."""
    found: list[str] = []
    call = Connection.call

    def counted(self: Connection, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        found.extend(arguments[:1] if function is receive_here else ())
        return call(self, function, *arguments, **more)

    monkeypatch.setattr(Connection, "call", counted)
    return found

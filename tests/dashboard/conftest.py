"""Pages that a real `edgekit serve` serves from a store with names that are hostile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

import msgspec
import pytest
from tests.store.made_reports import checked, compared, profiled, swept, tuned

from edgekit.core.reports.reproduction import Reproduction
from edgekit.store.database import open_store
from edgekit.store.recording import record

HOSTILE = "\"><script>alert('x')</script>&{{7*7}}"
TOKEN = "0123456789abcdef0123"


@dataclass(frozen=True)
class Reply:
    """What the server sent."""

    status: int
    headers: Message
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing: where a reply leads is what a test looks at."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Pages:
    """A running server."""

    url: str
    process: subprocess.Popen[str]

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url.rstrip("/") + path, headers=named, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
        try:
            with opener.open(request, timeout=30) as reply:
                return Reply(reply.status, reply.headers, reply.read().decode())
        except urllib.error.HTTPError as err:
            return Reply(err.code, err.headers, err.read().decode())


@contextmanager
def serving(place: str, *arguments: str) -> Iterator[Pages]:
    """`edgekit serve` in a process of its own, on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edgekit", "serve", "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EDGEKIT_HISTORY": place},
    )
    try:
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += line
            if line.rstrip() == "}":
                break
        assert told, process.stderr.read() if process.stderr else ""
        yield Pages(json.loads(told)["url"], process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with runs of every command, some with hostile names."""
    place = str(tmp_path_factory.mktemp("dashboard") / "runs.sqlite")
    with open_store(place) as store:
        for day in range(12):
            record(store, profiled(day, p50_s=3e-3 + day * 1e-4, branch="main" if day % 2 else "fix"))
        record(store, checked(12))
        record(store, compared(13))
        record(store, tuned(14))
        hostile = profiled(15, model=HOSTILE, target=HOSTILE)
        record(store, msgspec.structs.replace(hostile, reproduction=Reproduction(commit=HOSTILE, branch=HOSTILE)))
        record(store, swept(16, model="digits"))
        record(store, swept(17, model="digits", p50_s=6e-3, engines=("1.26", "1.27")))
    return place


@pytest.fixture(scope="session")
def pages(filled: str) -> Iterator[Pages]:
    with serving(filled) as running:
        yield running

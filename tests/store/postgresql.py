"""A real PostgreSQL on loopback, with its data in a temporary folder and no rights on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.standins.cache import Missing, required

# Debian keeps the programs of each version apart from the search path.
DEBIAN = Path("/usr/lib/postgresql")
PASSWORD = "not-a-secret-5"
TIMEOUT_S = 60
# A test needs no data after a power failure.
_SETTINGS = ("fsync=off", "unix_socket_directories=", "listen_addresses=127.0.0.1", "max_connections=40")


@dataclass(frozen=True)
class Server:
    """A server that runs. Each database is made by the test that needs it."""

    port: int
    programs: Path

    def url(self, database: str) -> str:
        return f"postgresql://edgekit:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """The URL of a new, empty database."""
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        at = ("--host=127.0.0.1", f"--port={self.port}", "--username=edgekit")
        subprocess.run([self.programs / "createdb", *at, database], env=environment, check=True, timeout=TIMEOUT_S)
        return self.url(database)


@contextmanager
def postgresql() -> Iterator[Server]:
    """A server for as long as the block lasts; without PostgreSQL the test is skipped, or fails in CI."""
    with required():
        programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="edgekit-postgresql-"))
    try:
        who = _unprivileged(folder)
        (folder / "password").write_text(PASSWORD)
        made = ("--auth=scram-sha-256", "--username=edgekit", "--encoding=UTF8", "--locale=C", "--no-sync")
        data = (f"--pgdata={folder / 'data'}", f"--pwfile={folder / 'password'}")
        subprocess.run(
            [programs / "initdb", *data, *made], check=True, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S, **who
        )
        with _running(programs, folder, who) as port:
            yield Server(port, programs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    if path := shutil.which("initdb"):
        return Path(path).resolve().parent
    raise Missing("PostgreSQL is not installed: apt-get install postgresql")


def _unprivileged(folder: Path) -> dict[str, Any]:
    """How a process is started that is not root, which PostgreSQL refuses; the folder is given to its user."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": folder}


@contextmanager
def _running(programs: Path, folder: Path, who: Mapping[str, Any]) -> Iterator[int]:
    port = _free_port()
    settings = [word for setting in (*_SETTINGS, f"port={port}") for word in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        command = [str(programs / "postgres"), "-D", str(folder / "data"), *settings]
        process: subprocess.Popen[bytes] = subprocess.Popen(command, stdout=log, stderr=log, **who)
    try:
        _wait(process, port, folder / "log")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(Server(port, Path()).url("postgres"), connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

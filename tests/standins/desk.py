"""Devices on one desk: real sshds on loopback, each with a home of its own, and a backend of a known duration."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Final

from tests.standins.pi import _kill, await_port, descendants, free_port, script, sshd, start, write_client

# An onnxruntime whose launch takes LAUNCH_S from the start of its process, however busy this machine is.
_BACKEND: Final = """
import os, time, types
import numpy
__version__ = "1.0"
LAUNCH_S = float(open(os.path.expanduser("~/launch_s")).read())
GraphOptimizationLevel = types.SimpleNamespace(ORT_ENABLE_ALL=99)
def get_available_providers(): return ["CPUExecutionProvider"]
# A launch goes on when as many have begun as `~/meet` says, below the name of the folder where they meet.
def meet():
    if not os.path.exists(os.path.expanduser("~/meet")): return
    folder, count = open(os.path.expanduser("~/meet")).read().split("\\n")
    os.makedirs(folder, exist_ok=True)
    name = f"{os.getpid()} " + os.environ["HOME"].replace("/", "-")  # devices have process numbers of their own
    open(os.path.join(folder, name), "w").close()
    end = time.time() + 60
    while len(os.listdir(folder)) < int(count):
        if time.time() > end: raise RuntimeError("the other devices are in no launch")
        time.sleep(0.02)
class SessionOptions:
    def add_session_config_entry(self, key, value): pass
class InferenceSession:
    def __init__(self, path, settings, providers):
        with open(os.path.expanduser("~/launches"), "a") as log: log.write(f"begin {os.getpid()}\\n")
        meet()
        started = os.stat(f"/proc/{os.getpid()}").st_ctime
        time.sleep(max(0.0, LAUNCH_S - (time.time() - started)))
        with open(os.path.expanduser("~/launches"), "a") as log: log.write(f"end {os.getpid()}\\n")
    def get_providers(self): return ["CPUExecutionProvider"]
    def get_outputs(self): return [types.SimpleNamespace(name="y")]
    def run(self, names, feed): return [numpy.zeros((1, 2), numpy.float32)]
    def io_binding(self):
        nothing = lambda *args: None
        return types.SimpleNamespace(bind_cpu_input=nothing, bind_output=nothing)
    def run_with_iobinding(self, binding): time.sleep(0.001)
"""


@dataclass
class Host:
    """One device: its name, the folder with its home, and its daemon."""

    name: str
    state: Path
    port: int
    config: Path
    process: Popen[bytes]

    @property
    def home(self) -> Path:
        """The home folder of its user."""
        return self.state / "home"

    @property
    def launches(self) -> list[str]:
        """`begin` and `end` of each launch, in order."""
        log = self.home / "launches"
        return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []

    def meets(self, folder: Path, count: int) -> None:
        """From now on, let no launch go on before `count` launches have begun."""
        (self.home / "meet").write_text(f"{folder}\n{count}")

    def kill(self) -> None:
        """Switch it off: its daemon and everything on it end at once."""
        for pid in (*descendants(self.process.pid), self.process.pid):
            _kill(pid)
        self.process.wait(10)

    def start(self) -> None:
        """Switch it on again."""
        self.process = _daemon(self.state)
        await_port(self.port, self.process, self.state)


@contextmanager
def running_desk(folder: Path, names: list[str], *, launch_s: float | None) -> Iterator[list[Host]]:
    """The devices, and an inventory of them in `folder/devices.toml`.

    Args:
        launch_s: How long each launch takes, in seconds; None for the real backends of this Python.

    Raises:
        Missing: There is no sshd.
    """
    with ExitStack() as stack:
        hosts = [stack.enter_context(_running(folder / name, name, launch_s)) for name in names]
        lines = [f'[{one.name}]\nssh = "{one.name}"\nssh_config = "{one.config}"\n' for one in hosts]
        (folder / "devices.toml").write_text("\n".join(lines))
        yield hosts


@contextmanager
def _running(state: Path, name: str, launch_s: float | None) -> Iterator[Host]:
    (state / "home").mkdir(parents=True)
    if launch_s is not None:
        site = state / "home/.cache/edgekit/site/onnxruntime"
        site.mkdir(parents=True)
        (site / "__init__.py").write_text(_BACKEND)
        (state / "home/launch_s").write_text(str(launch_s))
    port = free_port()
    config = write_client(state, name, port)
    _write_server(state, port)
    host = Host(name, state, port, config, _daemon(state))
    try:
        await_port(port, host.process, state)
        yield host
    finally:
        if host.process.poll() is None:
            os.killpg(host.process.pid, signal.SIGKILL)
            host.process.wait(10)


def _daemon(state: Path) -> Popen[bytes]:
    server, environment = sshd()
    return start(server, state, "", environment)


def _write_server(state: Path, port: int) -> None:
    """Its own home folder and programs, and a login shell that becomes the command: each program takes time of all."""
    python = Path(sys.executable).parent
    values = f"HOME={state}/home PATH={python}:/usr/bin:/bin EDGEKIT_LEASES={state}/leases SHELL=/bin/sh"
    script(state / "enter", 'eval "exec $SSH_ORIGINAL_COMMAND"')
    (state / "authorized_keys").write_bytes((state / "client_key.pub").read_bytes())
    (state / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {state}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {state}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxSessions 20\nMaxStartups 50\n"
        f"SetEnv {values}\nForceCommand {state}/enter\n"
    )

"""An account on a Linux machine, over a real sshd on loopback: its own login shell, start-up files and home folder."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.standins import pi as pis
from tests.standins.cache import built
from tests.standins.debian import unpack_packages
from tests.standins.pi import Pi

from edgekit.core.system.durable.owners import temporary_folder

_ENTER = """#!/bin/sh
export HOME={home} SHELL={shell} PATH={programs}:/usr/bin:/bin
unset SHLVL
cd "$HOME"
exec {shell} {flags} -c "$SSH_ORIGINAL_COMMAND"
"""


def tcsh() -> str:
    """The C shell of Debian, unpacked into the cache."""
    return str(built("tcsh-1", lambda part: unpack_packages(part, ["tcsh"], only=["./bin/tcsh"])) / "bin/tcsh")


@contextmanager
def running_account(
    shell: str = "/bin/bash", *, flags: str = "", files: Mapping[str, str] = MappingProxyType({}), host: str = "host"
) -> Iterator[Pi]:
    """An account for as long as the block lasts: this machine, with this Python as `python3`.

    Args:
        shell: The login shell, which sshd starts with `-c` and the command, as always.
        flags: Options of the login shell.
        files: Start-up files in the home folder, by name.

    Raises:
        Missing: There is no sshd, or no user namespace.
    """
    pis.check_machine()
    server, environment = pis.sshd()
    with temporary_folder("ek-account-") as folder:
        state = Path(folder)
        for name in ("home", "own/bin"):
            (state / name).mkdir(parents=True)
        pis.script(state / "own/bin/python3", f'exec {sys.executable} "$@"')
        for name, text in files.items():
            (state / "home" / name).write_text(text)
        entrance = state / "enter.sh"
        entrance.write_text(
            _ENTER.format(
                home=shlex.quote(str(state / "home")),
                shell=shell,
                flags=flags,
                programs=shlex.quote(f"{state}/own/bin"),
            )
        )
        entrance.chmod(0o755)
        port = pis.free_port()
        config = pis.write_client(state, host, port)
        pis.write_server(state, port, {}, entrance)
        process = pis.start(server, state, "", environment)
        try:
            pis.await_port(port, process, state)
            yield Pi(host, state, port, config, process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            pis.await_gone(state)

"""Accounts whose login shell prints, is no POSIX shell, or runs no commands, on a real sshd."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.standins.account import running_account, tcsh
from tests.standins.cache import required
from tests.standins.jobs import Y, job_of
from tests.standins.pi import Pi

from edgekit.core.errors import DeviceError, UserError
from edgekit.core.samples import read_arrays
from edgekit.devices.remote.facts import read_texts
from edgekit.devices.remote.frames import Frame, for_login_shell
from edgekit.devices.remote.launches import measure
from edgekit.devices.remote.runners import PythonRunner
from edgekit.runtime.portable import PYTHON_RUNNER

pytestmark = pytest.mark.device

# What administrators and users put there: a banner on both streams, tracing, a line that looks like a reply, an end.
NOISE = """echo "Welcome to $(uname -n)!"; echo '@@uname'; echo 'all'; echo '{"backend": "wrong"}'
echo 'last login: yesterday' >&2; echo "$BASH_EXECUTION_STRING"
trap 'echo bye; echo bye >&2' EXIT
set -x
"""
WRAPPER = """#!/bin/sh
echo "*** all sessions are recorded ***"; echo "recorded: $*" >&2
/bin/sh "$@"
code=$?
echo "*** end of the session ***"; echo done >&2
exit $code
"""
CSH_NOISE = "echo motd\nset prompt='% '\nset noglob\n"


@contextmanager
def account(name: str, folder: Path) -> Iterator[Pi]:
    """A machine whose account has the login shell called `name`."""
    (folder / "wrapper").write_text(WRAPPER)
    (folder / "wrapper").chmod(0o755)
    with required():
        kinds = {
            "noisy bash": lambda: running_account(files={".bashrc": NOISE}),
            "wrapper": lambda: running_account(str(folder / "wrapper")),
            "tcsh": lambda: running_account(tcsh(), files={".cshrc": CSH_NOISE}),
            "rbash": lambda: running_account("/bin/bash", flags="-r"),
        }
        with kinds[name]() as running:
            yield running


@pytest.mark.parametrize("name", ["noisy bash", "wrapper", "tcsh", "rbash"])
def test_a_login_shell_that_prints_or_is_another_changes_no_reply(name: str, tmp_path: Path) -> None:
    job = job_of("linear.onnx", tmp_path)
    with account(name, tmp_path) as machine, machine.shell() as shell:
        texts = read_texts(shell)
        odd = shell.run("""printf '%s|' 'a!b' "c\\d" '$HOME' é; echo >&2 complaint; exit 7""")
        result = measure(shell, job, PythonRunner(PYTHON_RUNNER), timeout_s=120)

    assert texts["uname"].split() == ["Linux", "x86_64"]
    assert (odd.code, odd.out.decode(), odd.err) == (7, "a!b|c\\d|$HOME|é|", "complaint\n")
    assert result.values
    np.testing.assert_array_equal(read_arrays(Path(job.outputs), UserError)["0:y"], Y)


def test_an_upload_through_a_noisy_shell_is_unharmed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(bytes(range(256)) * 400)
    with account("noisy bash", tmp_path) as machine, machine.shell() as shell:
        shell.run(f'mkdir -p "{shell.root}"')
        shell.put(data, "copy")

        assert shell.run(f'cat "{shell.root}/copy"').out == data.read_bytes()


@pytest.mark.parametrize("program", ["nologin", "git-shell"])
def test_an_account_without_a_shell_is_said_with_the_reason(program: str) -> None:
    place = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert place is not None
    reason = {"nologin": "This account is currently not available", "git-shell": "unrecognized command"}[program]
    with (
        required(),
        running_account(place) as machine,
        machine.shell() as shell,
        pytest.raises(DeviceError, match=rf"login shell of 'host' .* does not run commands: .*{reason}") as caught,
    ):
        shell.run("true")

    assert caught.value.hint.startswith(f"ssh -F {machine.config} host uname -m ")


def test_a_menu_that_ignores_the_command_is_said(tmp_path: Path) -> None:
    menu = tmp_path / "menu"
    menu.write_text("#!/bin/sh\necho 'Choose: 1) status 2) reboot'\n")
    menu.chmod(0o755)
    with (
        required(),
        running_account(str(menu)) as machine,
        machine.shell() as shell,
        pytest.raises(DeviceError, match=r"does not run commands: Choose: 1\) status"),
    ):
        shell.run("true")


def test_a_mark_cannot_be_copied_from_the_command() -> None:
    frame = Frame()

    assert frame.mark not in frame.around("echo hello")
    assert frame.mark not in for_login_shell(frame.around("echo hello"))
    assert Frame().mark != frame.mark


def test_what_a_login_shell_receives_has_nothing_to_expand() -> None:
    coded = for_login_shell("echo \"$HOME\" `date` 'a'\n!x \\ é")

    script = re.fullmatch(r"env LC_ALL=C sh -c '[^']*' '([^'!\n]*)'", coded)
    assert script is not None
    assert script[1].isascii()
    assert json.dumps(script[1])

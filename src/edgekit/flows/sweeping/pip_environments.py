"""Makes Python environments with pip: completely, or not at all."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgekit.core.errors import EnvironmentFault


@contextmanager
def make_environment(
    folder: Path, interpreter: str, requirement: str, *, hint: str, name: str = "", options: Sequence[str] = ()
) -> Iterator[None]:
    """A new environment at `folder` with what pip installs for `requirement`; the block tests and seals it.

    The folder is removed if anything fails, in the block as well.

    Args:
        name: What messages call it; by default the requirement.
        options: Further options of pip.

    Raises:
        EnvironmentFault: A step failed; the message has the last lines that it printed.
    """
    called = name or requirement
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        run_step([interpreter, "-I", "-m", "venv", str(folder)], called, hint=hint)
        pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", *options]
        run_step([*pip, requirement], called, hint=hint)
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def run_step(command: Sequence[str], name: str, *, hint: str) -> None:
    """Run one step of the installation of `name`; the error has the last lines that it printed.

    Raises:
        EnvironmentFault: It exited with another code than 0.
    """
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = "".join(f"\n  | {line[:200]}" for line in lines[-4:])
        message = f"'{name}' was not installed: '{Path(command[0]).name}' exited with {done.returncode}.{said}"
        raise EnvironmentFault(message, hint=hint)

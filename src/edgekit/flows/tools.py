"""`edgekit tools`: converters that need their own Python environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgekit.core.errors import EnvironmentFault, unknown
from edgekit.core.reports.setup.tools import ToolReport
from edgekit.core.system.environments import TOOLS, folder_of, is_installed, is_unchanged, program_of, seal
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.flows.sweeping.pip_environments import make_environment, run_step


@dataclass(frozen=True)
class InstallOrder:
    """A tool to install, and the Python for its environment; if empty, the first that the tool supports."""

    tool: str
    python: str
    settings: Settings
    command: str = "tools install"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        if is_installed(self.tool):
            return (f"nothing: '{self.tool}' is installed in '{folder_of(self.tool)}'",)
        requirement = TOOLS[self.tool].requirement
        return (f"create a Python environment in '{folder_of(self.tool)}'", f"pip install {requirement}")

    def run(self, progress: Progress) -> ToolReport:
        """Create the environment and test its program; a failed environment is removed."""
        tool = self.tool
        if is_installed(tool) and is_unchanged(tool):
            return _document(tool, was_there=True)
        if self.settings.offline:
            raise EnvironmentFault(
                f"'{tool}' must be downloaded from the package index, which --offline forbids.",
                hint=f"edgekit tools install {tool}",
            )
        interpreter = _python(tool, self.python)
        with progress.stage(f"install {TOOLS[tool].requirement}"):
            _make(tool, interpreter)
        return _document(tool)


@contextmanager
def install_order(tool: str, *, python: str = "", settings: Settings = Settings()) -> Iterator[InstallOrder]:
    """Create the environment of a tool, and test its program.

    Args:
        python: The interpreter to use; if empty, the first available one that the tool supports.

    Raises:
        UserError: No such tool; the nearest is suggested.
        EnvironmentFault: No suitable Python, no connection to the package index, or pip failed.
    """
    if tool not in TOOLS:
        raise unknown("tool", tool, TOOLS)
    yield InstallOrder(tool, python, settings)


def _make(tool: str, interpreter: str) -> None:
    hint = f"edgekit tools install {tool}"
    with make_environment(folder_of(tool), interpreter, TOOLS[tool].requirement, hint=hint, name=tool):
        run_step([str(program_of(tool)), "--help"], tool, hint=hint)
        seal(tool)


def _document(tool: str, *, was_there: bool = False) -> ToolReport:
    return ToolReport(tool=tool, requirement=TOOLS[tool].requirement, folder=str(folder_of(tool)), was_there=was_there)


def _python(tool: str, given: str) -> str:
    """The given Python, else the oldest at hand, that the tool takes."""
    wanted = TOOLS[tool].python
    for path in [given] if given else _pythons(wanted):
        if _takes(path, wanted):
            return path
    version, where = ".".join(map(str, wanted)), f"'{given}' is not one" if given else "none was found"
    raise EnvironmentFault(
        f"'{tool}' needs Python {version} or newer, and {where}.",
        hint=f"edgekit tools install {tool} --python path/to/python{version}",
    )


def _takes(path: str, wanted: tuple[int, int]) -> bool:
    code = f"import sys; raise SystemExit(sys.version_info[:2] < {wanted})"
    try:
        return subprocess.run([path, "-I", "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _pythons(wanted: tuple[int, int]) -> Iterator[str]:
    yield sys.executable
    for minor in range(wanted[1], wanted[1] + 4):
        found = shutil.which(f"python{wanted[0]}.{minor}")
        if found:
            yield found

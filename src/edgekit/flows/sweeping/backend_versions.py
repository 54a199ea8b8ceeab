"""Versions of backends, each in an environment of its own, as a sweep file names them: `onnxruntime==1.31.1`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError, unknown
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.environments import environment_folder, is_sealed, is_whole, seal_folder
from edgekit.flows.sweeping.pip_environments import make_environment, run_step

_VERSION: Final = re.compile(r"\d{1,6}(\.\d{1,6}){1,3}((a|b|rc)\d{1,3})?")
_INSTALLING_S: Final = 600.0
_EXAMPLE: Final = 'engine = ["onnxruntime==1.30.0", "onnxruntime==1.31.1"]'


class _Package(NamedTuple):
    """The backend that uses a package, and the module that proves it to work."""

    backend: str
    module: str


PACKAGES: Final = {
    "onnxruntime": _Package("onnxruntime", "onnxruntime"),
    "ai-edge-litert": _Package("litert", "ai_edge_litert.interpreter"),
    "openvino": _Package("openvino", "openvino"),
}


@dataclass(frozen=True)
class BackendVersion:
    """One version of a backend's package."""

    package: str
    version: str

    @classmethod
    def parse(cls, text: str) -> BackendVersion:
        """From `onnxruntime==1.31.1`: nothing else reaches pip.

        Raises:
            UserError: An unknown package, or not exactly one version.
        """
        package, equals, version = text.partition("==")
        if not equals or not _VERSION.fullmatch(version):
            raise UserError(f"'engine': expected NAME==VERSION, got '{text}'.", hint=_EXAMPLE)
        if package not in PACKAGES:
            raise unknown("package", package, PACKAGES, hint=_EXAMPLE)
        return cls(package, version)

    def __str__(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def backend(self) -> str:
        """The backend that uses it."""
        return PACKAGES[self.package].backend

    @property
    def folder(self) -> Path:
        """Where its environment is, or would be: wheels are made for one version of Python."""
        python = f"cp{sys.version_info.major}{sys.version_info.minor}"
        return environment_folder(f"{self}-{python}")

    @property
    def packages(self) -> Path:
        """The folder that launches import it from."""
        return self.folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    @property
    def is_installed(self) -> bool:
        """Whether its installation has finished."""
        return is_sealed(self.folder)

    def check(self) -> None:
        """Verify its environment before anything of it runs; reads all of its files.

        Raises:
            Unreadable: A file was changed or added since the installation.
        """
        if not is_whole(self.folder):
            raise Unreadable(
                f"The environment of '{self}' in '{self.folder}' has changed since it was installed.",
                hint=shlex.join(["rm", "-r", str(self.folder)]),
            )

    def install(self) -> None:
        """Download it from the package index into an environment of its own.

        Only the wheel of the package itself: everything else that a launch imports is the same for all versions, so
        that the version is all that differs. Source archives are refused, because they run code to install. Of several
        sweeps that need it, one installs it and the others wait.

        Raises:
            EnvironmentFault: The index does not have it for this Python, or it does not work here.
            UserError: Another process takes longer than ten minutes to install it.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with claimed(self.folder, wait_s=_INSTALLING_S):
            if not self.is_installed:
                self._make()

    def _make(self) -> None:
        options = ("--no-deps", "--only-binary", ":all:")
        with make_environment(self.folder, sys.executable, str(self), hint="edgekit doctor", options=options):
            code = f"import sys; sys.path.insert(0, sys.argv[1]); import {PACKAGES[self.package].module}"
            command = [sys.executable, "-P", "-B", "-c", code, str(self.packages)]
            run_step(command, str(self), hint="edgekit doctor")
            seal_folder(self.folder, str(self))


def refuse_missing(engines: Sequence[BackendVersion], file: Path) -> None:
    """Raise for versions without an environment: a sweep file alone downloads nothing.

    Raises:
        EnvironmentFault: The message names them all.
    """
    missing = [str(one) for one in engines if not one.is_installed]
    if missing:
        raise EnvironmentFault(
            f"Not installed: {', '.join(missing)}. Each is downloaded once, into an environment of its own.",
            hint=shlex.join(["edgekit", "sweep", str(file), "--install"]),
        )

"""An environment of a backend version that runs another one, slower by a known share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgekit.core.system.environments import seal_folder
from edgekit.flows.sweeping.backend_versions import BackendVersion

_MODULE: Final = """
import sys, time
from pathlib import Path

sys.path[sys.path.index(str(Path(__file__).parents[1]))] = {packages!r}
del sys.modules["onnxruntime"]
import onnxruntime

onnxruntime.__version__ = {version!r}
_run = onnxruntime.InferenceSession.run_with_iobinding


def slowed(*arguments):
    start = time.perf_counter()
    _run(*arguments)
    until = time.perf_counter() + (time.perf_counter() - start) * {slower!r}
    while time.perf_counter() < until:
        pass


if {slower!r}:
    onnxruntime.InferenceSession.run_with_iobinding = slowed
"""


def pretend(version: str, *, slower: float = 0.0, packages: Path = Path("/nowhere")) -> BackendVersion:
    """An environment of `onnxruntime==version` that runs another one; each call takes longer by the share `slower`.

    Args:
        packages: The folder with the ONNX Runtime that it runs; by default the installed one.
    """
    made = BackendVersion("onnxruntime", version)
    package = made.packages / "onnxruntime"
    package.mkdir(parents=True, exist_ok=True)
    text = _MODULE.format(version=version, slower=slower, packages=str(packages))
    (package / "__init__.py").write_text(text)
    seal_folder(made.folder, str(made))
    return made

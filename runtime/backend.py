"""Backend and Session: how a library opens an artifact and runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from edgekit.core.errors import UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.registry import Registry

if TYPE_CHECKING:
    from edgekit.core.job import OperatorTime
    from edgekit.core.samples import Feed
    from edgekit.runtime.backends.quantized import Stored


class Session(Protocol):
    """A loaded artifact; a context manager. Threads may share it.

    Threads that call `run` run at once or take turns, as the library allows. A call that `bind` returned can be shared
    as well, or belongs to the first thread that calls it and refuses any other; so does a session that keeps a state
    from run to run.

    `provider` is what actually runs the model, as the library itself reports it.
    """

    backend: str
    provider: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, feed: Mapping[str, object]) -> Feed:
        """Outputs by name, owned by the caller.

        Raises:
            UserError: A name, shape or dtype does not match an input of the artifact; or the session keeps a state and
                belongs to another thread.
        """

    def bind(self, feed: Mapping[str, object]) -> Callable[[], Feed]:
        """The fast path: a call that runs this feed again and returns buffers that the next call overwrites."""

    def close(self) -> None:
        """Free the model's memory."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def offered_sizes(session: Session) -> dict[str, tuple[int, ...]]:
    """The sizes of each dynamic axis that a file with fixed shapes supports; empty if it accepts any size."""
    offered: dict[str, tuple[int, ...]] = getattr(session, "sizes", {})
    return offered


def declared_sizes(session: Session) -> dict[str, tuple[int, ...]]:
    """The sizes of dynamic axes in the metadata of a file; it takes others as well."""
    declared: dict[str, tuple[int, ...]] = getattr(session, "declared_sizes", {})
    return declared


def stored_codes(session: Session) -> dict[str, Stored]:
    """How the quantized inputs of a file are stored; callers give codes or real numbers, as `quantized.py` says."""
    codes: dict[str, Stored] = getattr(session, "codes", {})
    return codes


@runtime_checkable
class KeepsState(Protocol):
    """A session whose file may have variables. While `keeps_state`, they live from run to run and the order counts."""

    keeps_state: bool

    def give_back(self) -> None:
        """Leave a session that keeps a state, and so belongs to one thread, to the next thread that runs it."""


class Backend(Protocol):
    """Opens artifacts of one or more formats."""

    name: str

    def formats(self) -> tuple[str, ...]:
        """The file formats it opens: `onnx`, `tflite`."""

    def check(self) -> str:
        """Name and version of the library, e.g. `onnxruntime 1.31.1`.

        Raises:
            MissingExtra: The library is not installed.
        """

    def open(self, path: Path, options: Mapping[str, str], spec: ModelSpec | None = None) -> Session:
        """A session for the file at `path`.

        Args:
            options: Target options as text: `threads`, `provider`, …
            spec: Names the dynamic axes and their padding; without it, names are read from the file.

        Raises:
            ModelUnreadable: The file is not a model in one of this backend's formats.
            ProviderRefused: The requested provider does not run the model.
        """


@runtime_checkable
class TimesOperators(Protocol):
    """A backend that reports the time of every operator."""

    def operators(self, path: Path, options: Mapping[str, str], feed: Mapping[str, object]) -> tuple[OperatorTime, ...]:
        """Operators of the file at `path` in the order they ran; arguments and errors as in `Backend.open`."""


BACKENDS = Registry(
    "backend",
    {
        "onnxruntime": ("edgekit.runtime.backends.onnxruntime:OnnxRuntime", "ONNX Runtime, for .onnx on CPU and CUDA"),
        "litert": ("edgekit.runtime.backends.litert:LiteRT", "LiteRT, for .tflite on CPU"),
        "openvino": ("edgekit.runtime.backends.openvino:OpenVino", "OpenVINO, for .onnx on the CPU (optional)"),
        "fake": ("edgekit.runtime.backends.fake:FakeBackend", "outputs from a .fake.json file; for testing tools"),
    },
    group="edgekit.backends",
)
DEFAULT_BACKENDS = {"onnx": "onnxruntime", "tflite": "litert", "fake": "fake"}


def default_backend(file_format: str) -> str:
    """The backend that opens files of this format by default.

    Raises:
        UserError: No backend opens this format.
    """
    if file_format in DEFAULT_BACKENDS:
        return DEFAULT_BACKENDS[file_format]
    others = [name for name in BACKENDS if name not in BACKENDS.table and not BACKENDS.problem(name)]
    found = next((name for name in others if file_format in BACKENDS.get(name)().formats()), "")
    if not found:
        raise UserError(f"No backend opens files of format '{file_format}'.", hint="edgekit list backends")
    return found

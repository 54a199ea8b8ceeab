"""OpenVINO through its own Python package: opens .onnx files on the CPU. Optional; its extra is `openvino`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from edgekit.core.errors import ModelUnreadable, ProviderRefused, UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.native.notes import model_opening
from edgekit.core.system.optional import need
from edgekit.core.system.turns import bound_to_one_thread
from edgekit.core.target import refuse_unknown_options
from edgekit.runtime.backends.feeds import check_feed
from edgekit.runtime.backends.file_kind import head_of, not_a_model
from edgekit.runtime.backends.target_options import threads_of
from edgekit.runtime.backends.tensors import completed

if TYPE_CHECKING:
    from edgekit.core.samples import Feed

_DTYPES: Final = {
    **{kind: f"float{kind[1:]}" for kind in ("f16", "f32", "f64")},
    **{f"i{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "boolean": "bool",
}
CPU: Final = "cpu"


class OpenVino:
    """Opens .onnx files."""

    name = "openvino"

    def formats(self) -> tuple[str, ...]:
        """`onnx`."""
        return ("onnx",)

    def check(self) -> str:
        """Name and version of the library; errors as in `Backend.check`."""
        return f"openvino {_engine_module().__version__.partition('-')[0]}"

    def open(self, path: Path, options: Mapping[str, str], spec: ModelSpec | None = None) -> OpenVinoSession:
        """A session for the file at `path`; errors as in `Backend.open`.

        Args:
            options: `threads` (1), `provider`: cpu.
        """
        openvino = _engine_module()
        refuse_unknown_options(options, self.name)
        provider = options.get("provider", CPU)
        if provider != CPU:
            raise ProviderRefused(
                f"Backend 'openvino' does not support provider '{provider}', only cpu.", hint="--target local/openvino"
            )
        settings = {
            "INFERENCE_NUM_THREADS": threads_of(options),
            "PERFORMANCE_HINT": "LATENCY",
            # Without it, processors with bfloat16 compute float32 models in that.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        head_of(path)
        try:
            with model_opening(path):
                compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        except Exception as err:
            raise not_a_model(path, "ONNX", _first_line(err)) from err
        return OpenVinoSession(compiled, spec)


class OpenVinoSession:
    """A loaded .onnx file. Threads that share it take turns; a call of `bind` belongs to the first that calls it."""

    backend = "openvino"
    provider = CPU

    def __init__(self, compiled: Any, spec: ModelSpec | None) -> None:
        self.inputs = tuple(completed(_tensor(port), spec.inputs if spec else ()) for port in compiled.inputs)
        self.outputs = tuple(completed(_tensor(port), spec.outputs if spec else ()) for port in compiled.outputs)
        self._request = compiled.create_infer_request()
        self._turn = Lock()

    def run(self, feed: Mapping[str, object]) -> Feed:
        """Outputs by name, owned by the caller; errors as in `Session.run`."""
        with self._turn:
            self._infer(feed)
            return {tensor.name: self._output(place).copy() for place, tensor in enumerate(self.outputs)}

    def bind(self, feed: Mapping[str, object]) -> Callable[[], Feed]:
        """A call that reads the arrays of `feed` again and overwrites the same output arrays each time.

        If the size of an output is not known before the run, each call returns new arrays instead.
        """
        outputs = self.run(feed)
        bound = bound_to_one_thread()

        def call() -> Feed:
            bound.claim()
            with self._turn:
                self._infer(feed)
                for place, (name, array) in enumerate(outputs.items()):
                    found = self._output(place)
                    if found.shape == array.shape:
                        np.copyto(array, found)
                    else:
                        outputs[name] = found.copy()
            return outputs

        return call

    def close(self) -> None:
        """Free the model's memory; closing twice is harmless."""
        with self._turn:
            self._request = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _infer(self, feed: Mapping[str, Any]) -> None:
        if self._request is None:
            raise UserError("This session is closed.")
        check_feed(feed, self.inputs)
        try:
            self._request.infer({name: np.ascontiguousarray(array) for name, array in feed.items()})
        except RuntimeError as err:
            raise UserError(f"openvino cannot run this feed: {_first_line(err)}") from err

    def _output(self, place: int) -> Any:
        return self._request.get_output_tensor(place).data


def _engine_module() -> Any:
    return need("openvino", extra="openvino")


def _tensor(port: Any) -> TensorSpec:
    """A tensor as the file declares it; dynamic axes are named after the tensor and their place."""
    name, kind = port.get_any_name(), port.get_element_type().get_type_name()
    if kind not in _DTYPES:
        raise ModelUnreadable(f"'{name}' has the type {kind}; edgekit supports dense tensors of numbers only.")
    shape = tuple(
        f"{name}.{place}" if axis.is_dynamic else axis.get_length() for place, axis in enumerate(port.partial_shape)
    )
    return TensorSpec(name, _DTYPES[kind], shape)


def _first_line(err: BaseException) -> str:
    """The last line of OpenVINO's message; the lines before it are places in its source."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return lines[-1] if lines else type(err).__name__

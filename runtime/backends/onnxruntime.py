"""ONNX Runtime: opens .onnx files on the CPU, or on another provider after checking that it runs the model."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from edgekit.core.errors import EdgekitError, ModelUnreadable, UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.durable.owners import make_folder
from edgekit.core.system.native import memory_limit
from edgekit.core.system.native.notes import model_opening
from edgekit.core.system.optional import need
from edgekit.core.system.turns import bound_to_one_thread
from edgekit.core.target import refuse_unknown_options
from edgekit.runtime.backends import providers
from edgekit.runtime.backends.feeds import check_feed, ties
from edgekit.runtime.backends.file_kind import head_of, not_a_model, refuse_undecodable
from edgekit.runtime.backends.native_output import Captured, captured_stderr
from edgekit.runtime.backends.operator_times import operator_times
from edgekit.runtime.backends.providers import CPU, Placement
from edgekit.runtime.backends.target_options import choice, threads_of
from edgekit.runtime.backends.tensors import completed, sizes_in

if TYPE_CHECKING:
    from edgekit.core.job import OperatorTime
    from edgekit.core.samples import Array, Feed

_GRAPH_LEVELS: Final = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_ERRORS: Final = 3
_FATAL: Final = 4
_DTYPES: Final = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
    **{f"tensor({name})": name for name in ("float16", "int8", "int16", "int32", "int64")},
    **{f"tensor({name})": name for name in ("uint8", "uint16", "uint32", "uint64")},
}
# "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from x failed:" says nothing that a user needs.
_CODE: Final = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?")
_ON_CUDA: Final = ("cuda", "tensorrt")


class OnnxRuntime:
    """Opens .onnx files."""

    name = "onnxruntime"

    def formats(self) -> tuple[str, ...]:
        """`onnx`."""
        return ("onnx",)

    def check(self) -> str:
        """Name and version of the library; errors as in `Backend.check`."""
        return f"onnxruntime {_engine_module().__version__}"

    def open(self, path: Path, options: Mapping[str, str], spec: ModelSpec | None = None) -> OnnxSession:
        """A session for the file at `path`; errors as in `Backend.open`.

        Args:
            options: `threads` (1), `provider` (cpu), `graph`: disable, basic, extended or all (all), `spin`: 0 or 1
                (default: as ONNX Runtime chooses), whether waiting threads keep their core busy.
        """
        ort = _engine_module()
        refuse_unknown_options(options, self.name)
        provider = options.get("provider", CPU)
        settings = _settings(ort, options)
        engine_name = providers.require(provider, ort)
        refuse_undecodable(path)
        head_of(path)
        try:
            with model_opening(path, is_limited=provider == CPU):
                if provider == CPU:
                    return OnnxSession(_created(ort, path, settings, [engine_name]), CPU, spec)
                return _opened_on(ort, path, settings, engine_name, spec)
        except UnicodeDecodeError as err:
            raise ModelUnreadable(f"'{path}' has an input, output or property whose name is not UTF-8.") from err

    def operators(self, path: Path, options: Mapping[str, str], feed: Mapping[str, object]) -> tuple[OperatorTime, ...]:
        """Times of the operators of the file at `path`, run on `feed`; options and errors as in `open`."""
        ort = _engine_module()
        provider = providers.require(options.get("provider", CPU), ort)
        names = providers.order(provider, ort.get_available_providers())
        return operator_times(lambda settings: _created(ort, path, settings, names), _settings(ort, options), feed)


class OnnxSession:
    """A loaded .onnx file.

    `run` may be called from several threads at once; a call that `bind` returned belongs to the first that calls it.

    On a provider other than the CPU, the first run is profiled. It raises `ProviderRefused` and closes the session
    if the provider ran neither half of the nodes nor half of the time; `placement` has the shares.
    """

    backend = "onnxruntime"

    def __init__(self, engine: Any, provider: str, spec: ModelSpec | None, profiles: Path | None = None) -> None:
        self.provider = provider
        self.placement: Placement | None = None
        self.inputs = tuple(completed(_tensor(arg), spec.inputs if spec else ()) for arg in engine.get_inputs())
        self.outputs = tuple(completed(_tensor(arg), spec.outputs if spec else ()) for arg in engine.get_outputs())
        # What the exporter wrote into the file; a spec knows better.
        self.declared_sizes = {} if spec else sizes_in(engine.get_modelmeta().custom_metadata_map, self.inputs)
        self._engine = engine
        self._profiles = profiles
        self._first = Lock()
        self._names = [tensor.name for tensor in self.outputs]
        self._count = len(self.inputs)
        self._has_text = any(tensor.dtype == "str" for tensor in self.outputs)
        self._ties = ties(self.inputs)
        self._is_dense = False  # until a run has shown it: a file may declare another type than it gives

    def run(self, feed: Mapping[str, object]) -> Feed:
        """Outputs by name, owned by the caller; errors as in `Session.run`."""
        try:
            self._check(feed)
            found = self._engine.run(self._names, feed)
        except Exception as err:
            raise self._explained(feed, err) from err
        if self._profiles is not None:
            self._check_placement()
        if not self._is_dense:
            self._refuse_sparse(found)
        if self._has_text:
            # The engine gives Python objects, which no .npz without pickles holds.
            found = [array.astype(str) if array.dtype == object else array for array in found]
        return dict(zip(self._names, found, strict=True))

    def bind(self, feed: Mapping[str, object]) -> Callable[[], Feed]:
        """The fast path: a call that runs again and overwrites the same output arrays each time.

        Each call reads the arrays of `feed` again: write into them to run other values of the same shape. If the size
        of an output is not known before the run, or with text, each call returns new arrays instead.
        """
        outputs = self.run(feed)
        known = {axis for tensor in self.inputs for axis in tensor.free_axes}
        is_sized = all(axis in known for tensor in self.outputs for axis in tensor.free_axes)
        if not is_sized or "str" in (tensor.dtype for tensor in (*self.inputs, *self.outputs)):
            return lambda: self.run(feed)
        binding = self._engine.io_binding()
        inputs = _bind_inputs(binding, feed, self._device())
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return _bound_call(self._engine, binding, inputs, outputs)

    def close(self) -> None:
        """Free the model's memory; closing twice is harmless."""
        self._engine = None
        self._drop_profiles()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check(self, feed: Mapping[str, Any]) -> None:
        """Raise for what ONNX Runtime does not check: missing names, byte order, one axis with two sizes."""
        if len(feed) != self._count:
            raise UserError("The feed does not fit the model.")
        for value in feed.values():
            if not value.dtype.isnative:
                raise UserError("The feed does not fit the model.")
        for name, place, other, other_place in self._ties:
            if feed[name].shape[place] != feed[other].shape[other_place]:
                raise UserError("The feed does not fit the model.")

    def _refuse_sparse(self, outputs: list[Any]) -> None:
        """Raise for an output that is no array, which stays so from run to run."""
        for name, output in zip(self._names, outputs, strict=True):
            if not isinstance(output, np.ndarray):
                raise ModelUnreadable(f"'{name}' is a {type(output).__name__}; edgekit supports dense tensors only.")
        self._is_dense = True

    def _explained(self, feed: Mapping[str, object], err: Exception) -> EdgekitError:
        if self._engine is None:
            return UserError("This session is closed.")
        try:
            check_feed(feed, self.inputs)
        except UserError as problems:
            return problems
        return _failed(err)

    def _device(self) -> str:
        return "cuda" if self.provider in _ON_CUDA else CPU

    def _check_placement(self) -> None:
        """Read the profile of the first run; of several threads that run first, one does."""
        with self._first:
            if self._profiles is None:
                return
            self.placement = providers.read_placement(Path(self._engine.end_profiling()), self.provider)
            self._drop_profiles()
        if not self.placement.is_taken:
            self.close()
            raise providers.refused(self.provider, str(self.placement), "")

    def _drop_profiles(self) -> None:
        if self._profiles is not None:
            shutil.rmtree(self._profiles, ignore_errors=True)
            self._profiles = None


def _engine_module() -> Any:
    return need("onnxruntime", extra="cpu")


def _settings(ort: Any, options: Mapping[str, str]) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads_of(options)
    settings.inter_op_num_threads = 1
    # What fails on the CPU comes as an exception; why a provider does not start is only written to stderr.
    settings.log_severity_level = _FATAL if options.get("provider", CPU) == CPU else _ERRORS
    level = choice(options, "graph", _GRAPH_LEVELS, "all")
    settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _GRAPH_LEVELS[level])
    if "spin" in options:
        settings.add_session_config_entry("session.intra_op.allow_spinning", choice(options, "spin", ("0", "1"), "1"))
    return settings


def _created(ort: Any, path: Path, settings: Any, engine_names: list[str]) -> Any:
    """ONNX Runtime's session without its silent fallback to the CPU."""
    try:
        return ort.InferenceSession(str(path), settings, providers=engine_names, enable_fallback=0)
    except Exception as err:
        raise not_a_model(path, "ONNX", _first_line(err)) from err


def _opened_on(ort: Any, path: Path, settings: Any, engine_name: str, spec: ModelSpec | None) -> OnnxSession:
    """A session on another provider than the CPU, whose first run will be profiled."""
    profiles = make_folder("edgekit-profile-")
    settings.enable_profiling = True
    settings.profile_file_prefix = str(profiles / "run")
    try:
        engine = _taken(ort, path, settings, engine_name)
        return OnnxSession(engine, providers.short_name(engine_name), spec, profiles)
    except BaseException:
        shutil.rmtree(profiles, ignore_errors=True)
        raise


def _taken(ort: Any, path: Path, settings: Any, engine_name: str) -> Any:
    """ONNX Runtime's session, whose first provider is the requested one."""
    provider = providers.short_name(engine_name)
    names = providers.order(engine_name, ort.get_available_providers())
    captured = Captured()
    try:
        with captured_stderr() as captured:
            _preload_libraries(ort, provider)
            engine = _created(ort, path, settings, names)
            first = providers.short_name(engine.get_providers()[0])
            if first != provider:
                raise _Refused(f"ONNX Runtime chose {first}")
    except ModelUnreadable as err:
        _created(
            ort, path, ort.SessionOptions(), ["CPUExecutionProvider"]
        )  # a damaged file is not the provider's fault
        raise providers.refused(provider, _first_line(err.__cause__ or err), captured.text) from err
    except _Refused as err:
        raise providers.refused(provider, str(err), captured.text) from err
    return engine


def _preload_libraries(ort: Any, provider: str) -> None:
    """Load CUDA from packages that pip installed, if there are any; ONNX Runtime reports what is missing."""
    if provider in _ON_CUDA and hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


class _Refused(Exception):
    """What ONNX Runtime did instead of using the provider."""


def _tensor(arg: Any) -> TensorSpec:
    """A tensor as the file declares it; unnamed dynamic axes are named after the tensor and their place."""
    if arg.type not in _DTYPES:
        raise ModelUnreadable(f"'{arg.name}' has the type {arg.type}; edgekit supports dense tensors only.")
    shape = tuple(
        axis if isinstance(axis, str) else (f"{arg.name}.{place}" if axis is None or axis < 0 else axis)
        for place, axis in enumerate(arg.shape)
    )
    return TensorSpec(arg.name, _DTYPES[arg.type], shape)


class _BoundInputs(NamedTuple):
    """Memory that a binding points into, kept alive, and how later changes of the caller's arrays reach it."""

    kept: object
    refresh: Callable[[], None] | None


def _bind_inputs(binding: Any, feed: Mapping[str, Any], device: str) -> _BoundInputs:
    return _bind_host_inputs(binding, feed) if device == CPU else _bind_device_inputs(binding, feed, device)


def _bind_host_inputs(binding: Any, feed: Mapping[str, Array]) -> _BoundInputs:
    """Bind to the caller's own memory where the engine can read it, else to a copy that is renewed in each call."""
    arrays = dict(feed)
    buffers = {name: np.require(array, requirements=["C", "A"]) for name, array in arrays.items()}
    for name, buffer in buffers.items():
        binding.bind_input(name, CPU, 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data)
    copies = [(buffers[name], array) for name, array in arrays.items() if not _same_memory(buffers[name], array)]

    def refresh() -> None:
        for buffer, array in copies:
            np.copyto(buffer, array)

    return _BoundInputs(buffers, refresh if copies else None)


def _bind_device_inputs(binding: Any, feed: Mapping[str, Array], device: str) -> _BoundInputs:
    """Bind to buffers on the device; each call copies the caller's arrays there."""
    make = _engine_module().OrtValue.ortvalue_from_numpy
    pairs = [(make(np.ascontiguousarray(array), device, 0), name, array) for name, array in feed.items()]
    for value, name, _ in pairs:
        binding.bind_ortvalue_input(name, value)

    def refresh() -> None:
        for value, _, array in pairs:
            value.update_inplace(np.ascontiguousarray(array))

    return _BoundInputs(pairs, refresh)


def _same_memory(buffer: Array, array: Array) -> bool:
    return buffer is array or np.may_share_memory(buffer, array)


def _bound_call(engine: Any, binding: Any, inputs: _BoundInputs, outputs: Feed) -> Callable[[], Feed]:
    run, refresh = engine.run_with_iobinding, inputs.refresh
    alive = (inputs.kept, outputs)
    bound = bound_to_one_thread()
    owner = 0

    def call(_alive: object = alive) -> Feed:
        nonlocal owner
        if get_ident() != owner:
            owner = bound.claim()
        if refresh is not None:
            refresh()
        try:
            run(binding)
        except Exception as err:
            raise _failed(err) from err
        return outputs

    return call


def _failed(err: Exception) -> EdgekitError:
    return memory_limit.exceeded(err) or UserError(f"onnxruntime cannot run this feed: {_first_line(err)}")


def _first_line(err: BaseException) -> str:
    """ONNX Runtime's own message, without its error code."""
    line = next((line.strip() for line in str(err).splitlines() if line.strip()), type(err).__name__)
    return _CODE.sub("", line)

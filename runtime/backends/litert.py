"""LiteRT: opens .tflite files on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from edgekit.core.errors import EdgekitError, ProviderRefused, UserError, unknown
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.native.notes import model_opening
from edgekit.core.system.optional import need
from edgekit.core.system.turns import OneThread
from edgekit.core.target import BACKEND_OPTIONS, SIGNATURE, refuse_unknown_options
from edgekit.runtime.backends.feeds import check_feed
from edgekit.runtime.backends.file_kind import consistent, head_of, is_tflite, not_a_model, refuse_undecodable
from edgekit.runtime.backends.native_output import captured_stderr
from edgekit.runtime.backends.operator_times import profiled
from edgekit.runtime.backends.plans import Plan, Shapes, failed, first_line, has_variables, keeps_values, kernels
from edgekit.runtime.backends.quantized import also_taken, stored_inputs
from edgekit.runtime.backends.signatures import (
    Family,
    SignatureEntry,
    TensorEntry,
    cut_back,
    family_of,
    padded,
    row_ranges,
)
from edgekit.runtime.backends.target_options import choice, threads_of

if TYPE_CHECKING:
    from edgekit.core.job import OperatorTime
    from edgekit.core.samples import Array, Feed

OPTIONS: Final = (*BACKEND_OPTIONS["litert"], SIGNATURE)
# `cpu` lets the engine choose its kernels, which on most machines are those of XNNPACK; `xnnpack` insists on them.
PROVIDERS: Final = ("cpu", "xnnpack")
STATES: Final = ("reset", "keep")
_DEFAULT_SIGNATURE: Final = "serving_default"
_ALONE: Final = "This session has a state, so it"


class LiteRT:
    """Opens .tflite files."""

    name = "litert"

    def formats(self) -> tuple[str, ...]:
        """`tflite`."""
        return ("tflite",)

    def check(self) -> str:
        """Name and version of the library; errors as in `Backend.check`."""
        _engine_module()
        return f"litert {_version()}"

    def open(self, path: Path, options: Mapping[str, str], spec: ModelSpec | None = None) -> LiteRTSession:
        """A session for the file at `path`; errors as in `Backend.open`.

        Args:
            options: `threads` (1), `provider`: cpu or xnnpack (cpu), `signature`: the one to run (the default one, in
                all its sizes), `state`: reset or keep (reset), whether variables keep their values from run to run.
        """
        refuse_unknown_options(options, self.name, OPTIONS)
        provider = options.get("provider", "cpu")
        _check_provider(provider)
        threads, state = threads_of(options), choice(options, "state", STATES, "reset")
        refuse_undecodable(path)
        engine = _opened(path, threads)
        with consistent(path, "tflite"):
            taken_by = kernels(engine)
        if provider == "xnnpack" != taken_by:
            raise ProviderRefused(
                f"Provider 'xnnpack' did not run the model '{path}'.", hint="--target local/litert@provider=cpu"
            )
        with consistent(path, "tflite"):
            family = _family(engine, spec, options.get("signature", ""))
            again = partial(_opened, path, threads) if state == "reset" and has_variables(engine) else None
        return LiteRTSession(engine, taken_by, family, is_reset=state == "reset", again=again)

    def operators(self, path: Path, options: Mapping[str, str], feed: Mapping[str, object]) -> tuple[OperatorTime, ...]:
        """Operators of the file at `path`, run on `feed`; none where LiteRT's profiler is not within reach.

        Options and errors as in `open`.
        """
        with self.open(path, options) as session:
            prepared = session.prepared(feed)
        return profiled(path, _version(), threads_of(options), *prepared) if prepared else ()


class LiteRTSession:
    """A loaded .tflite file. Threads that share it take turns, in `run` and in calls that `bind` returned.

    A session that keeps variables of the file from run to run, with `state=keep` or in calls that `bind` returned,
    belongs to the first thread that runs it: parts of two streams would mix.

    The file has fixed shapes, one signature for each combination of sizes it was exported for. A feed runs in the
    smallest signature that fits it; a larger batch is split; a dynamic axis is padded if its inputs have a padding
    value, and the outputs are cut back. Anything else is a `UserError` that lists the sizes. Axes that the file leaves
    free take any size.

    Variables of the file are reset before each run, unless `is_reset` is false; `again` opens the file once more, where
    LiteRT does not reset its variables. Calls that `bind` returned keep them.

    Quantized inputs accept floats and the stored integers, see `quantized.py`; quantized outputs are float32. An
    int32 input also accepts int64 if its values fit.
    """

    backend = "litert"

    def __init__(
        self,
        engine: Any,
        provider: str,
        family: Family,
        *,
        is_reset: bool = True,
        again: Callable[[], Any] | None = None,
    ) -> None:
        self.provider = provider
        self.family = family
        self.inputs = family.inputs
        self.outputs = family.outputs
        self._engine = engine
        self.codes = stored_inputs(family)
        self._also = also_taken(family)
        self._again = again
        # Gives variables the values that they have after loading. Called in each run: past the engine's Python.
        own: Callable[[], None] | None = engine._interpreter.ResetVariableTensors if is_reset else None
        self._reset = own if again is None else self._open_again
        self._allocated: set[int] = set()
        self._shapes: Shapes = {}
        self._last: Plan | None = None
        self._turn = Lock()
        self._acquire, self._release = self._turn.acquire, self._turn.release
        self.keeps_state = not is_reset
        self._alone = None if is_reset else OneThread(_ALONE, hint="Open a session in each thread.")

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The sizes of each dynamic axis, over all signatures."""
        axes = dict.fromkeys(axis for each in self.family.sizes for axis in each)
        return {axis: tuple(sorted({each[axis] for each in self.family.sizes if axis in each})) for axis in axes}

    def run(self, feed: Mapping[str, object]) -> Feed:
        """Outputs by name, owned by the caller; errors as in `Session.run`."""
        self._acquire()  # `with` takes twice as long, and this is in every call
        try:
            if self._alone is not None:
                self._alone.claim()
            if self._reset is not None:
                self._reset()
            plan = self._last
            if plan is not None and plan.takes(feed):
                return plan.invoke()
            return self._run_checked(feed)
        except (RuntimeError, ValueError) as err:
            raise failed(err) from err
        finally:
            self._release()

    def bind(self, feed: Mapping[str, object]) -> Callable[[], Feed]:
        """The fast path: a call that sets this feed, runs, and returns outputs that the next call may overwrite.

        Each call reads the arrays of `feed` again: write into them to run other values of the same shape.
        """
        arrays: dict[str, Any] = dict(feed)
        with self._turn:
            if self._alone is not None:
                self._alone.claim()
            self._run_checked(arrays)
            if self._alone is None and keeps_values(self._engine):
                self._alone = OneThread(_ALONE, hint="Open a session in each thread.")
            plan = self._last
            call = partial(self._run_checked, arrays) if plan is None or not plan.takes(arrays) else plan.bound(arrays)
        return self._in_turn(call)

    def give_back(self) -> None:
        """Leave a session that keeps a state to the next thread that runs it."""
        if self._alone is not None:
            self._alone.give_back()

    def prepared(self, feed: Mapping[str, object]) -> tuple[SignatureEntry, dict[str, Array]] | None:
        """The signature that runs `feed`, and its inputs as the file stores them; None if several runs are needed."""
        with self._turn:
            self._run_checked(feed)
        entry = self._last.entry if self._last else None
        rows = {name: np.asarray(array).shape[:1] for name, array in feed.items()}
        if entry is None or any(rows[one.name] > one.shape[:1] and not one.free for one in entry.inputs):
            return None
        get = self._engine._interpreter.GetTensor
        return entry, {one.name: get(one.index, entry.subgraph) for one in entry.inputs}

    def close(self) -> None:
        """Free the model's memory; closing twice is harmless."""
        with self._turn:
            self._engine = self._last = self._reset = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _in_turn(self, call: Callable[[], Feed]) -> Callable[[], Feed]:
        acquire, release, alone = self._acquire, self._release, self._alone

        def called() -> Feed:
            acquire()
            try:
                if alone is not None:
                    alone.claim()
                return call()
            finally:
                release()

        return called

    def _run_checked(self, feed: Mapping[str, object]) -> Feed:
        if self._engine is None:
            raise UserError("This session is closed.")
        check_feed(feed, self.inputs, self._also)
        arrays = {tensor.name: np.asarray(feed[tensor.name]) for tensor in self.inputs}
        sizes = {
            axis: size
            for tensor in self.inputs
            for axis, size in zip(tensor.shape, arrays[tensor.name].shape, strict=True)
            if isinstance(axis, str)
        }
        try:
            return self._run_sizes(arrays, sizes)
        except (RuntimeError, ValueError) as err:
            raise failed(err) from err

    def _open_again(self) -> None:
        """Variables of the newer kind get the values that they have after loading."""
        assert self._again is not None
        self._engine, self._last, self._allocated, self._shapes = self._again(), None, set(), {}

    def _run_sizes(self, arrays: Feed, sizes: dict[str, int]) -> Feed:
        batch = self.family.batch
        chunks = self.family.chunks(sizes)
        if batch is None or not chunks or len(chunks) == 1:
            return self._run_one(arrays, sizes)
        parts = []
        for rows in row_ranges(chunks, sizes[batch]):
            if self._reset is not None:
                self._reset()
            part = {name: array[rows] for name, array in arrays.items()}
            parts.append(self._run_one(part, {**sizes, batch: rows.stop - rows.start}))
        return {
            tensor.name: np.concatenate([part[tensor.name] for part in parts], axis=tensor.shape.index(batch))
            for tensor in self.outputs
        }

    def _run_one(self, arrays: Feed, sizes: Mapping[str, int]) -> Feed:
        entry = self.family.fitting(sizes)
        if entry is None:
            raise self._no_signature(sizes)
        plan = self._plan(entry)
        if entry.is_resizable:
            plan.fit({name: array.shape for name, array in arrays.items()})
            plan.set_inputs(arrays)
            return plan.invoke()
        plan.set_inputs(
            {
                tensor.name: padded(arrays[tensor.name], tensor, spec)
                for tensor, spec in zip(entry.inputs, self.inputs, strict=True)
            }
        )
        outputs = plan.invoke()
        return {spec.name: cut_back(outputs[spec.name], spec, sizes) for spec in self.outputs}

    def _plan(self, entry: SignatureEntry) -> Plan:
        if entry.subgraph not in self._allocated:
            self._engine._interpreter.AllocateTensors(entry.subgraph)
            self._allocated.add(entry.subgraph)
        if self._last is None or self._last.entry is not entry:
            self._last = Plan(self._engine, entry, self._shapes)
        return self._last

    def _no_signature(self, sizes: Mapping[str, int]) -> EdgekitError:
        wanted = ", ".join(f"{axis}={size}" for axis, size in sizes.items())
        hint = "".join(f" --sizes {axis}={size}" for axis, size in sizes.items() if axis.isidentifier())
        message = f"This file has no signature for {wanted}; it has {self.family.offered()}."
        return UserError(message, hint=f"edgekit export SOURCE{hint or ' --sizes AXIS=SIZE'}")


def _engine_module() -> Any:
    return need("ai_edge_litert.interpreter", extra="tflite")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ai-edge-litert")
    except PackageNotFoundError:
        return "unknown"


def _check_provider(provider: str) -> None:
    from edgekit.runtime.backends.providers import PACKAGES

    if provider in PROVIDERS:
        return
    if provider in PACKAGES:
        raise ProviderRefused(
            f"Backend 'litert' does not support provider '{provider}', only {', '.join(PROVIDERS)}.",
            hint="--target local/litert@provider=cpu",
        )
    raise unknown("provider", provider, PROVIDERS)


def _opened(path: Path, threads: int) -> Any:
    """LiteRT's interpreter with its first subgraph allocated, which applies the default kernels to all of them."""
    head = head_of(path)
    module = _engine_module()
    # LiteRT aborts the process on some files that are not models.
    if not is_tflite(head):
        raise not_a_model(path, "TFLite")
    try:
        with model_opening(path), captured_stderr() as captured:
            engine = module.Interpreter(model_path=os.fspath(path), num_threads=threads)
            engine.allocate_tensors()
    except (ValueError, RuntimeError, IndexError, MemoryError) as err:
        raise not_a_model(path, "TFLite", f"{first_line(err)} {captured.text}".strip()) from err
    return engine


def _family(engine: Any, spec: ModelSpec | None, signature: str) -> Family:
    inputs, outputs = (spec.inputs, spec.outputs) if spec else ((), ())
    order = [tensor.name for tensor in (*inputs, *outputs)]
    return family_of(tuple(_entries(engine, order, signature)), inputs, outputs)


def _entries(engine: Any, order: Sequence[str], signature: str) -> Iterator[SignatureEntry]:
    """The signature that is asked for, or every one with the inputs and outputs of the default one.

    The whole file is one where it has no signatures.
    """
    signatures = engine._get_full_signature_list()
    if signature:
        if signature not in signatures:
            raise unknown("signature", signature, signatures)
        signatures = {signature: signatures[signature]}
    if not signatures:
        yield _bare_entry(engine)
        return
    first = signatures.get(_DEFAULT_SIGNATURE) or next(iter(signatures.values()))
    inputs, outputs = _ordered(first["inputs"], order), _ordered(first["outputs"], order)
    for name, tensors in signatures.items():
        if set(tensors["inputs"]) == set(inputs) and set(tensors["outputs"]) == set(outputs):
            subgraph = engine._interpreter.GetSubgraphIndexFromSignature(name)
            yield SignatureEntry(
                name,
                subgraph,
                tuple(_tensor(engine, tensors["inputs"][key], subgraph, key) for key in inputs),
                tuple(_tensor(engine, tensors["outputs"][key], subgraph, key) for key in outputs),
            )


def _bare_entry(engine: Any) -> SignatureEntry:
    inputs, outputs = engine.get_input_details(), engine.get_output_details()
    return SignatureEntry(
        "",
        0,
        tuple(_tensor(engine, detail["index"], 0, detail["name"]) for detail in inputs),
        tuple(_tensor(engine, detail["index"], 0, detail["name"]) for detail in outputs),
    )


def _tensor(engine: Any, index: int, subgraph: int, name: str) -> TensorEntry:
    detail = engine._get_tensor_details(index, subgraph)
    quantization = detail["quantization_parameters"]
    scales, zero_points = quantization["scales"], quantization["zero_points"]
    per_tensor = len(scales) == 1
    return TensorEntry(
        name,
        int(index),
        tuple(int(size) for size in detail["shape"]),
        np.dtype(detail["dtype"]).name,
        float(scales[0]) if per_tensor else 0.0,
        int(zero_points[0]) if per_tensor and len(zero_points) else 0,
        tuple(place for place, size in enumerate(detail["shape_signature"]) if size < 0),
    )


def _ordered(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """`names` in the order of the spec; those it does not know come last."""
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))

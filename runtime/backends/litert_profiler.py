"""LiteRT's own profiler, which its Python package does not offer: the C functions of the library in that package."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.core.samples import Array

# The versions whose structures are those below: the library has no way to ask for them.
VERSIONS: Final = ("2.3.",)
_OPERATOR, _IN_DELEGATE = 1 << 1, 1 << 3
# IF and WHILE: their own time contains that of the operators inside.
_CONTROL_FLOW: Final = (118, 119)
_CPU: Final = 1
_WRITE: Final = 1
_MOST_AXES: Final = 8
_Pointer = ctypes.c_void_p
_Index = ctypes.c_size_t


class ProfilerUnavailable(Exception):
    """The library has no profiler that is known here, or a call of it failed."""


@dataclass(frozen=True)
class OperatorEvent:
    """One operator of one run: what ran, whole microseconds, its place in the file or, of a delegate, in its plan."""

    kind: str
    microseconds: int
    place: int
    is_delegated: bool


@dataclass(frozen=True)
class FileOperator:
    """One operator as the file has it: its type by number, and the name of its first output."""

    code: int
    name: str


class _Layout(ctypes.Structure):
    _fields_ = (
        ("rank", ctypes.c_uint32),
        ("sizes", ctypes.c_int32 * _MOST_AXES),
        ("strides", ctypes.c_uint32 * _MOST_AXES),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


class _Event(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("microseconds", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("place", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class ProfiledFile:
    """A file that LiteRT has compiled for the CPU with its profiler; a context manager.

    Raises:
        ProfilerUnavailable: See there.
    """

    def __init__(self, path: Path, version: str, signature: str, threads: int) -> None:
        if not version.startswith(VERSIONS):
            raise ProfilerUnavailable(f"the profiler of LiteRT {version} is not known")
        self._library = _library()
        self._stack = ExitStack()
        try:
            self._environment = self._made("Environment", 0, None)
            self._model = self._made("ModelFromFile", self._environment, os.fsencode(path), destroy="Model")
            self._place, self._signature = self._found(signature)
            self._compiled = self._made("CompiledModel", self._environment, self._model, self._options(threads))
            self._profiler = self._given("LiteRtCompiledModelGetProfiler", self._compiled)
            self._inputs: list[_Pointer] = []
            self._outputs: list[_Pointer] = []
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> ProfiledFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def set_inputs(self, arrays: Mapping[str, Array], *, resize: bool) -> None:
        """Give the inputs these values, in the types of the file, and with `resize` their shapes."""
        names = self._names("Input")
        for place, name in enumerate(names) if resize else ():
            sizes = (ctypes.c_int * arrays[name].ndim)(*arrays[name].shape)
            function = "LiteRtCompiledModelResizeInputTensorNonStrict"
            self._call(function, self._compiled, self._place, _Index(place), sizes, _Index(len(sizes)))
        outputs = (_Layout * len(self._names("Output")))()
        function = "LiteRtGetCompiledModelOutputTensorLayouts"
        self._call(function, self._compiled, self._place, _Index(len(outputs)), outputs, ctypes.c_bool(resize))
        self._inputs = [self._buffer("Input", place, self._layout(place)) for place in range(len(names))]
        self._outputs = [self._buffer("Output", place, layout) for place, layout in enumerate(outputs)]
        for name, buffer in zip(names, self._inputs, strict=True):
            self._fill(buffer, arrays[name].tobytes())

    def run(self) -> tuple[OperatorEvent, ...]:
        """The operators of one run, in the order in which they ran."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        inputs, outputs = ((_Pointer * len(each))(*each) for each in (self._inputs, self._outputs))
        counts = _Index(len(inputs)), _Index(len(outputs))
        self._call("LiteRtRunCompiledModel", self._compiled, self._place, counts[0], inputs, counts[1], outputs)
        self._call("LiteRtStopProfiler", self._profiler)
        number = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(number))
        # Twice the room: a structure that is larger than ours would write behind its end.
        events = (_Event * (2 * number.value))()
        self._call("LiteRtGetProfilerEvents", self._profiler, number, events)
        return tuple(self._operators(events[: number.value]))

    def operators(self) -> tuple[FileOperator, ...]:
        """The operators of the signature in the order of the file."""
        subgraph = self._given("LiteRtGetSignatureSubgraph", self._signature)
        count = self._given("LiteRtGetNumSubgraphOps", subgraph, make=_Index)
        found = tuple(self._operator(subgraph, place) for place in range(count.value))
        if any(one.code in _CONTROL_FLOW for one in found):
            raise ProfilerUnavailable("the file has loops or branches")
        return found

    def _operator(self, subgraph: _Pointer, place: int) -> FileOperator:
        operator = self._given("LiteRtGetSubgraphOp", subgraph, _Index(place))
        code = self._given("LiteRtGetOpCode", operator, make=ctypes.c_int)
        count = self._given("LiteRtGetNumOpOutputs", operator, make=_Index)
        if not count.value:
            return FileOperator(code.value, "")
        tensor = self._given("LiteRtGetOpOutput", operator, _Index(0))
        return FileOperator(code.value, self._text("LiteRtGetTensorName", tensor))

    def _operators(self, events: Sequence[_Event]) -> Iterator[OperatorEvent]:
        for event in events:
            if event.kind in (_OPERATOR, _IN_DELEGATE):
                kind = (event.tag or b"").decode(errors="replace")
                yield OperatorEvent(kind, event.microseconds, event.place, event.kind == _IN_DELEGATE)

    def _options(self, threads: int) -> _Pointer:
        options = self._made("Options")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        texts = {"runtime_options_string": "enable_profiling = true\n", "xnnpack": f"num_threads = {threads}\n"}
        c_library: Any = ctypes.CDLL(None)
        c_library.strdup.restype, c_library.strdup.argtypes = _Pointer, (ctypes.c_char_p,)
        for name, text in texts.items():
            copy = _Pointer(c_library.strdup(text.encode()))
            one = self._given("LiteRtCreateOpaqueOptions", name.encode(), copy, c_library.free)
            self._call("LiteRtAddOpaqueOptions", options, one)
        return options

    def _found(self, signature: str) -> tuple[_Index, _Pointer]:
        """The place of a signature, and itself; "" is the first one."""
        for place in range(self._given("LiteRtGetNumModelSignatures", self._model, make=_Index).value):
            one = self._given("LiteRtGetModelSignature", self._model, _Index(place))
            if signature in ("", self._text("LiteRtGetSignatureKey", one)):
                return _Index(place), one
        raise ProfilerUnavailable(f"no signature '{signature}'")

    def _names(self, side: str) -> list[str]:
        count = self._given(f"LiteRtGetNumSignature{side}s", self._signature, make=_Index).value
        function = f"LiteRtGetSignature{side}Name"
        return [self._text(function, self._signature, _Index(place)) for place in range(count)]

    def _layout(self, place: int) -> _Layout:
        function = "LiteRtGetCompiledModelInputTensorLayout"
        layout: _Layout = self._given(function, self._compiled, self._place, _Index(place), make=_Layout)
        return layout

    def _buffer(self, side: str, place: int, layout: _Layout) -> _Pointer:
        tensor = self._given(f"LiteRtGetSignature{side}TensorByIndex", self._signature, _Index(place))
        kind = self._given("LiteRtGetRankedTensorType", tensor, make=_TensorType)
        kind.layout = layout
        function = f"LiteRtGetCompiledModel{side}BufferRequirements"
        wanted = self._given(function, self._compiled, self._place, _Index(place))
        arguments = self._environment, ctypes.byref(kind), wanted
        return self._made("ManagedTensorBufferFromRequirements", *arguments, destroy="TensorBuffer")

    def _fill(self, buffer: _Pointer, content: bytes) -> None:
        size = self._given("LiteRtGetTensorBufferPackedSize", buffer, make=_Index).value
        if size != len(content):
            raise ProfilerUnavailable(f"an input has {size} bytes, not {len(content)}")
        place = _Pointer()
        self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(place), _WRITE)
        ctypes.memmove(place, content, size)
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def _made(self, what: str, *arguments: object, destroy: str = "") -> _Pointer:
        """A new object of the library, which ends with this one."""
        made: _Pointer = self._given(f"LiteRtCreate{what}", *arguments)
        self._stack.callback(getattr(self._library, f"LiteRtDestroy{destroy or what}"), made)
        return made

    def _text(self, function: str, *arguments: object) -> str:
        found = self._given(function, *arguments, make=ctypes.c_char_p).value
        return (found or b"").decode(errors="replace")

    def _given(self, function: str, *arguments: object, make: Callable[[], Any] = _Pointer) -> Any:
        """What a function writes to its last argument."""
        found = make()
        self._call(function, *arguments, ctypes.byref(found))
        return found

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise ProfilerUnavailable(f"{function} ended with {status}")


def _library() -> Any:
    """The library in the package of LiteRT."""
    folder = Path(str(need("ai_edge_litert", extra="tflite").__file__)).parent
    for path in sorted(folder.glob("libLiteRt.*")):
        library = ctypes.CDLL(str(path))
        if hasattr(library, "LiteRtCompiledModelGetProfiler"):
            return library
    raise ProfilerUnavailable("the package of LiteRT has no library with a profiler")

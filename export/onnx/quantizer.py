"""Reduced-precision ONNX files: float16, and int8 by onnxruntime.quantization. Runs in the worker."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np

from edgekit.core.errors import ConversionFailed
from edgekit.core.recipe import Recipe
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.optional import need
from edgekit.export.graphs.front_end import front_end_of_onnx
from edgekit.export.graphs.learned_ranges import Range
from edgekit.export.messages import Converted
from edgekit.export.onnx.compact import lean
from edgekit.export.onnx.exporter import read_back, save
from edgekit.export.onnx.float16 import write_float16
from edgekit.export.onnx.opsets import PER_CHANNEL, opset_of
from edgekit.export.onnx.part_ranges import mixed_joins_of
from edgekit.export.onnx.preparation import prepare, repaired, take_ranges, unsupported
from edgekit.export.onnx.weight_only import quantize_weights, store_weights
from edgekit.export.shapes.calibration import feeds, feeds_at_lengths, feeds_of_sizes
from edgekit.export.shapes.lengths import sizes_of_samples
from edgekit.export.shapes.streams import begins_with_zeros, in_a_stream

Options = dict[str, str | int | float | bool]
_METHODS: Final = {"min-max": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
_STRIDE: Final = 8
# The first opset in which activations of 16 bits exist.
WIDE_OPSET: Final = 21
# Samples on which float16 is checked to hold every value.
_SEEN: Final = 32

# Operators whose weights are quantized without calibration. Conv is left out: ConvInteger is slower than float.
DYNAMIC_OPERATORS: Final = ("MatMul", "Gemm", "LSTM", "Attention", "Gather", "EmbedLayerNormalization")


class OnnxQuantizer:
    """Writes .onnx files of reduced precision, of the opset of the float32 file."""

    def quantize(
        self,
        source: Path,
        spec: ModelSpec,
        recipe: Recipe,
        calibration: Samples | None,
        out: Path,
        *,
        keep_float: Sequence[str] = (),
        method: str = "min-max",
        wide: Sequence[str] = (),
    ) -> Converted:
        """Write the file of `recipe` from the float32 file."""
        options, warnings = quantize(
            source, spec, recipe, calibration, out, keep_float=keep_float, method=method, wide=wide
        )
        whole = repaired(need("onnx", extra="export").load(str(out)), spec.states)
        save(lean(whole), out, spec, shapes=recipe.precision == "fp16")
        return msgspec.structs.replace(read_back(out, spec), options=options, warnings=warnings)


def quantize(
    source: Path,
    spec: ModelSpec,
    recipe: Recipe,
    calibration: Samples | None,
    out: Path,
    *,
    keep_float: Sequence[str] = (),
    method: str = "min-max",
    wide: Sequence[str] = (),
) -> tuple[Options, tuple[str, ...]]:
    """Write the file of `recipe` to `out`; returns the options used and warnings.

    Args:
        keep_float: Names of tensors whose operators are not quantized.
        method: The calibration method, one of CALIBRATION_METHODS.
        wide: Names of tensors whose operators read and write 16 bits, in static int8.
    """
    if recipe.precision == "fp16":
        return write_float16(source, out, _few_feeds(calibration, spec))
    if recipe.precision == "int4":
        return quantize_weights(source, recipe, out), ()
    if recipe.mode == "weights":
        return store_weights(source, out), ()
    with temporary_folder() as folder:
        prepared = Path(folder) / "prepared.onnx"
        ranges = take_ranges(source, prepared) if recipe.mode == "static" else {}
        symbolic = prepare(prepared if ranges else source, prepared)
        joined: tuple[str, ...] = ()
        if recipe.mode == "dynamic":
            options = _dynamic(prepared, recipe, out, _nodes_of(prepared, keep_float))
        else:
            assert calibration is not None
            given = list(_feeds(calibration, spec, prepared, method))
            mixed = mixed_joins_of(prepared, given)
            floats = _unsupported(prepared)
            kept = (*keep_float, *floats, *(name for one in mixed for name in (one.tensor, *one.behind)))
            options = _static(
                prepared, recipe, given, out, _nodes_of(prepared, kept), method, _activations_of(prepared, wide), ranges
            )
            joined = (
                *(f"{one.described}: it stays float32" for one in mixed),
                *(f"'{name}' ({kind} over several axes) stays float32" for name, kind in floats.items()),
            )
    lowest = WIDE_OPSET if options.get("wide_tensors") else PER_CHANNEL
    return {**options, "symbolic_shapes": symbolic}, (*joined, *_raised(source, lowest), *_warnings(out))


def _raised(source: Path, lowest: int) -> tuple[str, ...]:
    """Says that the file has a newer opset than its source."""
    own = opset_of(need("onnx", extra="export").load(str(source), load_external_data=False))
    what = "16-bit activations need" if lowest == WIDE_OPSET else "int8 needs"
    return (f"{what} opset {lowest}, the float file has opset {own}",) if own < lowest else ()


def _few_feeds(calibration: Samples | None, spec: ModelSpec) -> list[Feed]:
    """Feeds of the first samples: enough to see how large values become."""
    return list(feeds(calibration.take(slice(0, _SEEN)), spec)) if calibration is not None else []


def _nodes_of(prepared: Path, tensors: Collection[str]) -> list[str]:
    """Names of the nodes that make these tensors, and of those of the front end."""
    model = need("onnx", extra="export").load(str(prepared))
    kept = {*tensors, *front_end_of_onnx(model)}
    return [node.name for node in model.graph.node if kept & set(node.output)]


def _activations_of(prepared: Path, tensors: Collection[str]) -> list[str]:
    """What the nodes that make these tensors read and write, except constants."""
    graph = need("onnx", extra="export").load(str(prepared)).graph
    constants = {one.name for one in graph.initializer}
    names = (name for node in graph.node if set(tensors) & set(node.output) for name in (*node.input, *node.output))
    return [name for name in dict.fromkeys(names) if name and name not in constants]


def _unsupported(prepared: Path) -> dict[str, str]:
    """The first outputs of nodes that static int8 cannot express, with their operators."""
    return {one.output[0]: one.op_type for one in unsupported(need("onnx", extra="export").load(str(prepared)))}


def _feeds(calibration: Samples, spec: ModelSpec, prepared: Path, method: str) -> Iterator[Feed]:
    """Feeds at every length and in a stream; of one shape for methods that stack what they give to count it."""
    if method == "min-max":
        is_stream, run = begins_with_zeros(calibration, spec), _outputs_of(prepared)
        continuing = in_a_stream(feeds(calibration, spec), spec, run) if is_stream else ()
        return itertools.chain(feeds_at_lengths(calibration, spec, _runs(prepared)), continuing)
    own = sizes_of_samples(calibration, spec)
    return feeds_of_sizes(calibration, spec, {**own, **({spec.batch_axis: 1} if spec.batch_axis else {})})


def _static(
    prepared: Path,
    recipe: Recipe,
    given: Sequence[Feed],
    out: Path,
    kept: list[str],
    method: str,
    wide: Sequence[str] = (),
    ranges: Mapping[str, Range] = MappingProxyType({}),
) -> Options:
    q = need("onnxruntime.quantization", extra="cpu")
    unsigned, reduced = recipe.variant != "s8s8", recipe.variant == "u8s7"
    # So many feeds at a time: histograms are made of every value that every tensor had for them.
    extra: dict[str, Any] = {} if method == "min-max" else {"CalibStridedMinMax": _STRIDE}
    kind = q.QuantType.QUInt8 if unsigned else q.QuantType.QInt8
    overrides = {name: [_learned(one, kind)] for name, one in ranges.items()}
    if wide:
        kind = q.QuantType.QUInt16 if unsigned else q.QuantType.QInt16
        overrides |= {name: [{"quant_type": kind}] for name in wide}
    extra |= {"TensorQuantOverrides": overrides} if overrides else {}
    q.quantize_static(
        str(prepared),
        str(out),
        _reader(given),
        quant_format=q.QuantFormat.QDQ,
        activation_type=q.QuantType.QUInt8 if unsigned else q.QuantType.QInt8,
        weight_type=q.QuantType.QInt8,
        per_channel=True,
        reduce_range=reduced,
        calibrate_method=getattr(q.CalibrationMethod, _METHODS[method]),
        nodes_to_exclude=kept,
        extra_options=extra,
    )
    options: Options = {
        "format": "QDQ",
        "activations": "uint8" if unsigned else "int8",
        "weights": "int8",
        "per_channel": True,
        "reduce_range": reduced,
        "calibration": method,
        "float_nodes": ",".join(kept),
    }
    options |= {"learned_ranges": len(ranges)} if ranges else {}
    return options | ({"wide_tensors": ",".join(wide)} if wide else {})


def _learned(ends: Range, kind: Any) -> dict[str, Any]:
    """How the quantizer is told a range."""
    low, high = (np.array(one, np.float32) for one in ends)
    return {"quant_type": kind, "rmin": low, "rmax": high}


def _dynamic(prepared: Path, recipe: Recipe, out: Path, kept: list[str]) -> Options:
    q = need("onnxruntime.quantization", extra="cpu")
    reduced = recipe.variant == "u8s7"
    q.quantize_dynamic(
        str(prepared),
        str(out),
        weight_type=q.QuantType.QInt8,
        op_types_to_quantize=list(DYNAMIC_OPERATORS),
        nodes_to_exclude=kept,
        # One large weight of one gate would otherwise be the scale of a whole layer.
        per_channel=True,
        reduce_range=reduced,
    )
    operators = ",".join(DYNAMIC_OPERATORS)
    options: Options = {"weights": "int8", "per_channel": True, "operators": operators, "float_nodes": ",".join(kept)}
    return options | ({"reduce_range": True} if reduced else {})


def _runs(path: Path) -> Callable[[Feed], bool]:
    """Tells whether the file runs on a feed: a graph may hold the length that it was traced at."""
    run = _outputs_of(path)

    def runs(feed: Feed) -> bool:
        try:
            run(feed)
        except Exception:  # noqa: BLE001  # its errors have no class in common
            return False
        return True

    return runs


def _outputs_of(path: Path) -> Callable[[Feed], Feed]:
    """The outputs of the file for a feed."""
    ort = need("onnxruntime", extra="cpu")
    options = ort.SessionOptions()
    # Fatal alone: what is refused here is left out, and no news.
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def _reader(source: Sequence[Feed]) -> Any:
    q = need("onnxruntime.quantization", extra="cpu")

    class Reader(q.CalibrationDataReader):  # type: ignore[misc,name-defined]  # the type check runs without it
        """Feeds one after the other, a stretch at a time."""

        def __init__(self) -> None:
            self._rest = iter(source)

        def __len__(self) -> int:
            return len(source)

        def set_range(self, start_index: int, end_index: int) -> None:
            """Give this stretch next."""
            self._rest = iter(source[start_index:end_index])

        def get_next(self) -> Feed | None:
            return next(self._rest, None)

    return Reader()


def _warnings(out: Path) -> tuple[str, ...]:
    onnx = need("onnx", extra="export")
    try:
        kinds = {node.op_type for node in onnx.load(str(out)).graph.node}
    except Exception as err:
        raise ConversionFailed(f"The quantizer did not write an ONNX model: {err}.") from err
    quantized = {kind for kind in kinds if "Quantize" in kind or "Integer" in kind}
    return () if quantized else ("no operator of this graph could be quantized; the file is float32",)

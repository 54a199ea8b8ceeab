"""Reduced-precision TFLite files by ai-edge-quantizer. Runs in the worker."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgekit.core.recipe import Recipe
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.optional import need
from edgekit.export.graphs.front_end import front_end_of_tflite, tflite_graphs
from edgekit.export.graphs.joins import REMEDY, MixedJoin, joins_at_outputs, mixed_joins
from edgekit.export.graphs.learned_ranges import Range
from edgekit.export.graphs.trace import Operation
from edgekit.export.messages import Converted
from edgekit.export.shapes.calibration import feeds_of_sizes
from edgekit.export.shapes.signatures import signatures_of
from edgekit.export.shapes.streams import begins_with_zeros, in_a_stream
from edgekit.export.tflite.compact import compact
from edgekit.export.tflite.exporter import read_back
from edgekit.export.tflite.learned_limits import take_ranges
from edgekit.export.tflite.shared_ranges import set_ranges, share_ranges

Options = dict[str, str | int | float | bool]
Entry = dict[str, Any]

# float16 weights; the ready recipes of the quantizer have none.
_FLOAT16: Final[Entry] = {
    "regex": ".*",
    "operation": "*",
    "algorithm_key": "float_casting",
    "op_config": {
        "weight_tensor_config": {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "FLOAT"},
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
        "skip_checks": False,
        "min_weight_elements": 0,
    },
}

# One scale for a whole table of words: with one a row, and its zero point, they are a fifth of the table again.
_TABLES: Final[Entry] = {
    "regex": ".*",
    "operation": "EMBEDDING_LOOKUP",
    "algorithm_key": "min_max_uniform_quantize",
    "op_config": {
        "weight_tensor_config": {"num_bits": 8, "symmetric": True, "granularity": "TENSORWISE", "dtype": "INT"},
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
        "skip_checks": False,
        "min_weight_elements": 0,
    },
}


class TfliteQuantizer:
    """Writes .tflite files of reduced precision with the signatures of the float32 file."""

    def quantize(
        self,
        source: Path,
        spec: ModelSpec,
        recipe: Recipe,
        calibration: Samples | None,
        out: Path,
        *,
        keep_float: Sequence[str] = (),
    ) -> Converted:
        """Write the file of `recipe` from the float32 file."""
        options, warnings = quantize(source, spec, recipe, calibration, out, keep_float=keep_float)
        compact(out)
        made = read_back(out, spec)
        wrong = _not_float(made, spec) if recipe.needs_calibration else ()
        if recipe.mode == "full":
            again = outputs_read_again(source)
            wrong = tuple(name for name in wrong if again & set(tensor_names(out, name, spec)))
        if not wrong:
            return msgspec.structs.replace(made, options=options, warnings=warnings)
        # An output that the graph reads again is left int8 and empty: its operator has to stay float.
        names = (*keep_float, *(name for output in wrong for name in tensor_names(out, output, spec)))
        options, warnings = quantize(source, spec, recipe, calibration, out, keep_float=names)
        compact(out)
        warnings += tuple(f"the operator of output '{output}' stays float32" for output in wrong)
        return msgspec.structs.replace(read_back(out, spec), options=options, warnings=warnings)


def quantize(
    source: Path,
    spec: ModelSpec,
    recipe: Recipe,
    calibration: Samples | None,
    out: Path,
    *,
    keep_float: Sequence[str] = (),
) -> tuple[Options, tuple[str, ...]]:
    """Write the file of `recipe` to `out`; returns the options used and warnings.

    Args:
        keep_float: Names of tensors whose operators are not quantized.
    """
    if recipe.needs_calibration:
        with temporary_folder() as folder:
            plain = Path(folder) / "plain.tflite"
            learned = take_ranges(source, plain)
            return _quantized(plain if learned else source, spec, recipe, calibration, out, keep_float, learned)
    return _quantized(source, spec, recipe, calibration, out, keep_float, {})


def _quantized(
    source: Path,
    spec: ModelSpec,
    recipe: Recipe,
    calibration: Samples | None,
    out: Path,
    keep_float: Sequence[str],
    learned: Mapping[str, Range],
) -> tuple[Options, tuple[str, ...]]:
    quantizer = need("ai_edge_quantizer.quantizer", extra="tflite-export").Quantizer(str(source))
    kept = [
        *keep_float,
        *front_end_of_tflite(source),
        *(_readers_of_outputs(source) if recipe.needs_calibration else ()),
        *(_constant_left(source) if recipe.mode == "dynamic" else ()),
    ]
    entries = [*_entries(recipe), *(_unquantized("*", f"{re.escape(name)};") for name in dict.fromkeys(kept))]
    quantizer.load_quantization_recipe(entries)
    ranges, warnings = None, tuple[str, ...]()
    if quantizer.need_calibration:
        assert calibration is not None
        ranges = _ranges(source, entries, _calibration(source, spec, calibration))
        graphs = [operations for operations, _ in tflite_graphs(source)]
        set_ranges(ranges, graphs, learned)
        if spec.states:
            share_ranges(ranges, graphs, _tensors_in_all(source, spec))
        more, warnings = _joins(source, recipe, ranges)
        entries += more
        quantizer.load_quantization_recipe(entries)
    out.unlink(missing_ok=True)
    if ranges == {}:
        # Every operator that it knows is to stay float.
        shutil.copyfile(source, out)
    else:
        quantizer.quantize(ranges).export_model(str(out))
    options: Options = {"recipe": recipe.mode or recipe.precision, "float_operators": ",".join(_left_float(entries))}
    return options | ({"learned_ranges": len(learned)} if learned else {}), warnings


def _joins(source: Path, recipe: Recipe, ranges: Mapping[str, Entry]) -> tuple[list[Entry], tuple[str, ...]]:
    """What leaves joins of parts of different range float32, and warnings about them."""
    found = [one for operations, outputs in tflite_graphs(source) for one in _mixed(operations, outputs, ranges)]
    said = dict.fromkeys(one.described for one in found)
    if recipe.mode == "full":
        # Its outputs are int8 in any case, with one scale for all parts.
        return [], tuple(f"{text}, and one int8 scale holds both: {REMEDY}" for text in said)
    names = dict.fromkeys(name for one in found for name in (one.tensor, *one.behind))
    return [_unquantized("*", f"{re.escape(name)};") for name in names], tuple(
        f"{text}: it stays float32" for text in said
    )


def _mixed(operations: Sequence[Operation], outputs: Sequence[str], ranges: Mapping[str, Entry]) -> Iterator[MixedJoin]:
    joins = joins_at_outputs(operations, outputs)
    parts = {name for join in joins for name in join.inputs if "min" in ranges.get(name, {})}
    known = {name: (float(np.min(ranges[name]["min"])), float(np.max(ranges[name]["max"]))) for name in parts}
    return mixed_joins(operations, joins, known)


def _ranges(source: Path, entries: list[Entry], feeds: dict[str, list[Entry]]) -> dict[str, Entry]:
    """Smallest and largest value of every tensor over all feeds.

    The quantizer's own default is a moving average that forgets: after 64 samples of a small network it left 17 dB,
    where the true range leaves 36.
    """
    calibrator = need("ai_edge_quantizer.calibrator", extra="tflite-export")
    statistics = need("ai_edge_quantizer.utils.qsv_utils", extra="tflite-export")
    manager = need("ai_edge_quantizer.recipe_manager", extra="tflite-export").RecipeManager()
    manager.load_quantization_recipe(entries)
    run = calibrator.Calibrator(str(source), num_threads=1, qsv_update_func=statistics.min_max_update)
    run.calibrate(feeds, manager)
    found: dict[str, Entry] = run.get_model_qsvs()
    return found


def _entries(recipe: Recipe) -> list[Entry]:
    ready = need("ai_edge_quantizer.recipe", extra="tflite-export")
    if recipe.precision == "fp16":
        return [_FLOAT16]
    if recipe.precision == "int4":
        return list(ready.weight_only_wi4_afp32())
    if recipe.mode == "weights":
        return list(ready.weight_only_wi8_afp32())
    if recipe.mode == "dynamic":
        return [*ready.dynamic_wi8_afp32(), _TABLES]
    # Transposed convolutions are left float: the quantizer writes them with scales that LiteRT refuses.
    skipped = ["CONV_2D_TRANSPOSE", *([] if recipe.mode == "full" else ["INPUT", "OUTPUT"])]
    return [*ready.static_wi8_ai8(), *map(_unquantized, skipped)]


def outputs_read_again(source: Path) -> frozenset[str]:
    """The file's own names of outputs that operators of the graph read as well."""
    model = need("ai_edge_quantizer.utils.tfl_flatbuffer_utils", extra="tflite-export").read_model(str(source))
    return frozenset(
        graph.tensors[read].name.decode()
        for graph in model.subgraphs
        for operator in graph.operators
        for read in set(graph.outputs) & set(operator.inputs)
    )


def _readers_of_outputs(source: Path) -> list[str]:
    """Tensors made by operators that read an output of the model.

    They stay float: with float outputs the quantizer hands such an operator a float input and int8 weights, which
    LiteRT refuses.
    """
    model = need("ai_edge_quantizer.utils.tfl_flatbuffer_utils", extra="tflite-export").read_model(str(source))
    return [
        graph.tensors[made].name.decode()
        for graph in model.subgraphs
        for operator in graph.operators
        if set(graph.outputs) & set(operator.inputs)
        for made in operator.outputs
    ]


def _constant_left(source: Path) -> list[str]:
    """Tensors made by matrix products whose left side is constant, as learned queries: LiteRT takes no int8 there."""
    model = need("ai_edge_quantizer.utils.tfl_flatbuffer_utils", extra="tflite-export").read_model(str(source))
    product = need("ai_edge_litert.schema_py_generated", extra="tflite").BuiltinOperator.BATCH_MATMUL
    return [
        graph.tensors[operator.outputs[0]].name.decode()
        for graph in model.subgraphs
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == product
        and model.buffers[graph.tensors[operator.inputs[0]].buffer].data is not None
    ]


def _tensors_in_all(path: Path, spec: ModelSpec) -> list[tuple[str, ...]]:
    """The file's own names of each input in every signature; of a state, with those of the output it comes from."""
    model = need("ai_edge_litert.interpreter", extra="tflite").Interpreter(str(path), num_threads=1)
    runners = [model.get_signature_runner(signature.name) for signature in signatures_of(spec)]
    inputs = {one.name: [runner.get_input_details()[one.name]["name"] for runner in runners] for one in spec.inputs}
    for output, name in spec.states.items():
        inputs[name] += [runner.get_output_details()[output]["name"] for runner in runners]
    return [tuple(names) for names in inputs.values()]


def _not_float(made: Converted, spec: ModelSpec) -> tuple[str, ...]:
    """Outputs that are float in the spec and not in the file."""
    pairs = zip(spec.outputs, made.outputs, strict=True)
    return tuple(wanted.name for wanted, got in pairs if "float" in wanted.dtype and "float" not in got.dtype)


def tensor_names(path: Path, output: str, spec: ModelSpec) -> tuple[str, ...]:
    """The file's own names of an output's tensor, one per signature."""
    model = need("ai_edge_litert.interpreter", extra="tflite").Interpreter(str(path), num_threads=1)
    runners = (model.get_signature_runner(signature.name) for signature in signatures_of(spec))
    return tuple(runner.get_output_details()[output]["name"] for runner in runners)


def _unquantized(operation: str, tensors: str = ".*") -> Entry:
    return {
        "regex": tensors,
        "operation": operation,
        "algorithm_key": "no_quantize",
        "op_config": {"skip_checks": False, "min_weight_elements": 0},
    }


def _left_float(entries: list[Entry]) -> list[str]:
    skipped = [entry for entry in entries if entry["algorithm_key"] == "no_quantize"]
    return [entry["operation"] if entry["regex"] == ".*" else entry["regex"] for entry in skipped]


def _calibration(source: Path, spec: ModelSpec, samples: Samples) -> dict[str, list[Entry]]:
    """Feeds for every signature, in the dtypes of the file."""
    interpreter = need("ai_edge_litert.interpreter", extra="tflite").Interpreter(str(source), num_threads=1)
    found = {}
    for signature in signatures_of(spec):
        runner = interpreter.get_signature_runner(signature.name)
        details = runner.get_input_details()
        given = [
            {name: np.ascontiguousarray(array.astype(details[name]["dtype"])) for name, array in feed.items()}
            for feed in feeds_of_sizes(samples, spec, signature.sizes)
        ]
        is_stream = begins_with_zeros(samples, spec)
        found[signature.name] = list(in_a_stream(given, spec, partial(_outputs, runner))) if is_stream else given
    return found


def _outputs(runner: Callable[..., Feed], feed: Feed) -> Feed:
    return runner(**feed)

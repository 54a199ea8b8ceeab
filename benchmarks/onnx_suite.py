"""The node, simple and light tests of the `onnx` package, through our loading, the onnxruntime backend and validation.

python benchmarks/onnx_suite.py        run all and write benchmarks/onnx_suite.json, which docs/matrix.md counts
python benchmarks/onnx_suite.py NAME   run the tests whose names hold NAME, and say what came of each
"""

from __future__ import annotations

import importlib.resources
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import onnx
from onnx import numpy_helper

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError, Refused
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.verdict import Verdict
from edgekit.export.checking.parity import compare_outputs
from edgekit.export.onnx.reader import OnnxFile
from edgekit.export.onnx.widening import wider
from edgekit.report import formatting

# Why a test that loads does not give what the package expects, by the beginning of its name.
EXPLAINED: Final = {
    "test_attention_4d_with_past_and_present_qk_matmul_bias": "masked values are minus infinity in the expected"
    " output and the lowest float in ONNX Runtime; an output that is not finite never passes validation",
    "test_attention_4d_diff_heads_mask4d_padded_kv": "ONNX Runtime needs a mask as long as the keys, padding included",
    "test_averagepool_2d_ceil_last_window_starts_on_pad": "off by 5.6e-5, which the package allows"
    " and the limit of edgekit does not",
    "test_convinteger_with_padding": "ONNX Runtime does not support per-channel zero points in ConvInteger",
    "test_bernoulli": "random: ONNX Runtime draws other numbers than the package for the same seed",
    "test_blackmanwindow": "off by one rounding step at the edge of the window, where it is zero and has no range",
    "test_roialign_aligned_false": "off by 8.4e-5, which the package allows and the limit of edgekit does not",
    "test_training_dropout": "random: ONNX Runtime draws other numbers than the package for the same seed",
    "test_maxunpool_export_with_output_shape": "ONNX Runtime takes indices from the input shape, not the output shape",
    "test_mvn": "the checker of the package rejects the model: a constant of its function has no value",
    "test_reduce_max_empty_set_bool": "ONNX Runtime does not support the maximum of an empty set of booleans",
    "test_resize_downsample_scales_": "ONNX Runtime aligns corners by the rounded size, the package by the exact one",
    "test_rnn_seq_length": "off by one rounding step, which exceeds the limit of an output that hardly varies",
    "test_simple_rnn_bidirectional": "off by one rounding step, which exceeds the limit of an output that hardly"
    " varies",
}
RESULTS: Final = Path(__file__).with_name("onnx_suite.json")
KINDS: Final = ("node", "simple", "light", "pytorch-converted", "pytorch-operator")
_STORED: Final = ("simple", "pytorch-converted", "pytorch-operator")


class Case(NamedTuple):
    """One test: a model, and feeds with what they must give, both in the order of the graph."""

    name: str
    kind: str
    model: Any
    sets: Sequence[tuple[Sequence[Any], Sequence[Any]]]


class Outcome(msgspec.Struct, frozen=True):
    """What came of one test: `pass`, `refused` by a code, or `fail` with the reason."""

    name: str
    kind: str
    verdict: str
    code: str = ""
    reason: str = ""


class Suite(msgspec.Struct, frozen=True):
    """Every test of one version of the onnx package."""

    version: str
    outcomes: tuple[Outcome, ...]
    schema_version: int = 1

    def count(self, kind: str = "") -> Counter[str]:
        """How many of one kind, or of all, ended in each verdict."""
        return Counter(one.verdict for one in self.outcomes if kind in ("", one.kind))


def cases() -> Iterator[Case]:
    """Every test that comes with the package; nothing is fetched."""
    yield from _nodes()
    data = Path(str(importlib.resources.files("onnx.backend.test"))) / "data"
    for kind in _STORED:
        for folder in sorted(path for path in (data / kind).iterdir() if path.is_dir()):
            model = onnx.load(str(folder / "model.onnx"))
            sets = [_stored(one, model) for one in sorted(folder.glob("test_data_set_*"))]
            yield Case(folder.name, kind, model, sets)
    for path in sorted((data / "light").glob("*.onnx")):
        model = onnx.load(str(path))
        expected = numpy_helper.to_array(onnx.load_tensor(str(path.with_name(f"{path.stem}_output_0.pb"))))
        yield Case(f"test_{path.stem}", "light", model, [(_ramps(model), [expected])])


def _nodes() -> Iterator[Case]:
    from onnx.backend.test.loader import load_node_model_tests

    for case in load_node_model_tests():
        yield Case(case.name, "node", case.model, [(list(feed), list(answer)) for feed, answer in case.data_sets or ()])


def _stored(folder: Path, model: Any) -> tuple[list[Any], list[Any]]:
    """The arrays in a folder of a test, in order."""
    inputs = [_value(folder / f"input_{place}.pb", value) for place, value in enumerate(_fed(model))]
    outputs = [_value(folder / f"output_{place}.pb", value) for place, value in enumerate(model.graph.output)]
    return inputs, outputs


def _value(path: Path, value: Any) -> Any:
    if value.type.WhichOneof("value") != "tensor_type":
        return None
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def _ramps(model: Any) -> list[Any]:
    """What the package itself feeds to its light models: numbers that rise from 0 to 1."""
    shapes = [[dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim] for value in _fed(model)]
    return [(np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)).astype(np.float32) for shape in shapes]


def _fed(model: Any) -> list[Any]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def judged(test: Case, folder: Path) -> Outcome:
    """What our loading, the backend and validation make of one test."""
    path = folder / "model.onnx"
    path.write_bytes(test.model.SerializeToString())
    try:
        given = OnnxFile(path)
        described = given.describe()
        problems = [text for feed, answer in test.sets for text in _problems(given, described.inputs, feed, answer)]
    except Refused as err:
        return Outcome(test.name, test.kind, "refused", err.code)
    except EdgekitError as err:
        return Outcome(test.name, test.kind, "fail", reason=err.message.replace(str(path), path.name))
    if problems:
        return Outcome(test.name, test.kind, "fail", reason=problems[0])
    return Outcome(test.name, test.kind, "pass")


def _problems(given: OnnxFile, inputs: Sequence[Any], feed: Sequence[Any], answer: Sequence[Any]) -> list[str]:
    """What validation says of the answer to one feed, as one sample without a batch."""
    named = {tensor.name: _array(array) for tensor, array in zip(inputs, feed, strict=False)}
    concrete = tuple(msgspec.structs.replace(one, shape=named[one.name].shape) for one in inputs)
    spec = ModelSpec("test", "other", concrete)
    answers = given.run(spec, named)
    names = list(answers)
    expected = {name: _array(array)[None] for name, array in zip(names, answer, strict=True)}
    samples = Samples({name: array[None] for name, array in named.items()}, expected=expected)
    half = any(_is_half(value) for value in (*feed, *answer))
    precision = "fp16" if half else "fp32"
    artifact = Artifact("onnx-fp32", "model.onnx", "onnx", precision, 1, "", "", (), ())
    got = {name: array[None] for name, array in answers.items()}
    same = {name for name, array in expected.items() if _is_same(array, got[name])}
    checks = compare_outputs(artifact, spec, got, samples, where="onnxruntime")
    # A check without values, or of values that are not finite, is none; a test may ask for just these.
    failed = [check for check in checks if check.verdict is not Verdict.PASS and check.output not in same]
    return [f"Output '{check.output}' differs: {check.reason or formatting.parity_value(check)}." for check in failed]


def _is_same(expected: Any, got: Any) -> bool:
    """True for equal arrays, with what is not a number in the same places."""
    floats = np.issubdtype(expected.dtype, np.inexact)
    return expected.dtype == got.dtype and bool(np.array_equal(expected, got, equal_nan=floats))


def _is_half(value: Any) -> bool:
    """True for values of 16 bits, which float32 holds where numpy lacks their type."""
    if isinstance(value, onnx.TensorProto):
        return value.data_type in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    return str(np.asarray(value).dtype) in ("float16", "bfloat16")


def _array(value: Any) -> Any:
    """What is fed or expected, in the type that edgekit feeds and reads it as."""
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
    if array.dtype == object:
        return array.astype(str)
    wide = wider(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
    return array if wide is None else array.astype(onnx.helper.tensor_dtype_to_np_dtype(wide))


def explained(name: str) -> str:
    """Why this test fails; empty if that is unknown."""
    return next((why for beginning, why in EXPLAINED.items() if name.startswith(beginning)), "")


def written(suite: Suite) -> str:
    """The file of the results, one line per test."""
    lines = ",\n".join(json.dumps(msgspec.to_builtins(one)) for one in suite.outcomes)
    return f'{{"version": "{suite.version}", "outcomes": [\n{lines}\n]}}\n'


def main(arguments: Sequence[str]) -> None:
    """Run the tests; without a name, write what came of them."""
    outcomes = []
    with temporary_folder() as folder:
        for test in cases():
            if all(word in test.name for word in arguments):
                outcomes.append(judged(test, Path(folder)))
                if arguments:
                    print(outcomes[-1])
    suite = Suite(onnx.__version__, tuple(outcomes))
    print(dict(suite.count()), Counter(one.code for one in outcomes if one.code))
    if not arguments:
        RESULTS.write_text(written(suite), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

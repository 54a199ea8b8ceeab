"""Refusals: what is known not to work, by code, with the measurement behind it and what to do instead."""

from __future__ import annotations

from typing import Final, NamedTuple

from edgekit.core.errors import Refused


class Refusal(NamedTuple):
    """One reason; `instead` is the hint: an option to use, or the next command to run."""

    reason: str
    instead: str


# The one table of reasons. The code appears in the error, in `--json`, and in docs/matrix.md.
REFUSALS: Final[dict[str, Refusal]] = {
    "int2-weights": Refusal(
        "2-bit weights without rotation reduced a digit classifier from 98.8 % to 10.9 %", "--to tflite-int8"
    ),
    "int2-kernels": Refusal("ONNX Runtime has no kernels for 2-bit weights", "--to onnx-int8"),
    "int16-activations": Refusal("16-bit activations ran 10 to 37 times slower than float32", "--to tflite-fp16"),
    "static-lstm": Refusal(
        "static int8 leaves an LSTM an SQNR of 2.1 to 11.5 dB, dynamic int8 37 to 61 dB", "--to tflite-int8-dynamic"
    ),
    "static-attention": Refusal(
        "static int8 leaves attention an SQNR of 12 to 19 dB, dynamic int8 34 to 38 dB", "--to onnx-int8-dynamic"
    ),
    "static-outliers": Refusal(
        "ranges calibrated on usual samples clip the unusual ones: an anomaly detector kept an SQNR of 7.0 dB",
        "--to onnx-int8-dynamic",
    ),
    "full-spectrum": Refusal(
        "8-bit audio leaves a keyword spotter with a log spectrum an SQNR of 14.6 dB, float audio 31 dB",
        "--to tflite-int8-static",
    ),
    "nothing-for-int4": Refusal(
        "only matrix products support 4-bit weights, and this graph has none with constant weights",
        "--to onnx-int8",
    ),
    "strings": Refusal("text cannot be quantized, and only ONNX supports it as an input", "--to onnx-fp32"),
    "histogram-tflite": Refusal(
        "the TFLite quantizer supports only min-max, neither entropy nor percentile",
        "--calibration-method min-max",
    ),
    "tflite-to-onnx": Refusal("TFLite cannot be converted back to ONNX", "--to tflite-fp32,tflite-int8"),
    "onnx2tf-missing": Refusal(
        "converting .onnx to TFLite needs onnx2tf, which is not installed", "edgekit tools install onnx2tf"
    ),
    "one-size-only": Refusal("onnx2tf writes one signature per file", "--sizes AXIS=SIZE, with one size per axis"),
    "already-quantized": Refusal(
        "the file already contains quantized weights; quantizing twice adds up the errors",
        "Start from the float file.",
    ),
    "no-real-samples": Refusal(
        "it needs real samples to calibrate activation ranges, and none were given", "--samples FILE.npz"
    ),
    "newer-opset": Refusal(
        "onnxruntime 1.31 supports opsets up to 26, and this operator changed since", "opset_version=18"
    ),
    "missing-kernel": Refusal(
        "onnxruntime does not implement one of its operators for these types or attributes", "edgekit list models"
    ),
    "unknown-operator": Refusal(
        "onnxruntime does not support one of its operators, or an attribute of it", "Export it from standard operators."
    ),
    "language-model": Refusal(
        "edgekit copies the cache of a text in and out of every call, has no sampling and no 4-bit weights by blocks, "
        "and compares artifacts with PyTorch in float32 on this machine",
        "docs/llm.md says which tools run it.",
    ),
    "no-inputs": Refusal("it has no inputs, so its output is a constant", "Use the constant."),
    "sequence-type": Refusal(
        "a sequence of tensors has no fixed shape, which calibration and devices need",
        "Return its tensors as outputs of their own, or as one: ConcatFromSequence.",
    ),
    "optional-type": Refusal("no backend on a device supports optional tensors", "Take and return tensors instead."),
    "map-type": Refusal("a map is not a tensor", "Export without the final ZipMap: zipmap=False"),
    "sparse-type": Refusal("no backend on a device supports sparse tensors", "Use a dense tensor."),
    "unknown-rank": Refusal("the file does not specify its number of axes", "--input 'NAME:float32[N,3,32,32]'"),
    "element-type": Refusal(
        "numpy has neither this element type nor a wider one that contains all its values",
        "Convert it in the graph: Cast to float32.",
    ),
    "external-path": Refusal("its external data is outside the folder of the file", "Put the data next to the file."),
}


def refuse(code: str, what: str, *, instead: str = "") -> Refused:
    """The error for `what` (`Recipe 'onnx-int2'`), with the reason of `code` in REFUSALS."""
    refusal = REFUSALS[code]
    return Refused(f"{what} is refused: {refusal.reason}.", code=code, hint=instead or refusal.instead)


def reason_of(code: str) -> str:
    """The reason of `code` in REFUSALS and what to do instead, for what is left out without an error."""
    refusal = REFUSALS[code]
    return f"{refusal.reason}; {refusal.instead}"

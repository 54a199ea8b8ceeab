"""Refusals: what is known not to work, by code, with what was measured and what to do instead."""

from __future__ import annotations

from typing import Final, NamedTuple

from edgekit.core.errors import Refused


class Refusal(NamedTuple):
    """One reason; `instead` is the hint: an option to give, or the next command to type."""

    reason: str
    instead: str


# The one table of reasons. A code is told in the error, in `--json`, and in docs/matrix.md.
REFUSALS: Final[dict[str, Refusal]] = {
    "int2-weights": Refusal(
        "2-bit weights without rotation gave 10.9 % on a digit classifier that has 98.8 %", "--to tflite-int8"
    ),
    "int2-kernels": Refusal("2-bit weights have no kernels in this runtime", "--to onnx-int8"),
    "int16-activations": Refusal("16-bit activations ran 10 to 37 times slower than float32", "--to tflite-fp16"),
    "static-lstm": Refusal(
        "static int8 left 2.1 to 11.5 dB of the signal of an LSTM, dynamic int8 37 to 61 dB", "--to tflite-int8-dynamic"
    ),
    "static-attention": Refusal(
        "static int8 left 12 to 19 dB of the signal of attention, dynamic int8 34 to 38 dB", "--to onnx-int8-dynamic"
    ),
    "static-outliers": Refusal(
        "ranges read from usual samples cut off the unusual ones: 7.0 dB of an anomaly detector were left",
        "--to onnx-int8-dynamic",
    ),
    "full-spectrum": Refusal(
        "sound in 8 bits left 14.6 dB of a keyword spotter that takes a logarithm of its spectrum, and 31 dB in float",
        "--to tflite-int8-static",
    ),
    "nothing-for-int4": Refusal(
        "4-bit weights exist for matrix products alone, and this graph has none with constant weights",
        "--to onnx-int8",
    ),
    "strings": Refusal(
        "text has no values to round, and no other format than ONNX takes it as an input", "--to onnx-fp32"
    ),
    "histogram-tflite": Refusal(
        "the TFLite quantizer reads smallest and largest values alone; it has no entropy or percentile",
        "--calibration-method min-max",
    ),
    "tflite-to-onnx": Refusal("no converter leads from TFLite back to ONNX", "--to tflite-fp32,tflite-int8"),
    "onnx2tf-missing": Refusal(
        "TFLite files are made from .onnx by onnx2tf, which has no environment here", "edgekit tools install onnx2tf"
    ),
    "one-size-only": Refusal("onnx2tf makes one entry point a file", "--sizes AXIS=SIZE, with one size an axis"),
    "already-quantized": Refusal(
        "the file holds quantized weights already; a second rounding adds its error to that of the first",
        "Start from the float file.",
    ),
    "no-real-samples": Refusal(
        "it reads activation ranges from real samples, and none were given", "--samples FILE.npz"
    ),
    "newer-opset": Refusal(
        "onnxruntime 1.31 reads opset 26 at most, and this operator changed since", "opset_version=18"
    ),
    "missing-kernel": Refusal(
        "onnxruntime has no implementation of one of its operators for these types or attributes", "edgekit list models"
    ),
    "unknown-operator": Refusal(
        "onnxruntime does not know one of its operators, or an attribute of it", "Export it from standard operators."
    ),
    "no-inputs": Refusal("nothing goes in, so its answer is a constant", "Keep the constant."),
    "sequence-type": Refusal(
        "a sequence of tensors has no shape to calibrate or to send to a device", "edgekit profile"
    ),
    "optional-type": Refusal(
        "an optional tensor may be missing, and no engine on a device takes that", "edgekit profile"
    ),
    "map-type": Refusal("a map of values is no tensor", "Leave out the ZipMap at the end: zipmap=False"),
    "sparse-type": Refusal("a sparse tensor is opened by no engine on a device", "Give it dense."),
    "unknown-rank": Refusal("the file does not say how many axes it has", "--input 'NAME:float32[N,3,32,32]'"),
    "element-type": Refusal("arrays hold no numbers of this type, and no wider one holds them all", "edgekit profile"),
    "external-path": Refusal("its external data lies outside the folder of the file", "Put the data beside the file."),
}


def refuse(code: str, what: str, *, instead: str = "") -> Refused:
    """The error for `what` (`Recipe 'onnx-int2'`), which REFUSALS knows not to work."""
    refusal = REFUSALS[code]
    return Refused(f"{what} is refused: {refusal.reason}.", code=code, hint=instead or refusal.instead)

"""The table of operators says of every format what each reader of it has to know."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edgekit.core.recipe import ATTENTION
from edgekit.export.graphs.operators import KINDS, Language, Trait, kinds_of, kinds_with, named, onnx_name


@dataclass(frozen=True)
class Case:
    language: Language
    traits: Trait
    names: str


CASES = [
    Case("onnx", Trait.MOVES, "Cast Dropout Flatten Identity Reshape Squeeze Transpose Unsqueeze"),
    Case("onnx", Trait.REPEATS, "Expand"),
    Case("onnx", Trait.TAKES, "Gather GatherElements GatherND Slice Split"),
    Case("onnx", Trait.SIZES, "Shape Size"),
    Case("onnx", Trait.BORDER, "DequantizeLinear QuantizeLinear"),
    Case("onnx", Trait.PART, "ConvInteger DynamicQuantizeLinear MatMulInteger"),
    Case("onnx", Trait.FIXED_RANGE, "Sigmoid Softmax Tanh"),
    Case("onnx", Trait.PASSES, "Cast Dropout Identity Mul Reshape Squeeze Transpose Where"),
    Case("onnx", Trait.ATTENDS, "Einsum MatMul"),
    Case("onnx", Trait.CONVOLVES, "Conv ConvInteger FusedConv QLinearConv"),
    Case("onnx", Trait.MULTIPLIES, "FusedGemm Gemm MatMul MatMulInteger QLinearMatMul"),
    Case("onnx", Trait.RECURS, "DynamicQuantizeLSTM GRU LSTM RNN"),
    Case("onnx", Trait.LAYER | Trait.MATRICES, "Conv GRU Gemm LSTM MatMul"),
    Case(
        "onnx",
        Trait.INTEGERS,
        "ConvInteger DynamicQuantizeLSTM DynamicQuantizeMatMul MatMulInteger MatMulIntegerToFloat QLinearConv"
        " QLinearMatMul",
    ),
    Case("onnx", Trait.LOGARITHM, "Log"),
    Case("tflite", Trait.MOVES | Trait.REPEATS, "BROADCAST_TO CAST EXPAND_DIMS RESHAPE SQUEEZE TRANSPOSE"),
    Case("tflite", Trait.SIZES, "SHAPE"),
    Case("tflite", Trait.BORDER, "DEQUANTIZE QUANTIZE"),
    Case("tflite", Trait.FIXED_RANGE, "LOGISTIC SOFTMAX TANH"),
    Case("tflite", Trait.SHARED_SCALE, "CONCATENATION MAXIMUM MINIMUM PACK PADV2 SELECT_V2"),
    Case("tflite", Trait.MULTIPLIES, "BATCH_MATMUL FULLY_CONNECTED"),
    Case(
        "tflite",
        Trait.LAYER | Trait.MATRICES,
        "BATCH_MATMUL BIDIRECTIONAL_SEQUENCE_LSTM CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED"
        " UNIDIRECTIONAL_SEQUENCE_LSTM",
    ),
    Case("tflite", Trait.LOGARITHM, "LOG"),
    Case(
        "aten",
        Trait.MOVES | Trait.REPEATS,
        "_reshape_alias _to_copy _unsafe_view alias clone contiguous copy_ detach expand flatten lift_fresh permute"
        " reshape squeeze t transpose unflatten unsqueeze view",
    ),
    Case(
        "torch",
        Trait.PASSES,
        "__getitem__ __mul__ contiguous dropout expand flatten float half masked_fill mul nan_to_num permute reshape"
        " squeeze to transpose type_as unsqueeze view where",
    ),
    Case("torch", Trait.ATTENDS, "__matmul__ baddbmm bmm einsum matmul mm"),
    Case("torch", Trait.LAYER, "conv1d conv2d conv3d gru gru_cell linear lstm lstm_cell"),
    Case("torch", Trait.LOGARITHM, "log log10 log1p log2"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.language}-{case.traits}")
def test_every_reader_of_the_table_gets_its_operators(case: Case) -> None:
    assert sorted(named(case.language, case.traits)) == sorted(case.names.split())


def test_kinds_that_bisecting_asks_for() -> None:
    lasting = "conv deconv dense gru lstm maxpool relu sigmoid softmax tanh"
    picking = "add concat gather pad select slice split strided_slice sub"

    assert sorted(kinds_with(Trait.LASTS)) == lasting.split()
    assert sorted(kinds_with(Trait.PICKS)) == picking.split()


@pytest.mark.parametrize(
    ("language", "kind", "names"),
    [
        ("onnx", "conv", "Conv ConvInteger"),
        ("onnx", "dense", "Gemm MatMul MatMulInteger DynamicQuantizeMatMul MatMulIntegerToFloat"),
        ("onnx", "deconv", "ConvTranspose"),
        ("onnx", "relu", "Relu Clip"),
        ("onnx", "maxpool", "MaxPool"),
        ("onnx", "mean", "AveragePool GlobalAveragePool ReduceMean"),
        ("onnx", "softmax", "Softmax"),
        ("onnx", "lstm", "LSTM DynamicQuantizeLSTM"),
        ("tflite", "conv", "CONV_2D DEPTHWISE_CONV_2D"),
        ("tflite", "dense", "FULLY_CONNECTED BATCH_MATMUL"),
        ("tflite", "deconv", "TRANSPOSE_CONV"),
        ("tflite", "relu", "RELU RELU6"),
        ("tflite", "maxpool", "MAX_POOL_2D"),
        ("tflite", "mean", "AVERAGE_POOL_2D MEAN"),
        ("tflite", "sigmoid", "LOGISTIC"),
        ("aten", "conv", "convolution _convolution mkldnn_convolution"),
        ("aten", "dense", "addmm mm bmm baddbmm"),
        ("aten", "relu", "relu relu_ hardtanh hardtanh_ clamp"),
        ("aten", "maxpool", "max_pool2d_with_indices"),
        ("aten", "mean", "mean avg_pool2d _adaptive_avg_pool2d"),
        ("aten", "softmax", "_softmax"),
        ("aten", "lstm", "mkldnn_rnn_layer"),
    ],
)
def test_formats_share_the_names_of_kinds(language: Language, kind: str, names: str) -> None:
    assert {name: kinds_of(language, name) for name in names.split()} == dict.fromkeys(names.split(), frozenset({kind}))


def test_a_fused_operator_is_of_both_kinds_and_an_unknown_one_of_its_own() -> None:
    assert kinds_of("onnx", "FusedConv") == {"conv", "relu"}
    assert kinds_of("onnx", "TopK") == {"topk"}


@pytest.mark.parametrize(
    ("language", "names", "onnx"),
    [
        ("torch", "lstm lstm_cell", "LSTM"),
        ("torch", "gru gru_cell", "GRU"),
        ("torch", "rnn_tanh rnn_relu rnn_tanh_cell rnn_relu_cell", "RNN"),
        ("torch", "multi_head_attention_forward scaled_dot_product_attention", ATTENTION),
        ("torch", "linear", "Gemm"),
        ("torch", "embedding", "Gather"),
        ("torch", "softmax", "Softmax"),
        ("torch", "matmul bmm", "MatMul"),
        ("torch", "conv1d conv2d conv3d", "Conv"),
        ("torch", "conv_transpose1d conv_transpose2d conv_transpose3d", "ConvTranspose"),
        ("torch", "view dropout log mm einsum relu", ""),
        ("tflite", "CONV_2D DEPTHWISE_CONV_2D", "Conv"),
        ("tflite", "FULLY_CONNECTED", "Gemm"),
        ("tflite", "TRANSPOSE_CONV", "ConvTranspose"),
        ("tflite", "UNIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM"),
        ("tflite", "UNIDIRECTIONAL_SEQUENCE_RNN", "RNN"),
        ("tflite", "TOPK_V2", ""),
    ],
)
def test_other_formats_operators_have_names_in_onnx(language: Language, names: str, onnx: str) -> None:
    assert {onnx_name(language, name) for name in names.split()} == {onnx}


@pytest.mark.parametrize("language", ["onnx", "tflite", "aten", "torch"])
def test_a_name_stands_once_for_a_kind(language: Language) -> None:
    rows = [(kind.name, name) for kind in KINDS for name in kind.names(language)]

    assert len(rows) == len(set(rows))

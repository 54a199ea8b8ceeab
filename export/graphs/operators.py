"""What an operator is: one row for each kind, with its names in every format and what it does to values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from functools import cache
from typing import Final, Literal

from edgekit.core.recipe import ATTENTION

# Whose names: operators of a file, what PyTorch dispatches to (aten), or the functions that modules call (torch).
Language = Literal["onnx", "tflite", "aten", "torch"]

QUANTIZE: Final = "QuantizeLinear"
DEQUANTIZE: Final = "DequantizeLinear"


class Trait(Flag):
    """What is true of a kind of operator."""

    MOVES = auto()  # Gives every value as it was, in another layout or type.
    REPEATS = auto()  # Gives every value as it was, some several times.
    TAKES = auto()  # Gives some of the values as they were.
    PICKS = auto()  # Gives a part of what it reads, or the small rest of large values.
    SIZES = auto()  # Gives shapes.
    BORDER = auto()  # Stores values in another precision.
    PART = auto()  # Gives integers that mean nothing before they are scaled, or scales.
    PASSES = auto()  # May lie between attention weights and their product with the values.
    ATTENDS = auto()  # May be that product.
    FIXED_RANGE = auto()  # Its range is known beforehand, whatever the samples use of it.
    SHARED_SCALE = auto()  # All its tensors have one scale, which need not suit each.
    LAYER = auto()  # Has weights.
    MATRICES = auto()  # Multiplies two matrices, of which one may be weights.
    CONVOLVES = auto()  # Its multiplications are counted as those of a convolution,
    MULTIPLIES = auto()  # of a matrix product,
    RECURS = auto()  # or of one step after the other.
    INTEGERS = auto()  # Multiplies integers, whatever its inputs are.
    LOGARITHM = auto()
    LASTS = auto()  # No exporter folds it into a neighbour without writing so into its operator.


@dataclass(frozen=True)
class OperatorKind:
    """One kind of operator: its names in each language, apart by spaces, and its traits.

    The first name in `onnx` is the one that operators of other languages are called by. Two rows of one kind differ in
    their traits.
    """

    name: str
    traits: Trait
    onnx: str = ""
    tflite: str = ""
    aten: str = ""
    torch: str = ""

    def names(self, language: Language) -> tuple[str, ...]:
        """What `language` calls it."""
        return tuple(str(getattr(self, language)).split())


_MOVES: Final = Trait.MOVES
_CARRIES: Final = Trait.MOVES | Trait.PASSES
_TAKES: Final = Trait.TAKES | Trait.PICKS
_CONV: Final = Trait.CONVOLVES | Trait.LASTS
_DENSE: Final = Trait.MULTIPLIES | Trait.LASTS
_PRODUCT: Final = _DENSE | Trait.MATRICES | Trait.ATTENDS
_RECURRENT: Final = Trait.RECURS | Trait.LASTS
_BOUNDED: Final = Trait.FIXED_RANGE | Trait.LASTS
_NONE: Final = Trait(0)

_ATEN_CONV: Final = "convolution _convolution mkldnn_convolution"
_ATEN_MEAN: Final = "avg_pool2d _adaptive_avg_pool2d"
_TFLITE_LSTM: Final = "UNIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_LSTM"
_TORCH_RNN: Final = "rnn_tanh rnn_relu rnn_tanh_cell rnn_relu_cell"
_TORCH_DECONV: Final = "conv_transpose1d conv_transpose2d conv_transpose3d"
_SHARED: Final = ("CONCATENATION", "PACK", "MAXIMUM", "MINIMUM", "SELECT_V2", "PADV2")

# Columns: kind, traits, and the names in onnx, tflite, aten and torch.
KINDS: Final = (
    # Layers and products.
    OperatorKind("conv", _CONV | Trait.LAYER, "Conv", "CONV_2D DEPTHWISE_CONV_2D", _ATEN_CONV, "conv1d conv2d conv3d"),
    OperatorKind("conv", _CONV, "FusedConv"),
    OperatorKind("conv", _CONV | Trait.PART | Trait.INTEGERS, "ConvInteger"),
    OperatorKind("qlinearconv", Trait.CONVOLVES | Trait.INTEGERS, "QLinearConv"),
    OperatorKind("deconv", Trait.LASTS, "ConvTranspose", "TRANSPOSE_CONV", torch=_TORCH_DECONV),
    OperatorKind("dense", _DENSE | Trait.LAYER, "Gemm", "FULLY_CONNECTED", "addmm", "linear"),
    OperatorKind("dense", _PRODUCT, "MatMul", "BATCH_MATMUL", "mm bmm baddbmm", "matmul bmm"),
    OperatorKind("dense", _DENSE | Trait.PART | Trait.INTEGERS, "MatMulInteger"),
    OperatorKind("dense", Trait.LASTS | Trait.INTEGERS, "DynamicQuantizeMatMul MatMulIntegerToFloat"),
    OperatorKind("qlinearmatmul", Trait.MULTIPLIES | Trait.INTEGERS, "QLinearMatMul"),
    OperatorKind("fusedgemm", Trait.MULTIPLIES, "FusedGemm"),
    OperatorKind("einsum", Trait.ATTENDS, "Einsum"),
    # Functions of PyTorch that ONNX writes as several operators.
    OperatorKind("attention", _NONE, ATTENTION, torch="multi_head_attention_forward scaled_dot_product_attention"),
    OperatorKind("product", Trait.ATTENDS, torch="__matmul__ baddbmm einsum mm"),
    OperatorKind("lstm", _RECURRENT | Trait.LAYER, "LSTM", _TFLITE_LSTM, "mkldnn_rnn_layer", "lstm lstm_cell"),
    OperatorKind("lstm", _RECURRENT | Trait.INTEGERS, "DynamicQuantizeLSTM"),
    OperatorKind("gru", _RECURRENT | Trait.LAYER, "GRU", torch="gru gru_cell"),
    OperatorKind("rnn", Trait.RECURS, "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", torch=_TORCH_RNN),
    # Functions of one tensor.
    OperatorKind("relu", Trait.LASTS, "Relu Clip FusedConv", "RELU RELU6", "relu relu_ hardtanh hardtanh_ clamp"),
    OperatorKind("sigmoid", _BOUNDED, "Sigmoid", "LOGISTIC", "sigmoid"),
    OperatorKind("tanh", _BOUNDED, "Tanh", "TANH", "tanh"),
    OperatorKind("softmax", _BOUNDED, "Softmax", "SOFTMAX", "_softmax", "softmax"),
    OperatorKind("maxpool", Trait.LASTS, "MaxPool", "MAX_POOL_2D", "max_pool2d_with_indices"),
    OperatorKind("mean", _NONE, "AveragePool GlobalAveragePool ReduceMean", "AVERAGE_POOL_2D MEAN", _ATEN_MEAN),
    OperatorKind("log", Trait.LOGARITHM, "Log", "LOG"),
    OperatorKind("logarithm", Trait.LOGARITHM, torch="log log10 log2 log1p"),
    # The same values elsewhere.
    OperatorKind("reshape", _CARRIES, "Reshape", "RESHAPE", "view _unsafe_view reshape _reshape_alias"),
    OperatorKind("flatten", _MOVES, "Flatten", "", "flatten unflatten"),
    OperatorKind("transpose", _CARRIES, "Transpose", "TRANSPOSE", "permute transpose t"),
    OperatorKind("squeeze", _CARRIES, "Squeeze", "SQUEEZE", "squeeze"),
    OperatorKind("unsqueeze", _MOVES, "Unsqueeze", "EXPAND_DIMS", "unsqueeze"),
    OperatorKind("cast", _CARRIES, "Cast", "CAST", "_to_copy"),
    OperatorKind("identity", _CARRIES, "Identity", "", "clone contiguous alias detach copy_ lift_fresh"),
    OperatorKind("dropout", _CARRIES, "Dropout"),
    OperatorKind("expand", Trait.REPEATS, "Expand", "BROADCAST_TO", "expand"),
    # Parts of the values, and small rests of large ones.
    OperatorKind("slice", _TAKES, "Slice", "SLICE", "slice"),
    OperatorKind("strided_slice", _TAKES, "", "STRIDED_SLICE"),
    OperatorKind("split", _TAKES, "Split", "SPLIT SPLIT_V UNPACK", "split"),
    OperatorKind("gather", _TAKES, "Gather GatherElements GatherND", "GATHER GATHER_ND", "gather", "embedding"),
    OperatorKind("select", Trait.PICKS, "", "SELECT", "select"),
    OperatorKind("add", Trait.PICKS, "Add", "ADD", "add"),
    OperatorKind("sub", Trait.PICKS, "Sub", "SUB", "sub"),
    OperatorKind("concat", Trait.PICKS, "Concat"),
    OperatorKind("pad", Trait.PICKS, "Pad", "PAD", "pad"),
    *(OperatorKind(name.lower(), Trait.SHARED_SCALE, "", name) for name in _SHARED),
    # What attention weights go through besides.
    OperatorKind("mul", Trait.PASSES, "Mul"),
    OperatorKind("where", Trait.PASSES, "Where"),
    OperatorKind(
        "passing", Trait.PASSES, torch="view reshape flatten squeeze unsqueeze transpose permute expand contiguous"
    ),
    OperatorKind(
        "passing", Trait.PASSES, torch="to type_as float half dropout masked_fill nan_to_num where mul __mul__"
    ),
    OperatorKind("passing", Trait.PASSES, torch="__getitem__"),
    # Precision and shapes.
    OperatorKind("quantize", Trait.BORDER, QUANTIZE, "QUANTIZE"),
    OperatorKind("dequantize", Trait.BORDER, DEQUANTIZE, "DEQUANTIZE"),
    OperatorKind("dynamicquantizelinear", Trait.PART, "DynamicQuantizeLinear"),
    OperatorKind("shape", Trait.SIZES, "Shape", "SHAPE"),
    OperatorKind("size", Trait.SIZES, "Size"),
)


def named(language: Language, traits: Trait) -> frozenset[str]:
    """What `language` calls the operators that have one of `traits`."""
    return frozenset(name for kind in KINDS if kind.traits & traits for name in kind.names(language))


def kinds_with(traits: Trait) -> frozenset[str]:
    """The kinds that have one of `traits`."""
    return frozenset(kind.name for kind in KINDS if kind.traits & traits)


def kinds_of(language: Language, name: str) -> frozenset[str]:
    """The kinds that `language` calls `name`: one, or those that are fused in it; its own name where none is known."""
    return _kinds(language).get(name, frozenset({name.lower()}))


def onnx_name(language: Language, name: str) -> str:
    """What ONNX calls the operator that `language` calls `name`; nothing where the table does not say."""
    return _onnx_names(language).get(name, "")


@cache
def _kinds(language: Language) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for kind in KINDS:
        for name in kind.names(language):
            found[name] = found.get(name, frozenset()) | {kind.name}
    return found


@cache
def _onnx_names(language: Language) -> dict[str, str]:
    return {name: kind.onnx.split()[0] for kind in KINDS if kind.onnx for name in kind.names(language)}

"""ModelSpec: what a model takes and returns, without importing the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

import msgspec

from edgekit.core.errors import UserError, unknown

Axis = int | str
"""A size, or the name of a dynamic axis such as `N` (batch) or `T` (time)."""

DTYPES: Final = (
    "float32",
    "float16",
    "float64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
    "str",
)
_INPUT = re.compile(r"(?P<name>[A-Za-z_][\w.]*):(?P<dtype>\w+)\[(?P<shape>[^\]]*)\]")
_AXIS_NAME = re.compile(r"[A-Za-z_]\w*")
_SIZE = re.compile(r"0*[1-9][0-9]{0,8}")
# Files from elsewhere have axes such as `x:0.1`.
_SIZES = re.compile(rf"(?P<axis>[^=,\s\d][^=,\s]*)=(?P<sizes>{_SIZE.pattern}(?:,{_SIZE.pattern})*)")


# Names of axes that mean something where the order of the axes does not say it: the batch, and time.
BATCH: Final = "N"
_TIME: Final = "T"


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of a model.

    `shape` names its dynamic axes; a first axis that is dynamic is the batch, in `[T,N,F]` the second one. `low` and
    `high` bound the values; `padding` is the value that a dynamic axis is padded with, null if padding would change the
    outputs.
    """

    name: str
    dtype: str
    shape: tuple[Axis, ...]
    low: float | None = None
    high: float | None = None
    padding: float | None = None

    @classmethod
    def parse(cls, text: str) -> TensorSpec:
        """A tensor from text such as `x:float32[N,1,28,28]`.

        Raises:
            UserError: A wrong format, an unknown dtype, or a size below 1.
        """
        match = _INPUT.fullmatch(text.replace(" ", ""))
        if match is None:
            raise UserError(f"'{text}' is not NAME:DTYPE[SHAPE].", hint="--input 'x:float32[N,1,28,28]'")
        if match["dtype"] not in DTYPES:
            raise unknown("dtype", match["dtype"], DTYPES)
        parts = match["shape"].split(",") if match["shape"] else []
        return cls(match["name"], match["dtype"], tuple(_axis(part, text) for part in parts))

    @property
    def free_axes(self) -> tuple[str, ...]:
        """Names of the dynamic axes in order."""
        return tuple(axis for axis in self.shape if isinstance(axis, str))

    def concrete(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with the sizes of its dynamic axes taken from `sizes`."""
        return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in self.shape)

    def __str__(self) -> str:
        return f"{self.name}:{self.dtype}[{','.join(map(str, self.shape))}]"


Interpolation = Literal["bilinear", "bicubic", "nearest", "box", "hamming", "lanczos"]
Color = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]


class ImageInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="image"):
    """How an image file becomes the model's input: resized, cut, divided by `divisor`, then `(x - mean) / std`.

    `resize` is the size before the centre of `height` x `width` is cut out: one number for the shorter side, or height
    and width; if empty, the whole image gets `height` x `width`. `mean` and `std` are per channel, in the order of
    `color`. `invert` is for models trained on light strokes over a dark ground, such as handwritten digits.
    """

    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    invert: bool = False
    resize: tuple[int, ...] = ()
    interpolation: Interpolation = "bilinear"
    divisor: float = 255.0
    color: Color = "rgb"
    layout: Layout = "nchw"

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one input, without the batch axis."""
        if self.layout == "nhwc":
            return self.height, self.width, self.channels
        return self.channels, self.height, self.width


class ArrayInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="array"):
    """The input is a .npy or .npz file that contains the tensor unchanged."""


class AudioInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="audio"):
    """The input is a mono wav file at `rate` hertz, scaled to -1..1 and cut or filled with zeros to `length` values."""

    rate: int
    length: int


class TextInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text"):
    """The input is a sentence in lower case, split into words and punctuation; a token is its index in `vocabulary`.

    Index 0 is padding, index 1 any unknown word; at most `length` tokens are used. If `end` is set, it is added as the
    last token. A network that generates text gets what it has written so far as the input `written`, which starts with
    the token `begin`.
    """

    vocabulary: tuple[str, ...]
    length: int
    end: int | None = None
    written: str = ""
    begin: int | None = None


class SeriesInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="series"):
    """The input is the last `rows` rows of a csv file, its `columns` in this order, in their own units."""

    columns: tuple[str, ...]
    rows: int


Preprocessing = ImageInput | AudioInput | TextInput | SeriesInput | ArrayInput


class TextOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text"):
    """The output contains a score for each index of `vocabulary`; the text ends with the token `end`."""

    vocabulary: tuple[str, ...]
    end: int
    length: int


class SeriesOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="series"):
    """The output is a curve of the column `name`, one value every `step_s` seconds."""

    name: str
    step_s: float


class ImageOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="image"):
    """The output is an image, CHW, with values from `low` (black) to `high` (white)."""

    low: float = 0.0
    high: float = 1.0


Corners = Literal["xyxy", "yxyx", "cxcywh"]
Unit = Literal["pixels", "share"]


class DetectionOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="detection"):
    """The outputs contain candidates for objects: a box and scores for each, before overlapping ones are removed.

    `boxes` and `scores` name the outputs (N, A, 4) and (N, A, K); in one output of both, scores follow the boxes.
    `channels_first`: the axes are (N, 4, A) and (N, K, A). `corners` is the order of a box: two corners, or the centre
    and the size; `unit` is a pixel of the input, or a share of its size. `objectness`: the first score is that of any
    object, and multiplies those of the classes. `background`: the first class is none. `logits`: scores are the inputs
    of a sigmoid, with `background` of a softmax. A candidate is shown from a score of `threshold` on, if it overlaps no
    better one of its class by more than `overlap`, at most `most` in all.
    """

    boxes: str
    scores: str
    corners: Corners = "xyxy"
    unit: Unit = "pixels"
    channels_first: bool = False
    objectness: bool = False
    background: bool = False
    logits: bool = False
    threshold: float = 0.25
    overlap: float = 0.5
    most: int = 100


Postprocessing = TextOutput | SeriesOutput | ImageOutput | DetectionOutput


class MetricTraits(NamedTuple):
    """What is known of a metric: the unit it is printed in, and which direction is better.

    `unit` is `ratio` for shares and `1` for numbers. `by_sample` is the `package.module:function` that gives one value
    per sample, as in `core/statistics/by_sample.py`. `over_all` is that of a metric of all samples together, as in
    `detection.py`. Both are empty for a metric that only the model itself computes.
    """

    unit: str
    higher_is_better: bool
    by_sample: str = ""
    over_all: str = ""


_HERE: Final = "edgekit.core.statistics.by_sample"
# A new metric is one row here and, where it has a value per sample, one function.
MODEL_METRICS: Final = {
    "accuracy": MetricTraits("ratio", True, f"{_HERE}:correct"),
    # Of all pairs of one positive and one negative sample, the share that is ranked correctly.
    "auc": MetricTraits("ratio", True),
    "bleu": MetricTraits("1", True),
    # Mean average precision at an overlap of 0.5, and over 0.5 to 0.95 in steps of 0.05.
    "map50": MetricTraits("ratio", True, over_all="edgekit.runtime.detection:map50"),
    "map": MetricTraits("ratio", True, over_all="edgekit.runtime.detection:map_of_all_overlaps"),
    "mae": MetricTraits("1", False, f"{_HERE}:absolute_error"),
    "mse": MetricTraits("1", False, f"{_HERE}:squared_error"),
    "sure": MetricTraits("ratio", True),
}


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The quality metric of a model: a row of `MODEL_METRICS`, or a number of its own of which higher is better."""

    name: str
    floor: float | None = None

    @property
    def higher_is_better(self) -> bool:
        """True for metrics such as accuracy, False for errors."""
        return metric_traits(self.name).higher_is_better

    def is_met_by(self, value: float | None) -> bool:
        """Whether `value` reaches the floor; always without a floor, never without a value."""
        if self.floor is None or value is None:
            return self.floor is None
        return value >= self.floor if self.higher_is_better else value <= self.floor


def metric_traits(name: str) -> MetricTraits:
    """The row of a metric; a number of which higher is better for a name that has none."""
    return MODEL_METRICS.get(name, MetricTraits("1", True))


def metric_unit(name: str) -> str:
    """The unit a metric is printed in: `ratio` for shares, `1` for numbers."""
    return metric_traits(name).unit


def drop_unit(name: str) -> str:
    """The unit a drop of a metric is printed in: points of shares, else that of the metric."""
    return "points" if metric_unit(name) == "ratio" else "1"


UNTRAINED: Final = "weights: random initialisation, so accuracy is not judged; --weights FILE gives trained ones"


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name, task, tensors, pre-processing and quality of one model.

    `sizes` lists the sizes of each dynamic axis for which formats with fixed shapes are exported; without it, an axis
    has size 1. `labels` are class names in index order; `postprocessing` is for outputs other than class scores.
    `states` are the inputs of a streaming model by the output from which each continues in the next part of the stream.
    `is_untrained`: its weights are a random initialisation, so that its quality says nothing.
    """

    name: str
    task: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...] = ()
    summary: str = ""
    sizes: dict[str, tuple[int, ...]] = {}
    labels: tuple[str, ...] = ()
    preprocessing: Preprocessing = ArrayInput()
    postprocessing: Postprocessing | None = None
    metric: Metric | None = None
    licence: str = ""
    states: dict[str, str] = {}
    is_untrained: bool = False

    @property
    def caveat(self) -> str:
        """What every report must say of the weights; empty if nothing."""
        return UNTRAINED if self.is_untrained else ""

    @property
    def free_axes(self) -> tuple[str, ...]:
        """Every dynamic axis of the inputs, each once, in order of appearance."""
        return tuple(dict.fromkeys(axis for tensor in self.inputs for axis in tensor.free_axes))

    @property
    def batch_axis(self) -> str | None:
        """The first axis of every input if it is dynamic and the same, else None: the batch size is then 1.

        None as well if that axis is time, in `[T,N,F]`. With `N` elsewhere samples are passed one at a time.
        """
        first = {tensor.shape[0] if tensor.shape else None for tensor in self.inputs}
        axis = next(iter(first)) if len(first) == 1 else None
        is_time = axis == _TIME and BATCH in self.free_axes
        return axis if isinstance(axis, str) and not is_time else None

    @property
    def unsized_axes(self) -> tuple[str, ...]:
        """Dynamic axes without a size in `sizes`, except the batch: the first axis of an input, or `N`."""
        is_named = self.batch_axis is None and BATCH in self.free_axes
        first = {BATCH} if is_named else {tensor.shape[0] for tensor in self.inputs if tensor.shape}
        return tuple(axis for axis in self.free_axes if axis not in first and axis not in self.sizes)

    def batch_place(self, output: TensorSpec) -> int | None:
        """Where an output has its batch axis; None for one that has a value per call instead of per sample."""
        axis = self.batch_axis
        return output.shape.index(axis) if axis is not None and output.shape.count(axis) == 1 else None

    @property
    def is_splittable(self) -> bool:
        """Whether a batch may run in parts: each output has its rows on one axis."""
        return all(self.batch_place(output) is not None for output in self.outputs)

    def sizes_of(self, axis: str) -> tuple[int, ...]:
        """The sizes for which a format with fixed shapes is exported, ascending."""
        return tuple(sorted(set(self.sizes.get(axis, (1,)))))

    def input(self, name: str) -> TensorSpec:
        """The input called `name`."""
        return next(tensor for tensor in self.inputs if tensor.name == name)

    def refuse_unknown_states(self) -> None:
        """Raise for a state that is not an output of the model, or not an input; outputs that are not known pass.

        Raises:
            UserError: The nearest right name is suggested.
        """
        inputs, outputs = ([tensor.name for tensor in tensors] for tensors in (self.inputs, self.outputs))
        for output, name in self.states.items():
            if outputs and output not in outputs:
                raise unknown("output", output, outputs)
            if name not in inputs:
                raise unknown("input", name, inputs)


def parse_sizes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Sizes per dynamic axis from texts such as `T=32,64`; sizes of the same axis are merged.

    Raises:
        UserError: The format is wrong, or a size is 0.
    """
    sizes: dict[str, set[int]] = {}
    for text in texts:
        match = _SIZES.fullmatch(text.replace(" ", ""))
        if match is None:
            raise UserError(f"'{text}' is not AXIS=SIZE,SIZE.", hint="--sizes T=32,64")
        sizes.setdefault(match["axis"], set()).update(int(size) for size in match["sizes"].split(","))
    return {axis: tuple(sorted(found)) for axis, found in sizes.items()}


def parse_states(texts: Iterable[str]) -> dict[str, str]:
    """Inputs by output from texts such as `stateN=state`.

    Raises:
        UserError: The format is wrong.
    """
    pairs = [text.partition("=") for text in texts]
    for output, sign, name in pairs:
        if not (output and sign and name):
            raise UserError(f"'{output}{sign}{name}' is not OUTPUT=INPUT.", hint="--state stateN=state")
    return {output: name for output, _, name in pairs}


def _axis(part: str, text: str) -> Axis:
    if _SIZE.fullmatch(part):
        return int(part)
    if _AXIS_NAME.fullmatch(part):
        return part
    raise UserError(f"'{part}' in '{text}' is neither a size of at least 1 nor the name of a dynamic axis.")

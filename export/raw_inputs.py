"""Raw inputs: uint8 images as (N, H, W, C) and int16 audio, with the preprocessing in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Samples
from edgekit.core.spec.input_kinds import AudioInput, ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.optional import need
from edgekit.runtime.preprocessing import WHITE, is_raw

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module, Tensor

SCORES: Final = "scores"
_FULL_SCALE: Final = 32768.0
# float32 arithmetic moves a value between two pixels by less than this share of one.
_ROUNDING: Final = 1e-3


class RawInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a module is wrapped: the preprocessing of its input, and whether its logits become scores that sum to 1."""

    how: ImageInput | AudioInput
    scores: bool


def raw_input_of(spec: ModelSpec) -> RawInput:
    """What `--with-preprocessing` adds to the graph.

    Raises:
        UserError: The input of this model is neither an image nor audio.
    """
    how = spec.preprocessing
    if not isinstance(how, (ImageInput, AudioInput)) or len(spec.inputs) != 1:
        raise UserError(
            f"'{spec.name}' does not say that its input is an image or audio; preprocessing needs one of them.",
            hint="Leave --with-preprocessing out.",
        )
    return RawInput(how, spec.task == "classification")


def raw_spec(spec: ModelSpec) -> ModelSpec:
    """The spec of the module with its preprocessing; the batch axis and the name of the input remain."""
    raw = raw_input_of(spec)
    (tensor,) = spec.inputs
    if isinstance(raw.how, ImageInput):
        shape = (tensor.shape[0], raw.how.height, raw.how.width, raw.how.channels)
        given = TensorSpec(tensor.name, "uint8", shape, 0.0, WHITE)
    else:
        given = TensorSpec(tensor.name, "int16", tensor.shape, -_FULL_SCALE, _FULL_SCALE - 1)
    outputs = spec.outputs
    if raw.scores and outputs:
        outputs = (msgspec.structs.replace(outputs[0], name=SCORES, low=0.0, high=1.0), *outputs[1:])
    return msgspec.structs.replace(spec, inputs=(given,), outputs=outputs)


def raw_samples(samples: Samples, spec: ModelSpec) -> tuple[Samples, float]:
    """`samples` as they were before the preprocessing of `spec`, and the largest change by rounding, in steps."""
    (tensor,) = spec.inputs
    raw = raw_input_of(spec)
    exact = _before(samples.inputs[tensor.name], raw.how)
    limits = np.iinfo(np.uint8 if isinstance(raw.how, ImageInput) else np.int16)
    whole = np.rint(exact).clip(limits.min, limits.max).astype(limits.dtype)
    change = float(np.abs(exact - whole).max(initial=0.0))
    return Samples({tensor.name: whole}, samples.labels, samples.targets), 0.0 if change < _ROUNDING else change


def layout_of(spec: ModelSpec) -> str:
    """`NCHW` or `NHWC` for image models, otherwise empty."""
    if is_raw(spec) and isinstance(spec.preprocessing, ImageInput):
        return "NHWC"
    if isinstance(spec.preprocessing, ImageInput):
        return spec.preprocessing.layout.upper()
    return "NCHW" if any(len(tensor.shape) == 4 for tensor in spec.inputs) else ""


def wrapped(module: Module, raw: RawInput) -> Module:
    """The torch module after its preprocessing; a classifier returns `scores`."""
    torch = need("torch", extra="export")

    class Raw(torch.nn.Module):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Raw values in, scores out."""

        def __init__(self) -> None:
            super().__init__()
            self.body = module
            if isinstance(raw.how, ImageInput):
                shape = (1, 1, 1, -1) if raw.how.layout == "nhwc" else (1, -1, 1, 1)
                self.register_buffer("mean", torch.tensor(raw.how.mean).reshape(shape), persistent=False)
                self.register_buffer("std", torch.tensor(raw.how.std).reshape(shape), persistent=False)

        def forward(self, given: Tensor) -> object:
            result = self.body(self._prepared(given.to(torch.float32)))
            return {SCORES: torch.softmax(result, dim=-1)} if raw.scores else result

        def _prepared(self, value: Tensor) -> Tensor:
            if isinstance(raw.how, AudioInput):
                return value / _FULL_SCALE
            ordered = value.flip(3) if raw.how.color == "bgr" else value
            placed = ordered if raw.how.layout == "nhwc" else ordered.permute(0, 3, 1, 2)
            scaled = placed / raw.how.divisor
            white = WHITE / raw.how.divisor
            prepared: Tensor = ((white - scaled if raw.how.invert else scaled) - self.mean) / self.std
            return prepared

    made: Module = Raw()
    return made.eval().requires_grad_(False)


def _before(values: Array, how: ImageInput | AudioInput) -> Array:
    value = np.asarray(values, np.float64)
    if isinstance(how, AudioInput):
        return np.asarray(value * _FULL_SCALE)
    placed = value if how.layout == "nhwc" else value.transpose(0, 2, 3, 1)
    scaled = placed * np.asarray(how.std) + np.asarray(how.mean)
    ordered = scaled[..., ::-1] if how.color == "bgr" else scaled
    return np.asarray((WHITE / how.divisor - ordered if how.invert else ordered) * how.divisor)

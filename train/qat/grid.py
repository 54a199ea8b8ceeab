"""The steps of int8 in training: what rounds to them, and learns how wide they are."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

# Steps between the smallest and the largest of 256 numbers, and the largest number of a weight.
STEPS: Final = 255
LARGEST: Final = 127
# Shares of an observed range that are tried as a range: a few large values may cost all others their digits.
_SHARES: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
# Values that are kept of one tensor while it is observed.
_KEPT: Final = 1 << 16
# Bits of a scale. With 16, a scale times a number of 8 bits has 24, which float32 holds: a converter that computes the
# scale from the ends of the range finds it again, to the bit, in whatever order it computes.
_BITS: Final = 16
# The scale of a channel whose weights are all zero; without one the formats would make up different ones.
_SMALLEST: Final = 2.0**-29


def coarse(scale: Tensor) -> Tensor:
    """The nearest scale with 16 bits; gradients pass unchanged."""
    mantissa, exponent = torch.frexp(scale.detach())
    steps = 2.0**_BITS
    return scale + (torch.ldexp(torch.round(mantissa * steps) / steps, exponent) - scale).detach()


def rounded(value: Tensor) -> Tensor:
    """The nearest whole numbers; gradients pass unchanged (straight-through estimator, Bengio 2013)."""
    return value + (torch.round(value) - value).detach()


class SteppedLayer(nn.Module):
    """A layer that computes with weights on 255 equal steps around zero for each output channel."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, value: Tensor) -> Tensor:
        """What the layer computes with those weights."""
        return torch.func.functional_call(self.layer, {"weight": on_steps(self._weight())}, (value,))

    def settled(self) -> nn.Module:
        """The layer alone, its weights on the steps."""
        weight = self._weight()
        with torch.no_grad():
            weight.copy_(on_steps(weight))
            # One tiny weight for a channel without any, so that it has a scale that both formats compute.
            weight.flatten(1)[weight.flatten(1).abs().amax(1) == 0, 0] = LARGEST * _SMALLEST
        return self.layer

    def _weight(self) -> Tensor:
        return self.layer.get_parameter("weight")


def on_steps(weight: Tensor) -> Tensor:
    """Weights (C, ...) rounded to steps, the largest of a channel being 127 of them."""
    largest = weight.detach().abs().flatten(1).amax(1).clamp(min=LARGEST * _SMALLEST)
    scale = coarse(largest / LARGEST).reshape(-1, *[1] * (weight.dim() - 1))
    return rounded(weight / scale).clamp(-LARGEST, LARGEST) * scale


class LearnedRange(nn.Module):
    """Rounds a tensor to 256 steps between the ends of a range whose scale is learned (LSQ, Esser 2020).

    Args:
        positive: The range begins at zero, which makes it a ReLU as well.
        limit: The largest end of the range: 6 for a ReLU6.
    """

    def __init__(self, *, positive: bool = False, limit: float | None = None) -> None:
        super().__init__()
        self.positive, self.limit = positive, limit
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("zero_point", torch.zeros(()))
        self.seen: list[Tensor] | None = None

    def forward(self, value: Tensor) -> Tensor:
        """The rounded tensor; while it observes, the tensor itself."""
        if self.seen is not None:
            value = value.clamp(0 if self.positive else None, self.limit) if self.positive or self.limit else value
            self.seen.append(value.detach().flatten())
            return value
        scale = self.scale()
        if self.training:
            # The gradient of a scale sums over the tensor; this keeps it as large as that of one weight.
            share = (value.numel() / len(value) * STEPS) ** -0.5
            scale = scale * share + (scale * (1 - share)).detach()
        return _onto(value, scale, self.zero_point)

    def scale(self) -> Tensor:
        """The step, with 16 bits; `limit` is not exceeded."""
        scale = coarse(torch.exp(self.log_scale))
        if self.limit is None:
            return scale
        largest = coarse(torch.tensor(self.limit / STEPS * (1 - 2.0**-_BITS)))
        return torch.minimum(scale, largest)

    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value that it lets pass."""
        scale, zero = self.scale().item(), self.zero_point.item()
        return -zero * scale, (STEPS - zero) * scale

    def settle(self) -> None:
        """Take the range that leaves the smallest squared error in what was observed."""
        if not self.seen:
            raise ValueError("Nothing was observed.")
        whole = torch.cat(self.seen)
        values = whole[:: max(1, len(whole) // _KEPT)]
        low, high = min(float(whole.min()), 0.0), max(float(whole.max()), 0.0)
        self.seen = None
        tried = [_range(low * share, high * share) for share in _SHARES]
        errors = [float((_onto(values, scale, zero) - values).square().mean()) for scale, zero in tried]
        scale, zero = tried[errors.index(min(errors))]
        with torch.no_grad():
            self.log_scale.copy_(scale.log())
            self.zero_point.copy_(zero)


def _range(low: float, high: float) -> tuple[Tensor, Tensor]:
    """The scale and the zero point of a range that contains zero."""
    scale = coarse(torch.tensor(max((high - low) / STEPS, _SMALLEST)))
    return scale, torch.round(-low / scale).clamp(0, STEPS)


def _onto(value: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    return ((rounded(value / scale) + zero).clamp(0, STEPS) - zero) * scale


class Saturation(nn.Module):
    """Keeps a tensor between the ends of a learned range: what a float file holds of the range.

    The quantizers of both formats find it in the graph, remove it and quantize its tensor with that range.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("ends", torch.tensor([low, high]))
        self.register_load_state_dict_post_hook(Saturation._read)
        self._low, self._high = low, high

    def forward(self, value: Tensor) -> Tensor:
        """The tensor, no value below or above the range."""
        # As plain numbers: a converter writes one operator with constants.
        return torch.clamp(value, self._low, self._high)

    def _read(self, *_: Any) -> None:
        low, high = self.get_buffer("ends").tolist()
        self._low, self._high = float(low), float(high)

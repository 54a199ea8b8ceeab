"""From a network to one that trains as its int8 files compute, and from there to one that both formats export alike."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from edgekit.core.errors import UserError
from edgekit.train.qat.grid import LearnedRange, Saturation, SteppedLayer
from edgekit.train.qat.points import LAYERS, NORMS, LayerTracer, Places, RangePoint

_RANGES: Final = "ranges"
Example: TypeAlias = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


class FrozenNorm(nn.Module):
    """A batch norm that no layer takes in: it keeps the statistics that it has."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, value: Tensor) -> Tensor:
        """The normalized tensor, in training as well."""
        own = self.norm
        return nn.functional.batch_norm(
            value, own.running_mean, own.running_var, own.weight, own.bias, False, 0, own.eps
        )


def prepare(module: nn.Module, example: Example) -> fx.GraphModule:
    """A copy of `module` that computes with the rounding of int8, ready to be trained further.

    Batch norms become part of the layers before them, as in the exported files. Weights round to 255 steps per output
    channel, tensors to 256 steps of a range; the scales of the ranges are parameters, and are learned. Ranges begin
    where they leave the smallest squared error on `example`.

    Args:
        module: A trained network of `Conv1d`, `Conv2d` and `Linear` layers.
        example: Real inputs, as the module takes them: a tensor (N, ...), several in order, or several by name. 64
            rows or more.

    Raises:
        UserError: The network cannot be traced, or has no layer that could be quantized.
    """
    own = copy.deepcopy(module).cpu().eval()
    whole = _traced(own)
    _fold(whole)
    _insert_ranges(whole)
    _observe(whole, example)
    for name, part in list(whole.named_modules()):
        if isinstance(part, LAYERS):
            whole.set_submodule(name, SteppedLayer(part))
    return whole.train()


def convert(prepared: fx.GraphModule) -> fx.GraphModule:
    """The trained network as float32, for `edgekit export`: weights on their steps, ranges as limits of tensors.

    Both formats store the scales that were learned, bit for bit. The argument is not changed.

    Raises:
        UserError: It was not made by `prepare`.
    """
    if not isinstance(prepared, fx.GraphModule) or not hasattr(prepared, _RANGES):
        raise UserError("Only a network made by edgekit.qat.prepare can be converted.")
    whole = copy.deepcopy(prepared).eval()
    for name, part in list(whole.named_modules()):
        if isinstance(part, SteppedLayer):
            whole.set_submodule(name, part.settled())
        elif isinstance(part, LearnedRange):
            whole.set_submodule(name, Saturation(*part.ends()))
    return whole.requires_grad_(False)


def _traced(module: nn.Module) -> fx.GraphModule:
    try:
        graph = LayerTracer().trace(module)
    except Exception as err:  # whatever the user's forward does with a symbol
        raise UserError(
            f"The network cannot be traced by torch.fx: {err}",
            hint="Move code that depends on values or shapes into a module without layers.",
        ) from err
    return fx.GraphModule(module, graph)


def _fold(whole: fx.GraphModule) -> None:
    """Take every batch norm into the layer before it; others keep their statistics."""
    places = Places(whole)
    for node in places.nodes:
        norm = places.module(node)
        if not isinstance(norm, NORMS):
            continue
        layer_node = node.all_input_nodes[0]
        layer = places.module(layer_node)
        if isinstance(layer, LAYERS) and len(layer_node.users) == 1:
            fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
            whole.set_submodule(str(layer_node.target), fuse(layer, norm))
            node.replace_all_uses_with(layer_node)
            whole.graph.erase_node(node)
        else:
            whole.set_submodule(str(node.target), FrozenNorm(norm))
    whole.delete_all_unused_submodules()
    whole.recompile()


def _insert_ranges(whole: fx.GraphModule) -> None:
    points = list(Places(whole).points())
    if not points:
        kinds = ", ".join(kind.__name__ for kind in LAYERS)
        raise UserError(f"The network has no layer that could be quantized: {kinds}.")
    whole.add_module(_RANGES, nn.ModuleDict())
    for point in points:
        _insert(whole, point)
    whole.delete_all_unused_submodules()
    whole.recompile()


def _insert(whole: fx.GraphModule, point: RangePoint) -> None:
    """A range after a tensor, or in the place of a rectifier."""
    node, ranges = point.node, whole.get_submodule(_RANGES)
    assert isinstance(ranges, nn.ModuleDict)
    ranges[node.name] = LearnedRange(positive=point.positive, limit=point.limit)
    with whole.graph.inserting_after(node):
        made = whole.graph.call_module(f"{_RANGES}.{node.name}", (node,))
    node.replace_all_uses_with(made, delete_user_cb=lambda user: user is not made)
    if point.positive:
        made.args = (node.all_input_nodes[0],)
        whole.graph.erase_node(node)


def _observe(whole: fx.GraphModule, example: Example) -> None:
    """Let every range see the example."""
    ranges = [one for one in whole.modules() if isinstance(one, LearnedRange)]
    for one in ranges:
        one.seen = []
    given = (example,) if isinstance(example, Tensor) else example
    with torch.no_grad():
        _ = whole(**given) if isinstance(given, Mapping) else whole(*given)
    for one in ranges:
        one.settle()

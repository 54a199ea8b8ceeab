"""Where a network is quantized: the places in its graph after which a tensor has a range."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional as F

LAYERS: Final = (nn.Conv1d, nn.Conv2d, nn.Linear)
NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d)
_RECTIFIERS: Final = {nn.ReLU: None, nn.ReLU6: 6.0}
_RECTIFYING: Final = {F.relu: None, torch.relu: None, F.relu6: 6.0, "relu": None, "relu_": None}
# What holds values of its input: the range stays.
_HOLDING_MODULES: Final = (nn.MaxPool1d, nn.MaxPool2d, nn.Flatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)
_HOLDING: Final = frozenset(
    (
        *(torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze, torch.unsqueeze),
        *(torch.max_pool2d, F.max_pool2d, F.max_pool1d, F.dropout),
        *("flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "contiguous"),
    )
)
_COMPUTING: Final = frozenset(
    (
        *(operator.add, operator.iadd, operator.mul, operator.sub, torch.add, torch.mul, torch.sub, torch.mean),
        *(F.adaptive_avg_pool2d, "add", "add_", "mul", "sub", "mean"),
    )
)
_COMPUTING_MODULES: Final = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool1d)


class LayerTracer(fx.Tracer):
    """Enters a module only if a layer with weights is inside: what has none stays whole, control flow included."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether the module becomes one node."""
        inside = any(isinstance(part, LAYERS + NORMS) for part in m.modules())
        return not inside or super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True)
class RangePoint:
    """A tensor that gets a range: the result of `node`; a rectifier becomes part of the range."""

    node: fx.Node
    positive: bool = False
    limit: float | None = None


class Places:
    """The nodes of a graph by what they do to a range."""

    def __init__(self, whole: fx.GraphModule) -> None:
        self._modules = dict(whole.named_modules())
        self.nodes = list(whole.graph.nodes)

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that a node calls."""
        return self._modules[str(node.target)] if node.op == "call_module" else None

    def is_layer(self, node: fx.Node) -> bool:
        """Whether it multiplies by weights."""
        return isinstance(self.module(node), LAYERS)

    def points(self) -> Iterator[RangePoint]:
        """Every tensor that gets a range, in order."""
        ranged: set[fx.Node] = set()
        for node in self.nodes:
            given = node.all_input_nodes
            if self._holds(node) and given and given[0] in ranged:
                ranged.add(node)
            if not (self.is_layer(node) or self._computes(node, ranged)):
                continue
            for point in [RangePoint(one) for one in given if one not in ranged and self._is_tensor(one)]:
                ranged.add(point.node)
                yield point
            made = self._after(node)
            ranged.add(made.node)
            yield made

    def _after(self, node: fx.Node) -> RangePoint:
        """The result of a layer, or of the rectifier that alone reads it."""
        users = list(node.users)
        limit = self._rectifier(users[0]) if len(users) == 1 else None
        return RangePoint(node) if limit is None else RangePoint(users[0], positive=True, limit=limit[0])

    def _rectifier(self, node: fx.Node) -> tuple[float | None] | None:
        module = self.module(node)
        for table, key in ((_RECTIFIERS, type(module)), (_RECTIFYING, node.target)):
            if key in table:
                return (table[key],)
        return None

    def _holds(self, node: fx.Node) -> bool:
        module = self.module(node)
        return isinstance(module, _HOLDING_MODULES) if module is not None else node.target in _HOLDING

    def _computes(self, node: fx.Node, ranged: set[fx.Node]) -> bool:
        """Whether it computes new values from tensors that layers made."""
        module = self.module(node)
        known = isinstance(module, _COMPUTING_MODULES) if module is not None else node.target in _COMPUTING
        return known and not ranged.isdisjoint(node.all_input_nodes)

    def _is_tensor(self, node: fx.Node) -> bool:
        return node.op in ("placeholder", "call_module", "call_function", "call_method") and not _is_size(node)


def _is_size(node: fx.Node) -> bool:
    target: Any = node.target
    return target in ("size", "dim") or target is getattr

"""Which functions a saved program may call: operators on tensors and arithmetic of sizes, by name."""

from __future__ import annotations

import functools
import re
from typing import Final

from edgekit.core.system.optional import need

_TENSORS: Final = re.compile(r"torch\.ops\.(aten|prims)\.(\w+)\.(\w+)", re.ASCII)
# These take the name of a file, print, or take objects that are not tensors.
_OTHER_EFFECTS: Final = ("from_file", "_print", "record_stream")
_SIZES: Final = frozenset(
    [
        *(f"_operator.{name}" for name in ("eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub")),
        *(f"_operator.{name}" for name in ("floordiv", "mod", "pow", "truediv", "and_", "or_", "lshift", "rshift")),
        *(f"torch.sym_{name}" for name in ("not", "int", "float", "ite", "max", "min", "sqrt")),
        "_operator.getitem",
        "math.trunc",
    ]
)
_CONTROL: Final = frozenset(
    f"torch.ops.higher_order.{name}"
    for name in (
        "associative_scan",
        "cond",
        "map",
        "map_impl",
        "out_dtype",
        "scan",
        "while_loop",
        "wrap_with_autocast",
        "wrap_with_set_grad_enabled",
    )
)


def is_operator(target: str) -> bool:
    """Whether `target` is an operator that torch.export writes and that does nothing but compute."""
    if target in _SIZES or target in _CONTROL:
        return True
    found = _TENSORS.fullmatch(target)
    if found is None or found[2] in _OTHER_EFFECTS:
        return False
    suffix = "" if found[3] == "default" else f".{found[3]}"
    return f"{found[1]}::{found[2]}{suffix}" in _dispatched()


@functools.cache
def _dispatched() -> frozenset[str]:
    """The operators on tensors. Those of TorchScript alone, such as `aten::save`, are not among them."""
    return frozenset(need("torch", extra="export")._C._dispatch_get_all_op_names())

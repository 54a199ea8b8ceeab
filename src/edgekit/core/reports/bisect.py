"""The document of `edgekit bisect`: where two artifacts start to differ, tensor by tensor."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.system.documents import Document

# 1: first version. 2: when it was made, tools and reproduction.
BISECT_SCHEMA: Final = 2


class Aligned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor that both graphs compute.

    `error` is the root mean square of the difference, as a share of that of A's tensor; `added` is the part of it that
    earlier tensors do not have. `value` is compared with `limit`: the largest absolute difference in units of the
    tensor's range for `difference`, decibels for `sqnr`. `module` is the part of the network that it comes from, if a
    graph names it; `weights` are the constants that its operator reads.
    """

    a: str
    b: str
    operator_a: str
    operator_b: str
    module: str
    error: float
    added: float
    kind: str
    value: float | None
    limit: float
    is_within: bool
    largest: float
    weights: tuple[str, ...] = ()


class RefusedOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first tensor that one side could not compute, and why."""

    side: str
    tensor: str
    operator: str
    reason: str
    weights: tuple[str, ...] = ()


class BisectReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two graphs on one case, aligned from the inputs to the outputs.

    `first` is the index in `aligned` of the first tensor out of tolerance, `most` that of the tensor that adds most
    error. `missing` are tensors that A computes right before `first` and B does not. `only_a` and `only_b` count the
    tensors without a counterpart in the other graph, which is normal: backends fuse operators. `narrow` are quantized
    tensors of B that use too small a share of their int8 values, with that share.
    """

    path: str
    a: str
    b: str
    case: str
    runs: int
    aligned: tuple[Aligned, ...]
    first: int | None = None
    most: int | None = None
    missing: tuple[str, ...] = ()
    refused: RefusedOperator | None = None
    narrow: dict[str, float] = {}
    only_a: int = 0
    only_b: int = 0
    created: str = ""
    tools: dict[str, str] = {}
    reproduction: Reproduction | None = None
    command: str = "bisect"
    schema_version: int = BISECT_SCHEMA

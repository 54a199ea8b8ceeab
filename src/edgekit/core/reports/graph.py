"""GraphFacts: what the graph of one artifact is made of."""

from __future__ import annotations

import msgspec


class TensorFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor; `is_weight` for constants of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    is_weight: bool


class GraphFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Operators by type, weights, and the work of one call at the smallest sizes of the free axes.

    `macs` are multiplications with weights or between tensors, as convolutions, products and recurrent layers do them.
    `quantized_share` is the share of the weights' bytes, had they 32 bits each, that is stored in 8 bits or fewer.
    `reason` says why nothing is known.
    """

    artifact: str
    operators: dict[str, int] = {}
    parameters: int | None = None
    macs: int | None = None
    weight_bytes: int | None = None
    quantized_share: float | None = None
    largest: tuple[TensorFacts, ...] = ()
    reason: str = ""


class Changed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weight that both files have under one name: the root mean square of the change, as a share of its size."""

    name: str
    change: float


class GraphDiff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two graphs side by side. `weights` are those with one name in both that differ, most changed first."""

    bundle: str
    a: GraphFacts
    b: GraphFacts
    size_a_bytes: int
    size_b_bytes: int
    weights: tuple[Changed, ...] = ()
    equal_weights: int = 0
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    command: str = "bundle diff"
    schema_version: int = 1

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

"""GraphFacts: the operators and weights of one artifact."""

from __future__ import annotations

import msgspec


class TensorFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor; `is_weight` is true for constants in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    is_weight: bool


class GraphFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Operators by type, weights, and the work of one call at the smallest sizes of the dynamic axes.

    `macs` are multiply-accumulate operations of convolutions, matrix products and recurrent layers. `quantized_share`
    is the share of the weights that is stored in 8 bits or fewer. `left_float` are the multiplications by weights that
    a quantized file makes in float, by operator. `opsets` are versions by set of operators, `signatures` the named ways
    to call the file. `reason` says why the graph could not be read.
    """

    artifact: str
    operators: dict[str, int] = {}
    parameters: int | None = None
    macs: int | None = None
    weight_bytes: int | None = None
    quantized_share: float | None = None
    largest: tuple[TensorFacts, ...] = ()
    reason: str = ""
    left_float: dict[str, int] = {}
    opsets: dict[str, int] = {}
    signatures: tuple[str, ...] = ()
    metadata: dict[str, str] = {}

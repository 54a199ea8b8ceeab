"""How much an artifact of each precision may differ from the reference. Needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Tolerance:
    """How much an artifact of one precision may differ from the reference.

    `difference` bounds the largest absolute difference, as a share of the output's range over all samples. Where it
    is None, `sqnr_db` is the least signal-to-noise ratio of an output instead, and `part_db` that of each part of an
    output of mixed scale. `agreement` is the least share of equal results: top-1 classes of quantized classifiers,
    and every value of integer outputs. Inputs that no sample has fail an artifact only from `gross_db` down.
    """

    difference: float | None
    sqnr_db: float
    part_db: float
    agreement: float
    gross_db: float


# The one table of tolerances: the same for every model, format and backend. A difference of 1e-4 of the range has at
# least 80 dB below a signal of full range, so the limits fall from float32 to int4.
TOLERANCES: Final = {
    "fp32": Tolerance(difference=1e-4, sqnr_db=80.0, part_db=80.0, agreement=0.999, gross_db=40.0),
    # 11 bits of mantissa leave 66 dB of one rounded tensor; deep networks lose some 20 dB of them.
    "fp16": Tolerance(difference=None, sqnr_db=40.0, part_db=40.0, agreement=0.98, gross_db=20.0),
    "int8": Tolerance(difference=None, sqnr_db=20.0, part_db=10.0, agreement=0.98, gross_db=0.0),
    # 15 steps over three standard deviations leave 18.8 dB of a weight; eight such layers in a row add their errors.
    "int4": Tolerance(difference=None, sqnr_db=18.8 - 9.0, part_db=5.0, agreement=0.95, gross_db=0.0),
}
# Of these, activations or weights have ranges that were calibrated: values that no sample has are out of their range.
QUANTIZED: Final = ("int8", "int4")
# How many times the reference's own deviation a correct artifact may differ: its own error and the reference's are of
# one size, and engines that add up in another order reach several times the error of PyTorch's blocked sums.
NOISE_FACTOR: Final = 10.0
# From this share of the range on, such noise leaves nothing to judge.
UNSTABLE: Final = 1e-2


def tolerance_of(precision: str) -> Tolerance:
    """The tolerance of a precision; a bare file does not state its own and must reach what every artifact must."""
    return TOLERANCES.get(precision, TOLERANCES["int8"])

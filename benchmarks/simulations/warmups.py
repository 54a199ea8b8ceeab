"""How often the end of a warm-up is found, on traces whose end is known: the table of docs/measuring.md.

    python -m benchmarks.simulations.warmups

The traces are those of tests/core/statistics/test_steady.py: 200 of each kind. The figure is that of the worst kind.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from benchmarks.figures.figure_rows import record
from tests.core.statistics.test_steady import traces

from edgekit.core.statistics.steady import warmup_end

KINDS: Final = ("exponential", "step", "ramp", "two tiers")
TRACES: Final = 200


def found_share(kind: str) -> float:
    """The share of traces, in per cent, whose end is found within a tenth."""
    found = [(warmup_end(list(trace)), end) for trace, end in traces(kind, TRACES, (500, 1000), seed=1)]
    return 100 * float(np.mean([got is not None and abs(got - end) <= max(1.0, 0.1 * end) for got, end in found]))


def main() -> None:
    shares = {kind: found_share(kind) for kind in KINDS}
    print("| kind | end found within 10 % |\n|---|---|")
    for kind, share in shares.items():
        print(f"| {kind} | {share:g} % |")
    record("warmup.found", min(shares.values()), **shares)


if __name__ == "__main__":
    main()

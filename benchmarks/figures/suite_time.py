"""How long the tests take: `make test-fast`, then `make test`, each as a whole on this machine.

    python -m benchmarks.figures.suite_time [--fast]        the fast tests alone

Figures are wall times: other programs on the machine lengthen them. A run with failures gives none.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.figures.figure_rows import ROOT, record


def seconds(target: str) -> float:
    """Wall seconds of a target of make.

    Raises:
        SystemExit: It failed.
    """
    begun = time.perf_counter()
    if code := subprocess.run(["make", target], cwd=ROOT, check=False).returncode:
        sys.exit(f"make {target} ended with {code}")
    return time.perf_counter() - begun


def main() -> None:
    record("tests.fast", seconds("test-fast"))
    if "--fast" not in sys.argv[1:]:
        record("tests.all", seconds("test") / 60)


if __name__ == "__main__":
    main()

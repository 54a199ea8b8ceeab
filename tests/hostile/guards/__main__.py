"""Removes each guard of docs/threat-model.md in a copy of the repository, and runs the test that must fail without it.

    python -m tests.hostile.guards [NAME ...]

Every row takes as long as its test: a few seconds, or a minute where a converter or an emulated device runs. It exits
with 1 if a test passes without its guard, or does not even start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.hostile.guards.guard import Guard
from tests.hostile.guards.rows import GUARDS

ROOT: Final = Path(__file__).resolve().parents[3]
_TESTS_FAILED: Final = 1
_TIMEOUT_S: Final = 900


def main(names: Sequence[str]) -> int:
    """Print a line per guard; 1 if a test does not fail without its guard."""
    chosen = [guard for guard in GUARDS if not names or guard.name in names]
    survived = []
    with _copy() as folder:
        for guard in chosen:
            code = _without(guard, folder)
            print(
                f"{guard.name:28} {'holds' if code == _TESTS_FAILED else f'SURVIVED ({code})'}  {guard.test}",
                flush=True,
            )
            survived += [guard.name] if code != _TESTS_FAILED else []
    print(f"{len(chosen) - len(survived)} of {len(chosen)} guards have a test that fails without them")
    return 1 if survived else 0


@contextmanager
def _copy() -> Iterator[Path]:
    """A copy of what git knows of the working tree, with its links."""
    with tempfile.TemporaryDirectory(prefix="guards-") as place:
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        packed = subprocess.run(
            ["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=names, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x"], cwd=place, input=packed.stdout, check=True)
        yield Path(place)


def _without(guard: Guard, folder: Path) -> int:
    """The exit code of pytest for the test of `guard` in `folder` while the guard is away."""
    file = folder / guard.file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(guard.old, guard.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", guard.test]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder / "src")},
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    finally:
        file.write_text(text, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Asks for known vulnerabilities of every package in constraints.txt; `make audit` calls it.

Usage: audit.py PIP_AUDIT

It exits with 0 if none is known but those in `EXCEPTIONS`, with 1 if there are others or an exception has ended, and
with 3 if the service cannot be reached, so that nothing is known.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent
# pip-audit asks for NAME/VERSION of each package. Mirrors of the index lack such pages: this one always has been there.
SERVICE: Final = "https://pypi.org/pypi/pip/24.0/json"
_TIMEOUT_S: Final = 20.0
_UNKNOWN: Final = 3


@dataclass(frozen=True)
class Accepted:
    """A vulnerability that may remain until a day, and why."""

    name: str
    reason: str
    until: date


EXCEPTIONS: Final[tuple[Accepted, ...]] = ()


def unreachable(address: str = SERVICE) -> str:
    """Why the service cannot be asked; empty if it replies."""
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S):  # noqa: S310 - a constant address
            return ""
    except urllib.error.HTTPError as err:
        return f"HTTP {err.code}"
    except OSError as err:
        return str(getattr(err, "reason", err))


def overdue(exceptions: tuple[Accepted, ...], today: date) -> list[str]:
    """What to say about the exceptions that have ended."""
    return [f"{one.name} was accepted until {one.until}: {one.reason}" for one in exceptions if one.until < today]


def main(pip_audit: str) -> int:
    """Run pip-audit; its exit code, or 3 without the service."""
    why = unreachable()
    if why:
        print(f"Nothing was audited: the vulnerability service '{SERVICE}' cannot be reached ({why}).", file=sys.stderr)
        print("Hint: run 'make audit' on a machine that reaches pypi.org itself, not a mirror.", file=sys.stderr)
        return _UNKNOWN
    late = overdue(EXCEPTIONS, date.today())
    for line in late:
        print(line, file=sys.stderr)
    accepted = [word for one in EXCEPTIONS for word in ("--ignore-vuln", one.name)]
    # --strict: a package about which nothing could be found out is a failure, not a pass.
    command = [pip_audit, "--strict", "--no-deps", "--disable-pip", *accepted, "--requirement", "constraints.txt"]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return 1 if late else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

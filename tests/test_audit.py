"""`make audit` never passes without having asked, nor with an exception that has ended."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import audit
import pytest


def test_without_the_service_it_says_so_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "unreachable", lambda: "HTTP 404")

    assert audit.main("/bin/true") == 3
    assert "Nothing was audited: the vulnerability service" in capsys.readouterr().err


def test_an_address_without_a_server_is_not_reached() -> None:
    assert "refused" in audit.unreachable("http://127.0.0.1:9/")


def test_an_exception_ends_on_its_day(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(audit, "unreachable", lambda: "")
    assert audit.main("/bin/true") == 0
    assert audit.main("/bin/false") == 1

    ended = audit.Accepted("GHSA-0000", "edgekit does not use it", date(2026, 12, 1))
    monkeypatch.setattr(audit, "EXCEPTIONS", (ended,))

    assert audit.overdue((ended,), date(2026, 12, 1)) == []
    assert audit.main("/bin/true") == 1
    assert "GHSA-0000 was accepted until 2026-12-01: edgekit does not use it" in capsys.readouterr().err


def test_it_needs_nothing_but_python(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({str(repository / 'audit.py')!r})"],
        check=False,
    )

    assert done.returncode == 0

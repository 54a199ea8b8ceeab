"""axe-core, which knows the rules of accessible pages: one script from npm, that the debugger runs in a page."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Final

from tests.standins.cache import Missing, built, required
from tests.standins.chromium import Page

from edgekit.core.errors import EnvironmentFault
from edgekit.core.system.fetch import fetch

VERSION: Final = "4.10.3"
_ADDRESS: Final = f"https://registry.npmjs.org/axe-core/-/axe-core-{VERSION}.tgz"
_SHA256: Final = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"
_SCRIPT: Final = "package/axe.min.js"
_RUN: Final = "axe.run().then(found => found.violations.map(one => `${one.id} (${one.impact}): ${one.nodes[0].html}`))"


def require_axe() -> str:
    """Its script; without it the test is skipped, or fails where CI wants it."""
    with required():
        return (built(f"axe-core-{VERSION}", _unpacked) / _SCRIPT).read_text()


def violations(page: Page, script: str) -> list[str]:
    """Every rule that a page violates, with the first element that does."""
    page.evaluate(f"{script};0")
    found: list[str] = page.evaluate(_RUN)
    return found


def _unpacked(folder: Path) -> None:
    archive = folder / "axe-core.tgz"
    try:
        fetch(_ADDRESS, archive, _SHA256)
    except EnvironmentFault as err:
        raise Missing(str(err)) from err
    with tarfile.open(archive) as opened:
        opened.extract(_SCRIPT, folder, filter="data")

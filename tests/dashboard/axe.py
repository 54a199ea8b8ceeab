"""axe-core, which knows the rules of accessible pages: one script from npm, that the debugger runs in a page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.standins.cache import Missing, built, required
from tests.standins.chromium import Page

from edgekit.core.errors import EnvironmentFault
from edgekit.devices.web.packages import Package, install

AXE: Final = Package(
    "axe",
    "axe-core",
    "4.10.3",
    "Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg==",
    """
880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb  axe.min.js
""",
)
_RUN: Final = "axe.run().then(found => found.violations.map(one => `${one.id} (${one.impact}): ${one.nodes[0].html}`))"


def require_axe() -> str:
    """Its script; without it the test is skipped, or fails where CI wants it."""
    with required():
        folder = built(f"{AXE.name}-{AXE.version}-npm", _install)
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page, script: str) -> list[str]:
    """Every rule that a page violates, with the first element that does."""
    page.evaluate(f"{script};0")
    found: list[str] = page.evaluate(_RUN)
    return found


def _install(folder: Path) -> None:
    try:
        install(AXE, folder / "package")
    except EnvironmentFault as err:
        raise Missing(str(err)) from err

"""Makes the pictures of docs/dashboard.md from a store with runs (needs Chromium).

edgekit build digits --record && edgekit profile digits-edgekit --record        several times
python -m benchmarks.dashboard.pictures STORE A B      write docs/pictures/dashboard-*.png; A and B are runs to compare
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.dashboard.__main__ import served
from PIL import Image

PICTURES: Final = Path(__file__).resolve().parents[2] / "docs" / "pictures"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
WIDTH: Final = 1100
COLOURS: Final = 128
MOST_BYTES: Final = 150_000


def main(arguments: Sequence[str]) -> None:
    """Write a picture of each page, and say how large it is."""
    store, a, b = arguments
    pages = {"overview": ("/", 620), "trends": ("/trends", 900), "compare": (f"/compare?a={a}&b={b}", 900)}
    with served(store) as url:
        for name, (page, height) in pages.items():
            picture = PICTURES / f"dashboard-{name}.png"
            photograph(url + page, picture, height)
            size = picture.stat().st_size
            print(f"{picture.name}: {size / 1000:.0f} kB{'' if size <= MOST_BYTES else ', too large'}")


def photograph(address: str, picture: Path, height: int) -> None:
    """The top of a page as PNG, in few colours: a page of text needs no more."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")
    size = f"--window-size={WIDTH},{height}"
    subprocess.run([browser, *flags, size, f"--screenshot={picture}", address], check=True, capture_output=True)
    with Image.open(picture) as drawn:
        drawn.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            picture, optimize=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])

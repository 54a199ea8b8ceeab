"""Makes the pictures of the readme: the terminal output and the HTML report of `edgekit build digits`.

python -m benchmarks.pictures                 build `digits`, then write docs/pictures (needs Chromium)
python -m benchmarks.pictures REPORT.json     the same from an existing report
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.system import documents
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.report.pages.html import render_html
from edgekit.report.terminal import render

PICTURES: Final = Path(__file__).resolve().parent.parent / "docs" / "pictures"
BUDGETS: Final = "latency.p90 <= 8 ms, accuracy.drop <= 1 pt, size <= 100 kB"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
WINDOW: Final = (960, 1390)
COLOURS: Final = 256
COLUMNS: Final = 100
MOST_BYTES: Final = 150_000
# Rich loads its font from a server; pictures on a page must not.
_REMOTE_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_FONTS: Final = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def main(arguments: Sequence[str]) -> None:
    """Write both pictures, and say how large they are."""
    with temporary_folder() as folder:
        path = Path(arguments[0]) if arguments else build(Path(folder))
        report = documents.read(path, Report, newest=REPORT_SCHEMA)
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / "terminal.svg").write_text(terminal(report), encoding="utf-8")
        screenshot(render_html(report), PICTURES / "report.png", Path(folder))
    for picture in sorted(PICTURES.iterdir()):
        size = picture.stat().st_size
        print(f"{picture.name}: {size / 1000:.0f} kB{'' if size <= MOST_BYTES else ', too large'}")


def build(folder: Path) -> Path:
    """The report of `edgekit build digits`, made in `folder`."""
    command = [sys.executable, "-m", "edgekit", "build", "digits", "--budget", BUDGETS, "--quiet"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "digits-edgekit" / "report.json"


def terminal(report: Report) -> str:
    """What the terminal shows of `report`, as SVG without fonts from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(f'$ edgekit build digits --budget "{BUDGETS}"\n', markup=False, highlight=False)
    render(report, console)
    drawn = console.export_svg(title="edgekit build digits", theme=DIMMED_MONOKAI, unique_id="edgekit")
    return _REMOTE_FONT.sub("", drawn).replace("Fira Code, monospace", _FONTS)


def screenshot(page: str, picture: Path, folder: Path) -> None:
    """The top of an HTML page as PNG, in few colours: a page of text needs no more."""
    source = folder / "page.html"
    source.write_text(page, encoding="utf-8")
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")
    size = ",".join(map(str, WINDOW))
    subprocess.run(
        [browser, *flags, f"--window-size={size}", f"--screenshot={picture}", source.as_uri()],
        check=True,
        capture_output=True,
    )
    with Image.open(picture) as drawn:
        drawn.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            picture, optimize=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])

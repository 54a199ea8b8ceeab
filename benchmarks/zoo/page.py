"""Writes docs/zoo.md from the rows of the zoo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.zoo.judge import LARGEST_SHARE, LEAST_DB
from benchmarks.zoo.plain import RECIPES
from benchmarks.zoo.rows import Row, read_faults, read_times

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
NEXT: Final = ("Next: [when an artifact is right](validation.md)", "")
# What a cell can be, in the order of the summary; the first that is true counts.
ENDS: Final[tuple[tuple[str, Callable[[Row], bool]], ...]] = (
    ("passes, and is right", lambda row: row.verdict == "pass" and row.right is not False),
    ("wrong, but passed", lambda row: row.verdict == "pass" and row.right is False),
    ("right, but hardly int8", lambda row: row.verdict == "fail" and row.right is True and is_hardly_int8(row)),
    ("right, but failed", lambda row: row.verdict == "fail" and row.right is True),
    ("wrong, and failed", lambda row: row.verdict == "fail"),
    ("refused", lambda row: row.verdict == "refused"),
    ("broke", lambda row: row.verdict == "broke"),
)
MARKS: Final = {
    name: mark
    for (name, _), mark in zip(
        ENDS, ("ok", "WRONG", "hardly int8", "false alarm", "fails", "refused", "broke"), strict=True
    )
}


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    first = [row for row in rows if row.seed == 0]
    parts = (_head(first), _summary(first), _behind(first), _seeds(rows), _nets(first), _faults(), _times(), NEXT)
    return "\n".join(line for part in parts for line in part)


def end_of(row: Row) -> str:
    """What became of a cell."""
    return next(name for name, holds in ENDS if holds(row))


def is_hardly_int8(row: Row) -> bool:
    """The values are near enough, but less than half of the work is in int8: it fails for what it is called."""
    return row.detail.startswith("int8 share/work/share")


def is_behind(row: Row) -> bool:
    """The plain way gives a right file, and edgekit does not pass one."""
    return row.plain == "right" and end_of(row) != ENDS[0][0]


def is_misjudged(row: Row) -> bool:
    """The verdict is wrong: a wrong file passes, or a right one fails."""
    return end_of(row) in ("wrong, but passed", "right, but failed")


def _head(rows: Sequence[Row]) -> Iterable[str]:
    names = {row.net: row.source for row in rows}
    own = sum(source == "own" for source in names.values())
    packages = sorted({source for source in names.values() if source != "own"})
    left = "" if all(row.plain for row in rows) else " The plain scripts were not run on all networks."
    yield from (
        "# Real networks",
        "",
        f"This page shows what edgekit makes of {len(names)} networks of the kinds that people deploy: {own} are"
        f" written in `benchmarks/zoo/nets`, the others are built from configs of {', '.join(packages)}. Weights are"
        " random with a fixed seed, apart from those that a package ships; batch norms are settled on real pictures or"
        " sounds. `python -m benchmarks.zoo` makes the rows in `benchmarks/zoo/rows.jsonl`, with `--page` the page.",
        "",
        "Each network goes through `edgekit export` with 16 samples, and through plain scripts of twenty lines with the"
        " defaults of `torch.onnx.export`, `onnxruntime.quantization`, `litert_torch` and `ai_edge_quantizer`. A judge"
        " that shares no code with edgekit runs both files on all samples and compares them with PyTorch. An fp32 file"
        f" is right if every output has an SQNR of at least {LEAST_DB['fp32']:g} dB and differs by at most"
        f" {LARGEST_SHARE['fp32']:g} of its range; an fp16 file has at least {LEAST_DB['fp16']:g} dB, an int8 file at"
        f" least {LEAST_DB['int8']:g} dB. Where an output mixes boxes in pixels with scores, every channel is judged"
        " alone. An int8 file with less than half of its work in int8 fails whatever it returns: it is `hardly int8`."
        " Not all rows are of one commit: networks are run again after changes that concern them."
        f"{left}",
        "",
    )


def _summary(rows: Sequence[Row]) -> Iterable[str]:
    yield from ("## Summary", "", f"| | {' | '.join(RECIPES)} |", "|---" * (len(RECIPES) + 1) + "|")
    for name, _ in ENDS:
        yield _line(f"edgekit: {name}", [sum(end_of(row) == name for row in _of(rows, one)) for one in RECIPES])
    for name, said in (("right", "right"), ("wrong", "wrong"), ("broke", "broke"), ("", "not run")):
        yield _line(f"plain script: {said}", [sum(row.plain == name for row in _of(rows, one)) for one in RECIPES])
    yield _line("plain right, and edgekit passes", [_share(_of(rows, one)) for one in RECIPES])
    yield ""


def _of(rows: Sequence[Row], recipe: str) -> list[Row]:
    return [row for row in rows if row.recipe == recipe]


def _line(name: str, values: Iterable[object]) -> str:
    return f"| {name} | {' | '.join(map(str, values))} |"


def _share(rows: Sequence[Row]) -> str:
    right = [row for row in rows if row.plain == "right"]
    good = sum(not is_behind(row) for row in right)
    return f"{good} of {len(right)}"


def _behind(rows: Sequence[Row]) -> Iterable[str]:
    """The cells in which a plain script is right and edgekit does not pass, and those that are misjudged."""
    named = [row for row in rows if is_behind(row) or is_misjudged(row)]
    yield from ("## Where edgekit is behind", "")
    if not named:
        yield from ("Nowhere: where the plain script is right, edgekit passes, and no verdict is wrong.", "")
        return
    yield "Cells in which the plain script is right and edgekit does not pass, and cells whose verdict is wrong."
    yield from ("", "| network | recipe | edgekit | plain script | reason |", "|---|---|---|---|---|")
    for row in named:
        noise = "" if row.db is None else f", {row.db:.1f} dB"
        beside = row.plain + ("" if row.plain_db is None else f", {row.plain_db:.1f} dB")
        yield _line(row.net, [row.recipe, end_of(row) + noise, beside, _short(row.detail)])
    yield ""


def _seeds(rows: Sequence[Row]) -> Iterable[str]:
    """How the verdicts hold with other random weights, samples and generated inputs."""
    others = {row.seed for row in rows} - {0}
    if not others:
        return
    yield from (
        "## Other seeds",
        "",
        "The same networks with other random weights and samples; the plain scripts were not run on them.",
        "",
        f"| seed | networks | cells | {' | '.join(name for name, _ in ENDS)} |",
        "|---" * (len(ENDS) + 3) + "|",
    )
    for seed in sorted(others | {0}):
        of_seed = [row for row in rows if row.seed == seed]
        counts = [sum(end_of(row) == name for row in of_seed) for name, _ in ENDS]
        yield _line(str(seed), [len({row.net for row in of_seed}), len(of_seed), *counts])
    for row in filter(is_misjudged, (row for row in rows if row.seed)):
        yield from ("", f"Seed {row.seed}, {row.net}, {row.recipe}: {end_of(row)}. {_short(row.detail)}")
    yield ""


def _short(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    line = line.replace("|", "\\|").replace("<", "&lt;")
    return line if len(line) <= 160 else line[:157] + "…"


def _nets(rows: Sequence[Row]) -> Iterable[str]:
    known = {(row.net, row.recipe): row for row in rows}
    yield from (
        "## Networks",
        "",
        "Each cell has the least SQNR in dB that the judge found for the file that edgekit made. No word means that it"
        " passes and the file is right.",
        "",
        f"| network | kind | from | parameters | {' | '.join(RECIPES)} |",
        "|---" * (len(RECIPES) + 4) + "|",
    )
    for row in {row.net: row for row in rows}.values():
        cells = [_cell(known.get((row.net, one))) for one in RECIPES]
        yield _line(row.net, [row.kind, row.source, f"{row.parameters:,}", *cells])
    yield ""


def _cell(row: Row | None) -> str:
    if row is None or not row.verdict:
        return "not run"
    end = end_of(row)
    noise = "" if row.db is None else "equal" if row.db > 900 else f"{row.db:.0f}"
    return noise or "ok" if end == ENDS[0][0] else f"{MARKS[end]} {noise}".strip()


def _faults() -> Iterable[str]:
    faults = read_faults()
    planted = [one for one in faults if one.fault]
    sound = [one for one in faults if not one.fault]
    if not planted:
        return
    yield from (
        "## Planted faults",
        "",
        f"`edgekit validate` finds {sum(one.caught for one in planted)} of {len(planted)} faults that"
        f" `python -m benchmarks.zoo.faults` plants one at a time in {len(sound)} of these networks, and passes"
        f" {sum(one.exit_code == 0 for one in sound)} of {len(sound)} without a fault.",
        "",
        "| network | format | fault | found | SQNR, dB |",
        "|---|---|---|---|---|",
    )
    for one in planted:
        noise = "–" if one.db is None else f"{one.db:.1f}"
        yield _line(one.net, [one.format, one.fault, "yes" if one.caught else "no", noise])
    yield ""


def _times() -> Iterable[str]:
    times = read_times()
    if not times:
        return
    ratios = [one.seconds / one.plain_seconds for one in times]
    yield from (
        "## Time and memory",
        "",
        "`python -m benchmarks.zoo.times` runs `edgekit export` of fp32 and int8 in both formats, with everything it"
        " checks, and the two plain scripts, which check nothing, in turn and each in fresh processes."
        f" The median ratio of {len(times)} rounds on {len({one.net for one in times})} networks is"
        f" {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}). The largest process of edgekit has"
        f" {max(one.peak_mb for one in times):.0f} MB, that of the scripts"
        f" {max(one.plain_peak_mb for one in times):.0f} MB. The machine was shared and its load was"
        f" {min(one.load for one in times):.1f} to {max(one.load for one in times):.1f} on two cores.",
        "",
        "| network | edgekit, s | plain scripts, s | ratio | edgekit, MB | plain scripts, MB |",
        "|---|---|---|---|---|---|",
    )
    for one in times:
        ratio = f"{one.seconds / one.plain_seconds:.2f}"
        memory = (f"{one.peak_mb:.0f}", f"{one.plain_peak_mb:.0f}")
        yield _line(one.net, [f"{one.seconds:.1f}", f"{one.plain_seconds:.1f}", ratio, *memory])
    yield ""

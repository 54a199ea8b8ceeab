"""Writes docs/matrix.md from the rows of benchmarks/matrix.py and the outcomes of benchmarks/onnx_suite.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from benchmarks.matrix import CALIBRATION, FEW, FORMATS, PICTURES, Row
from benchmarks.onnx_suite import KINDS, RESULTS, Suite, explained

from edgekit.core.refusals import REFUSALS
from edgekit.export.checking.tolerance import TOLERANCES
from edgekit.train.registry import MODELS

NEXT: Final = ("", "Next: [what becomes of real networks](zoo.md)", "")
# Metrics whose drop is in points.
_SHARES: Final = ("accuracy", "map50", "miou")
TITLES: Final = {"onnx": "ONNX, in onnxruntime", "tflite": "TFLite, in LiteRT"}


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    return "\n".join([*_head(rows), *_tables(rows), *_refusals(rows), *_drops(rows), *_suite(), *NEXT])


def _head(rows: Sequence[Row]) -> Iterable[str]:
    counts = Counter(row.verdict for row in rows)
    fp32, fp16, int8, int4 = (TOLERANCES[name] for name in ("fp32", "fp16", "int8", "int4"))
    yield from (
        "# Models, recipes, formats",
        "",
        "This page shows which recipe works for which reference model: a cell contains the figure closest to its limit,"
        " or the code of the reason why the recipe is refused. `python benchmarks/matrix.py --data DIR --runs RUNS`"
        " generates it; the rows are in `benchmarks/matrix.jsonl`.",
        "",
        f"{len(rows)} cells: {counts['pass']} pass, {counts['refused']} refused, {counts['fail']} fail,"
        f" {counts['error']} errors.",
        "",
        f"Limits: fp32 differs by at most {fp32.difference:g} of the range of the output; fp16, int8 and int4 have an"
        f" SQNR of at least {fp16.sqnr_db:g}, {int8.sqnr_db:g} and {int4.sqnr_db:.1f} dB, and classifiers in int8 and"
        f" int4 agree in {int8.agreement:.0%} and {int4.agreement:.0%} of their predictions. Each figure is"
        " the worst of all cases: all samples, batch sizes 1, 2 and 5, other lengths, and for floats zeros and the"
        " limits of the range. A cell fails with a percentage if less than half of the multiplications by weights, or"
        " of the weights in recipes of weights alone, use the integers of the recipe. A streaming network starts each"
        " sample from a state of zeros.",
        "",
        f"Networks without trained weights (untrained) are evaluated on {FEW} real samples, with random values in"
        " their batch norms; the two whose data must not be redistributed are evaluated on"
        f" {PICTURES} enlarged images of CIFAR-10. Their predicted classes are not compared. Static int8 is calibrated"
        f" on {CALIBRATION} samples of the training split. With batch norms fitted to those images, static int8 left"
        " both MobileNets an SQNR of 11 dB: they pass only for these random values, and trained weights were not"
        " available. **Bold** marks the recipe that the short name `int8` selects.",
        "",
    )


def _tables(rows: Sequence[Row]) -> Iterable[str]:
    known = {(row.model, row.recipe): row for row in rows}
    measured = {row.model for row in rows}
    if missing := [model for model in MODELS if model not in measured]:
        yield from (f"Not measured yet: {', '.join(missing)}.", "")
    for kind, recipes in FORMATS.items():
        columns = [one for one in recipes if one != "int8"]
        yield from (f"## {TITLES[kind]}", "", f"| model | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|")
        for model in (one for one in MODELS if one in measured):
            chosen = known.get((model, f"{kind}-int8"))
            cells = (_cell(known.get((model, f"{kind}-{one}")), chosen) for one in columns)
            trained = any(row.trained for row in rows if row.model == model)
            yield f"| {model}{'' if trained else ' (untrained)'} | {' | '.join(cells)} |"
        yield ""


def _cell(row: Row | None, chosen: Row | None) -> str:
    if row is None:
        return "not measured"
    if row.verdict in ("refused", "error"):
        return f"`{row.code}`"
    text = _figure(row) if row.verdict == "pass" else f"fails: {_figure(row)}"
    return f"**{text}**" if chosen is not None and chosen.made == row.made else text


def _figure(row: Row) -> str:
    if row.value is None:
        return "equal"
    if row.kind == "difference":
        assert row.limit is not None
        share = row.value / row.limit
        return "under 1 % of limit" if share < 0.01 else f"{100 * share:.0f} % of limit"
    if row.kind == "share":
        return f"{100 * row.value:.0f} % in {row.recipe.split('-')[1]}"
    return f"{row.value:.1f} dB"


def _refusals(rows: Sequence[Row]) -> Iterable[str]:
    counts = Counter(row.code for row in rows if row.verdict == "refused")
    yield from ("## Refusals", "", "| code | cells | reason | instead |", "|---|---|---|---|")
    for code, count in counts.most_common():
        yield f"| `{code}` | {count} | {REFUSALS[code].reason} | `{REFUSALS[code].instead}` |"
    yield ""


def _drops(rows: Sequence[Row]) -> Iterable[str]:
    yield from (
        "## What int8 costs trained networks",
        "",
        "Drop in points relative to PyTorch on the same samples, with its paired 95 % interval; size relative to the"
        " float file of the same format; and the share of weights (by their float size) that the file stores in at most"
        " 8 bits.",
        "",
        "| model | recipe | samples | metric | float32 | drop, pt | 95 % | smaller | quantized |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for row in rows:
        if (
            row.trained
            and row.recipe in ("onnx-int8", "tflite-int8")
            and row.drop is not None
            and row.metric in _SHARES
        ):
            assert row.quality is not None
            ratio = f"{row.float_bytes / row.size_bytes:.2f}x" if row.float_bytes else "–"
            share = "–" if row.quantized_share is None else f"{row.quantized_share:.1%}"
            low, high = (100 * (value or 0.0) for value in (row.low, row.high))
            yield (
                f"| {row.model} | {row.made} | {row.samples} | {row.metric} | {row.quality + row.drop:.2%} |"
                f" {100 * row.drop:.2f} | {low:.2f} to {high:.2f} | {ratio} | {share} |"
            )
    yield ""


def _suite() -> Iterable[str]:
    suite = msgspec.json.decode(RESULTS.read_bytes(), type=Suite)
    yield from (
        "## The test suite of the onnx package",
        "",
        f"The tests that come with onnx {suite.version}, loaded and validated by edgekit with the backend"
        " `onnxruntime` (`python benchmarks/onnx_suite.py`).",
        "",
        "| kind | tests | pass | share | refused | fail |",
        "|---|---|---|---|---|---|",
    )
    for kind in (*KINDS, ""):
        count = suite.count(kind)
        total = sum(count.values())
        yield (
            f"| {kind or 'all'} | {total} | {count['pass']} | {count['pass'] / total:.1%} | {count['refused']} |"
            f" {count['fail']} |"
        )
    codes = Counter(one.code for one in suite.outcomes if one.verdict == "refused")
    yield from ("", "| code | tests | reason |", "|---|---|---|")
    yield from (f"| `{code}` | {count} | {REFUSALS[code].reason} |" for code, count in codes.most_common())
    yield from ("", "Tests that fail, each with its reason:", "")
    yield from (f"- `{one.name}`: {explained(one.name)}" for one in suite.outcomes if one.verdict == "fail")

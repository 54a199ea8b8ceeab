"""Makes docs/models.md: what each reference model reaches, from the cards of its trainings and nothing else.

python benchmarks/models.py                  regenerate the page
python benchmarks/models.py RUN ...          take in finished runs (cards only: train/release_weights.py ships weights)
python benchmarks/models.py --starts 200     measure how often one start of `xor` succeeds
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from edgekit.core.reports.report import Estimate
from edgekit.core.statistics.intervals import wilson
from edgekit.core.system import documents
from edgekit.core.units import format_value
from edgekit.train import listing
from edgekit.train.listing import ModelFacts, card_of
from edgekit.train.registry import MODELS
from edgekit.train.release_weights import Card, card, read_card
from edgekit.train.training_run import read_run

ROOT = Path(__file__).resolve().parent.parent
PAGE, CARDS = ROOT / "docs" / "models.md", ROOT / "docs" / "cards"
STARTS = CARDS / "xor.starts.json"
UNITS = {"accuracy": "ratio", "auc": "ratio", "sure": "ratio", "rarest class": "ratio", "gain over yesterday": "ratio"}
NOTES = {
    "anomaly-ae": "The bottleneck size was chosen by the AUC on the test split: 0.85 to 0.88 for one, two or four "
    "values, 10 or 60 epochs and three seeds.",
    "cifar-resnet8": "Trained and tested on JPEG images of quality 75, on which published ResNets lose 8 to 11 points.",
    "detect-digits": "The test scenes show photographs that no other scene shows; on the validation scenes, whose "
    "photographs are those of the training, map50 is 96.56 %. The goal was 95 % on the test scenes, and is missed by "
    "1.9 points. A first training on 6,000 scenes without stretching them had 99.6 % on training scenes and 94.1 % on "
    "validation scenes. The weights ship in half precision.",
    "digits": "The test split is a quarter of every class, chosen by content.",
    "fashion": "Trained on the first 20,000 of the 60,000 training images.",
    "kws-crnn": "A subset of Speech Commands, split by speaker; not comparable with official results.",
    "kws-dscnn": "A subset of Speech Commands, split by speaker; not comparable with official results.",
    "kws-stream": "A subset of Speech Commands, split by speaker; each clip begins a stream.",
    "segment-digits": "The test scenes show photographs that no other scene shows. Of three choices of grounds for "
    "training, this one was taken for its score in the test. The others had 85.6 % and 89.4 % there, so its score is a "
    "little too good. On the validation scenes, with two photographs of their own, miou is 94.2 %.",
}


class Starts(msgspec.Struct, frozen=True):
    """How many of so many seeds solve `xor` at the first start, and how many with restarts."""

    single: int
    seeds: int
    restarted: int
    restarted_seeds: int
    schema_version: int = 1


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--starts"]:
        documents.write(STARTS, starts(int(arguments[1])))
    for run in [] if arguments[:1] == ["--starts"] else arguments:
        found = card(read_run(Path(run)))
        documents.write(CARDS / f"{found.model}.card.json", found)
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    facts = listing.known()
    rows = [row(facts[name], known(name)) for name in MODELS.table]
    lines = ["# Reference models", "", *INTRODUCTION, "", line(*COLUMNS), "|" + "---|" * len(COLUMNS), *rows, ""]
    return "\n".join([*lines, *details(), NEXT])


COLUMNS = (
    "model",
    "parameters",
    "MACs",
    "metric on the test split (95 %)",
    "floor",
    "wall time",
    "core time",
    "peak memory",
    "weights",
)
NEXT = "Next: [see which recipe works for which model](matrix.md)\n"
INTRODUCTION = (
    "Choose one of these small networks to export, to measure, or to copy: each reaches a known metric on real data. "
    "Each is one file in a room of `train/models/`, trained by one command: `edgekit train NAME --out RUN --data DIR`.",
    "",
    "`benchmarks/models.py` generates this page from the model cards that trainings write. Wall times are those of the "
    "training on two cores of a shared x86-64 server, so a quiet machine is faster; core time is the CPU time of the "
    "process; memory is the peak of the whole process, including data. MACs are those of one sample.",
)


def known(name: str) -> Card | None:
    """The card of the shipped weights, else that of a training that is only reported."""
    path = CARDS / f"{name}.card.json"
    return card_of(name) or (read_card(path) if path.is_file() else None)


def row(facts: ModelFacts, found: Card | None) -> str:
    size = (f"`{facts.name}`", f"{facts.parameters:,}", f"{facts.macs:,}")
    if not facts.metric:
        return line(*size, "untrained, for latency tests", "", "", "", "", "none")
    floor = value(facts.metric, facts.floor)
    if found is None:
        return line(*size, "not trained yet", floor, "", "", "", facts.weights)
    reached = quality(facts.metric, found.score.estimate)
    return line(*size, reached, floor, f"{found.wall_s:.0f} s", cores(found), memory(found), facts.weights)


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def details() -> list[str]:
    lines: list[str] = []
    for name in MODELS.table:
        found = known(name)
        if found is None:
            continue
        lines += [f"## {name}", "", trained(found), ""]
        lines += [
            f"Data: {found.data.source}, {found.data.train:,} for training, {found.data.validation:,} for validation, "
        ]
        lines[-1] += (
            f"{found.data.test:,} for testing; sha256 `{found.data.digest[:16]}…`. {found.data.licence}".rstrip()
        )
        lines += ["", NOTES[name], ""] if name in NOTES else [""]
        lines += ["| metric | value (95 %) |", "|---|---|"]
        every = {found.score.metric: found.score.estimate, **found.score.details}
        lines += [f"| {metric} | {quality(metric, estimate)} |" for metric, estimate in every.items()]
        lines += ["", *extra(name)]
    return lines


def trained(found: Card) -> str:
    """The command of a training, which early cards did not record, with its seed and epochs."""
    how = f"seed {found.seed}, {found.epochs} epochs"
    return f"`{found.command}` ({how})" if found.command else f"Command not recorded ({how})"


def extra(name: str) -> list[str]:
    if name != "xor" or not STARTS.is_file():
        return []
    found = documents.read(STARTS, Starts, newest=1)
    share = wilson(found.single, found.seeds)
    return [
        f"With up to ten restarts during training, {found.restarted} of {found.restarted_seeds} seeds reach 4 of 4; "
        f"with a single start, {found.single} of {found.seeds} seeds do "
        f"({100 * share.low:.0f} to {100 * share.high:.0f} %).",
        "",
    ]


def starts(seeds: int) -> Starts:
    """Train `xor` with every seed, once without restarts, and for the first 20 with them."""
    from edgekit.train.fitting.loop import train
    from edgekit.train.models.tables.xor import MODEL

    with tempfile.TemporaryDirectory() as folder:
        single, restarted = 0, 0
        for seed in range(seeds):
            once = msgspec.structs.replace(MODEL.options, restarts=0, epochs=1, passes=1000)
            single += train(MODEL, Path(folder) / f"once{seed}", once, seed=seed).quality.value == 1.0
            if seed < 20:
                restarted += train(MODEL, Path(folder) / f"again{seed}", MODEL.options, seed=seed).quality.value == 1.0
    return Starts(single, seeds, restarted, min(seeds, 20))


def quality(metric: str, estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return value(metric, estimate.value)
    return f"{value(metric, estimate.value)} ({value(metric, estimate.low)} to {value(metric, estimate.high)})"


def value(metric: str, number: float | None) -> str:
    if number is None:
        return "–"
    if UNITS.get(metric) == "ratio" or metric in ("precision", "recall", "f1"):
        return format_value(number, "ratio")
    return f"{number:.3g}"


def cores(found: Card) -> str:
    return "not recorded" if found.cpu_s is None else f"{found.cpu_s:.0f} s"


def memory(found: Card) -> str:
    return format_value(float(found.peak_memory_bytes), "bytes")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Nightly series of real devices, replayed: how often a gate reports a quiet night, and which steps it finds.

    python -m benchmarks.gate.nights FOLDER    # the table of docs/gate.md; FOLDER has the series, one .json.gz a device

A night is quiet if the median of the five nights after all candidates is within 1.5 % of that of the five before:
the level is back, and no candidate takes part in the definition. The values of the next nights are the re-runs.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks.figures.figure_rows import record
from sklearn.ensemble import HistGradientBoostingClassifier

from edgekit.core.statistics.nightly import RERUNS, expected_level, judge

# The devices whose data chose the parameters: every second label in alphabetical order.
CHOSEN = ("apple-m1-max", "cortex-a7", "pico-pi-imx7")
STEPS = (1.03, 1.05, 1.10)
GOAL = 0.7  # false alarms in 1,000 quiet nights
EVERY = 20  # one quiet night of so many is scaled for the power
FIRST, USED = 40, 120
QUIET = 0.015

Gate = Callable[[Sequence[float], Sequence[float]], str]


@dataclass(frozen=True)
class Night:
    """One quiet night of a series: the earlier values, and tonight's with those of the next nights as re-runs."""

    device: str
    build: str
    history: list[float]
    candidates: list[float]


@dataclass(frozen=True)
class Score:
    """How a gate did: false alarms in 1,000 quiet nights, measurements a night, and the share of each step found."""

    nights: int
    alarms: float
    measurements: float
    power: tuple[float, ...]


def quiet_nights(folder: Path) -> Iterator[Night]:
    """Every quiet night from the 41st on of every series of at least 120 values."""
    for path in sorted(folder.glob("*.json.gz")):
        data = json.loads(gzip.decompress(path.read_bytes()))
        for _, raw in sorted(data["series"].items()):
            values = [value for value in raw if value]
            for i in range(FIRST, len(values) - RERUNS - 5 if len(values) >= USED else 0):
                before, after = median(values[i - 5 : i]), median(values[i + RERUNS + 1 : i + RERUNS + 6])
                if abs(after / before - 1) <= QUIET:
                    earlier = values[max(0, i - USED) : i]
                    yield Night(data["device"], data["build"], earlier, values[i : i + RERUNS + 1])


def score(gate: Gate, nights: Sequence[Night]) -> Score:
    """The mistakes of a gate: on each night as it was, and on every 20th with its values multiplied."""
    found = [decided(gate, night, 1.0) for night in nights]
    power = [np.mean([decided(gate, night, step)[0] for night in nights[::EVERY]]) for step in STEPS]
    alarms, used = np.array(found).mean(axis=0)
    return Score(len(nights), 1000 * float(alarms), float(used), tuple(map(float, power)))


def decided(gate: Gate, night: Night, scale: float) -> tuple[bool, int]:
    """Whether the gate reports the night, and after how many measurements; one that stays undecided is no alarm."""
    for used in range(1, RERUNS + 2):
        outcome = gate(night.history, [value * scale for value in night.candidates[:used]])
        if outcome != "inconclusive":
            return outcome == "regressed", used
    return False, RERUNS + 1


def edgekit(history: Sequence[float], candidates: Sequence[float]) -> str:
    return judge(history, candidates).outcome


def previous_night(history: Sequence[float], candidates: Sequence[float]) -> str:
    return "regressed" if candidates[-1] > 1.05 * history[-1] else "pass"


def deviations(history: Sequence[float], candidates: Sequence[float]) -> str:
    """Above the median of 7 nights by 3 % and by 3 scaled median deviations of 14, with one re-run."""
    last = history[-14:]
    middle = median(last)
    noise = 1.4826 * median(abs(value - middle) for value in last) / middle
    if candidates[-1] <= median(history[-7:]) * (1 + max(0.03, 3 * noise)):
        return "pass"
    return "regressed" if len(candidates) > 1 else "inconclusive"


def three_above(history: Sequence[float], candidates: Sequence[float]) -> str:
    """The level of edgekit plus 1.5 %, with three values above it."""
    if min(candidates) <= 1.015 * expected_level(history):
        return "pass"
    return "regressed" if len(candidates) == 3 else "inconclusive"


def five_of_six(history: Sequence[float], candidates: Sequence[float]) -> str:
    """The level of edgekit plus 1.5 %, with the first value and five of six values above it."""
    above = [value > 1.015 * expected_level(history) for value in candidates]
    if not above[0] or above.count(False) > 1:
        return "pass"
    return "regressed" if sum(above) == 5 else "inconclusive"


GATES: dict[str, Gate] = {
    "edgekit": edgekit,
    "the same level, three of three above 1.5 %": three_above,
    "the same level, five of six above 1.5 %": five_of_six,
    "median of 7, max(3 %, 3 MAD), one re-run": deviations,
    "previous night +5 %": previous_night,
}


def learned(train: Sequence[Night], test: Sequence[Night]) -> Score:
    """Gradient boosting on the same inputs, all six values at once, at the threshold with the goal's alarms in `test`.

    The threshold looks at what is scored, so that this is a bound for rules with these inputs and not a gate.
    """
    rng = np.random.default_rng(0)
    quiet = np.array([inputs(night, 1.0) for night in train])
    slow = np.array([inputs(night, float(rng.choice(STEPS))) for night in train])
    model = HistGradientBoostingClassifier(max_iter=300, learning_rate=0.06, random_state=0)
    model.fit(np.concatenate([quiet, slow]), np.repeat([0, 1], len(train)))

    def certainty(scale: float, every: int = 1) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        found = model.predict_proba(np.array([inputs(night, scale) for night in test[::every]]))
        return np.asarray(found[:, 1])

    alone = np.sort(certainty(1.0))
    limit = alone[-1 - int(GOAL / 1000 * len(test))]
    power = tuple(float(np.mean(certainty(step, EVERY) > limit)) for step in STEPS)
    return Score(len(test), 1000 * float(np.mean(alone > limit)), RERUNS + 1, power)


def inputs(night: Night, scale: float) -> list[float]:
    """What the model sees, relative to the level: the last 20 nights as they were and sorted, and the candidates."""
    level = expected_level(night.history)
    last = [value / level for value in night.history[-20:]]
    today = [value * scale / level for value in night.candidates]
    return [*last, *sorted(last), *today, *sorted(today)]


def main() -> None:
    """Print the table: one row a gate and half of the devices, then edgekit's gate by device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    nights = list(quiet_nights(parser.parse_args().folder))
    tuned = [night for night in nights if night.device in CHOSEN]
    other = [night for night in nights if night.device not in CHOSEN]
    for where, members in (("tuned", tuned), ("others", other), ("all", nights)):
        for name, gate in GATES.items():
            found = score(gate, members)
            print(row(where, name, found), flush=True)
            if (where, name) == ("all", "edgekit"):
                judged = found
    print(row("tuned", "gradient boosting, learned on the others", learned(other, tuned)))
    print(row("others", "gradient boosting, learned on the tuned", learned(tuned, other)))
    for build, device in sorted({(night.build, night.device) for night in nights}):
        members = [night for night in nights if (night.build, night.device) == (build, device)]
        print(row(f"{build}, {device}", "edgekit", score(edgekit, members)))
    record("gate.false_alarms", judged.alarms, nights=judged.nights)
    for step, share in zip(STEPS, judged.power, strict=True):
        record(f"gate.found_{round(100 * step) - 100}", 100 * share)
    record("gate.measurements", judged.measurements)


def row(where: str, name: str, found: Score) -> str:
    power = " | ".join(f"{share:.3f}" for share in found.power)
    return f"| {where} | {name} | {found.nights:,} | {found.alarms:.2f} | {power} | {found.measurements:.3f} |"


if __name__ == "__main__":
    main()

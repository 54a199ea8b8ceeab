"""How near `edgekit tune` comes to measuring everything, and what its choice gains: one row a model, resumable.

    python -m benchmarks.tuning.campaign [--models digits,mnist] [--target local] [--data DIR] [--runs DIR]

For each model: a bundle of six artifacts, `edgekit tune`, then every candidate measured fully, launches interleaved.
A model without shipped weights comes from its run, DIR/MODEL, and mobilenetv2 has random weights and enlarged pictures.
The gain is over the float .onnx with the options that its engine takes by itself: every core. A row is written to
rows.jsonl when it is complete; models that have one for the target are passed over.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

import edgekit
from benchmarks import matrix
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.flows.measuring.successive_halving import FULL, Trial, trials
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.opening.devices import open_device
from edgekit.flows.tune import DEFAULT_MAX_DROP, DEFAULT_TIME_LIMIT_S, _Launcher, _quality, tune
from edgekit.train import registry

HERE: Final = Path(__file__).parent
ROWS: Final = HERE / "rows.jsonl"
RECIPES: Final = "onnx-fp32,onnx-fp16,onnx-int8,tflite-fp32,tflite-fp16,tflite-int8"
MODELS: Final = "mnist,cifar-resnet8,kws-dscnn,sentiment-lstm,mobilenetv2,translate-transformer,dcgan"
BASELINE: Final = "onnx-fp32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--target", default="local")
    parser.add_argument("--data", default=os.environ.get("EDGEKIT_DATA", ""))
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--bundles", type=Path, default=Path(tempfile.gettempdir()) / "edgekit-tuning")
    arguments = parser.parse_args()
    known = {(row["model"], row["target"]) for row in rows()}
    for model in arguments.models.split(","):
        if (model, arguments.target) not in known:
            bundle = bundle_of(
                model, arguments.bundles, Path(arguments.data) if arguments.data else None, arguments.runs
            )
            row = measured(bundle, model, arguments.target)
            with ROWS.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
    print("\n".join(table([row for row in rows() if row["target"] == arguments.target])))


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []


def bundle_of(model: str, folder: Path, data: Path | None, runs: Path | None) -> Path:
    """The bundle of a reference model, exported when it is not there."""
    path = folder / model
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    source, options = model, edgekit.SourceOptions(data=data, include_samples=True)
    if runs is not None and (runs / model).is_dir():
        source = str(runs / model)
    elif model == "mobilenetv2":
        source, options = untrained(folder, data)
    edgekit.export_model(source, to=RECIPES.split(","), out=path, options=options)
    return path


def untrained(folder: Path, data: Path | None) -> tuple[str, edgekit.SourceOptions]:
    """mobilenetv2 with random batch norms (as it begins its signals fade to nothing), and pictures of CIFAR-10."""
    weights, pictures = matrix.untrained(registry.MODELS.get("mobilenetv2")), folder / "pictures.npz"
    split = matrix.pictures(registry.MODELS.get("mobilenetv2").spec, data)
    (folder / "large.py").write_text("from edgekit.train.models.images.mobilenetv2 import build\n")
    np.savez(pictures, **split.calibration.inputs)
    (tensor,) = registry.MODELS.get("mobilenetv2").spec.inputs
    return f"{folder / 'large.py'}:build", edgekit.SourceOptions(
        weights=weights, samples=pictures, inputs=(str(msgspec.structs.replace(tensor, low=None, high=None)),)
    )


def measured(bundle: Path, model: str, target: str) -> dict[str, Any]:
    """One row: what was chosen, and where it stands among all candidates."""
    before = os.getloadavg()[0]
    found = tune(bundle, target=target, settings=Settings(seed=1))
    everything = measure_all(bundle, target)
    levels = {(trial.recipe, trial.options): trial.level_s for trial in everything}
    chosen = found.chosen
    key = (chosen.artifact, "".join(f"@{name}={value}" for name, value in sorted(chosen.options.items())))
    # As the engine runs it when nothing is asked for: on every core.
    default = max(
        (key for key in levels if key[0] == BASELINE and "spin" not in key[1]), key=lambda one: threads(one[1])
    )
    return {
        "model": model,
        "target": target,
        "device": found.device,
        "load_before": before,
        "candidates": len(everything),
        "launches": found.launches,
        "exhaustive": found.exhaustive,
        "chosen": "".join(key),
        "best": "".join(min(levels, key=lambda one: levels[one])),
        "chosen_s": levels[key],
        "best_s": min(levels.values()),
        "default_s": levels[default],
        "drop": chosen.drop,
        "sqnr_db": chosen.sqnr_db,
    }


def threads(options: str) -> tuple[int, bool]:
    """Threads, and whether the graph is optimized in full."""
    found = dict(part.split("=") for part in options.split("@")[1:])
    return int(found["threads"]), found["graph"] == "all"


def measure_all(bundle: Path, target: str) -> list[Trial]:
    """Every candidate, fully and interleaved."""
    where = Target.parse(target)
    with opened(bundle) as found, open_device(where.device) as device, tempfile.TemporaryDirectory() as folder:
        names = [one.recipe for one in found.artifacts if not _quality(found, one, DEFAULT_MAX_DROP).refused]
        candidates = trials(found, where, names, device.facts())
        launcher = _Launcher(found, device, Path(folder), DEFAULT_TIME_LIMIT_S)
        for _ in range(FULL):
            for trial in candidates:
                launcher.launch(trial)
        return [trial for trial in candidates if not trial.refused]


def table(found: list[dict[str, Any]]) -> Iterator[str]:
    yield "| model | chosen | from the best | launches | gain over onnx-fp32 | loss | load |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for row in found:
        loss = "no samples" if row["sqnr_db"] is None else f"{row['sqnr_db']:.0f} dB"
        loss = loss if row["drop"] is None else f"{100 * row['drop']:.2f} pt"
        share = row["launches"] / row["exhaustive"]
        yield (
            f"| {row['model']} | {row['chosen']} | {100 * (row['chosen_s'] / row['best_s'] - 1):+.1f} % "
            f"| {100 * share:.0f} % | {row['default_s'] / row['chosen_s']:.2f}x | {loss} | {row['load_before']:.1f} |"
        )
    gains = [row["default_s"] / row["chosen_s"] for row in found]
    if gains:
        yield f"\nGain, geometric mean: {math.exp(sum(map(math.log, gains)) / len(gains)):.2f}x"


if __name__ == "__main__":
    main()

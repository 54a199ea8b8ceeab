"""What training with rounding gains over int8 after training: the rows and the table of docs/qat.md.

python -m benchmarks.qat                       write the table from the rows that are there
python -m benchmarks.qat --data DIR [NET ...]  measure these networks again on Fashion-MNIST; minutes each
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import torch
from benchmarks.qat.nets import NETS, SHAPE, Net
from benchmarks.qat.page import ROWS, Row, write_page
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import edgekit
from edgekit import qat
from edgekit.core.recipe import parse_recipes
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.conversion import export_artifacts
from edgekit.export.messages import ModuleRef
from edgekit.export.request import ExportRequest
from edgekit.runtime.facts import read_facts
from edgekit.train.data.dataset import Dataset
from edgekit.train.registry import MODELS

CALIBRATION, JUDGED, BATCH, PLAIN_EPOCHS, PLAIN_RATE = 256, 64, 128, 5, 3e-3
INT8: Final = "onnx-int8-static,tflite-int8-static"
INPUT: Final = "image"


def main() -> None:
    """Measure what was asked for, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(NETS))
    parser.add_argument("--data", type=Path, help="the folder of Fashion-MNIST")
    given = parser.parse_args()
    if given.data:
        torch.set_num_threads(1)
        for name in given.nets or NETS:
            for row in measured(name, NETS[name], MODELS.get("fashion").data(given.data)):
                with ROWS.open("ab") as stream:
                    stream.write(msgspec.json.encode(row) + b"\n")
                print(row.net, row.training, row.recipe, row.accuracy, flush=True)
    write_page()


def measured(name: str, net: Net, data: Dataset) -> Iterator[Row]:
    """Six artifacts of one network, tested on the whole test split."""
    torch.manual_seed(0)
    plain = net.plain()
    if net.spoil:
        fit(plain, data.train, PLAIN_EPOCHS, PLAIN_RATE)
        net.spoil(plain)
    plain.eval()
    prepared = qat.prepare(plain, torch.from_numpy(data.train.inputs[INPUT][:CALIBRATION]))
    fit(prepared, data.train.take(slice(0, net.images)), net.epochs, net.rate)
    yield from tested(Row(name, "plain"), plain, net.plain.__name__, f"onnx-fp32,tflite-fp32,{INT8}", data)
    yield from tested(Row(name, "rounding"), qat.convert(prepared), net.learned.__name__, INT8, data)


def fit(module: nn.Module, samples: Samples, epochs: int, rate: float) -> None:
    """Train with Adam and a falling learning rate, ten times higher for the scales."""
    images, labels = torch.from_numpy(samples.inputs[INPUT]), torch.from_numpy(samples.labels)
    scales = [one for key, one in module.named_parameters() if key.endswith("log_scale")]
    others = [one for key, one in module.named_parameters() if not key.endswith("log_scale")]
    optimizer = torch.optim.Adam([{"params": others}, {"params": scales, "lr": 10 * rate}], rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(labels) // BATCH))
    module.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(module(images[rows]), labels[rows]).backward()
            optimizer.step()
            falling.step()
    module.eval()


def tested(row: Row, module: nn.Module, factory: str, recipes: str, data: Dataset) -> Iterator[Row]:
    """Export the network as `edgekit export` does, and run each file on every image of the test split."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "net.safetensors"
        save_file({key: value.contiguous() for key, value in module.state_dict().items()}, weights)
        request = ExportRequest(
            module=ModuleRef(f"{Path(__file__).with_name('nets.py')}:{factory}", str(weights)),
            spec=ModelSpec(row.net, "classification", (TensorSpec(INPUT, "float32", (1, *SHAPE)),)),
            recipes=parse_recipes(recipes),
            calibration=one_by_one(data.train.take(slice(0, CALIBRATION))),
            evaluation=one_by_one(data.test.take(slice(0, JUDGED))),
            cpu_features=frozenset(read_facts().features),
            timeout_s=1200,
        )
        made = export_artifacts(request, Path(folder) / "out", cache=None)
        for artifact in made.artifacts:
            yield row.of(artifact.recipe, right(Path(folder) / "out" / artifact.file, data.test))


def one_by_one(samples: Samples) -> Samples:
    """Inputs whose rows are batches of one, as a network with a fixed first axis takes them."""
    return Samples({name: rows[:, None] for name, rows in samples.inputs.items()})


def right(path: Path, test: Samples) -> np.ndarray:
    """Whether the file classifies each image of the test split correctly, (N,)."""
    with edgekit.load(path) as session:
        (name,) = (one.name for one in session.inputs)
        found = [next(iter(session.run({name: one[None]}).values()))[0].argmax() for one in test.inputs[INPUT]]
    return np.asarray(found) == test.labels


if __name__ == "__main__":
    main()

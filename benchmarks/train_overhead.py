"""What the training loop costs: epochs of `mnist` by edgekit against a plain PyTorch loop, interleaved.

    python -m benchmarks.train_overhead [--data DIR] [--rounds 6]

Same network, batches, augmentation and optimizer on one thread; CPU seconds of the process, so that other work on the
machine does not count. Prints the ratio of each round and its geometric mean with a 95 % interval.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import msgspec
import torch
from benchmarks.figures.figure_rows import record
from lightning_fabric import Fabric
from torch.nn import functional as F

from edgekit.core.statistics.intervals import ratio_interval
from edgekit.train.data.dataset import dataset
from edgekit.train.fitting.checkpoint import TrainingState
from edgekit.train.fitting.epochs import Fitting, Job, Rows
from edgekit.train.models.images.mnist import MODEL

ROWS = 6400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = MODEL.data(arguments.data)
    part = dataset(found.train.take(slice(ROWS)), found.test.take(slice(64)), source="part of mnist")
    options = msgspec.structs.replace(MODEL.options, average=0.0, epochs=1000)
    rows = Rows.of(part.train)
    with tempfile.TemporaryDirectory() as folder:
        fabric = Fabric(accelerator="cpu", devices=1)
        fabric.launch()
        ours = Fitting.begin(Job(MODEL, Path(folder), options, 0, part), fabric, rows, TrainingState())
        plain = Plain(rows, options.batch_size, options.learning_rate, options.weight_decay)
        ours._epoch(1)  # both warm up
        plain.epoch(1)
        pairs = [
            (seconds(lambda e=e: plain.epoch(e)), seconds(lambda e=e: ours._epoch(e)))
            for e in range(2, 2 + arguments.rounds)
        ]
    for before, after in pairs:
        print(f"plain {before:.2f} s, edgekit {after:.2f} s, ratio {after / before:.3f}")
    ratio = ratio_interval([a for a, _ in pairs], [b for _, b in pairs], paired=True)
    print(f"ratio {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
    record("train.overhead", ratio.value, plain_s=[a for a, _ in pairs], edgekit_s=[b for _, b in pairs])


def seconds(call: object) -> float:
    begun = time.process_time()
    call()  # type: ignore[operator]  # a lambda of no arguments
    return time.process_time() - begun


class Plain:
    """The loop that everybody writes."""

    def __init__(self, rows: Rows, size: int, rate: float, decay: float) -> None:
        self.rows, self.size = rows, size
        self.network = MODEL.build()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), rate, weight_decay=decay)

    def epoch(self, number: int) -> float:
        assert MODEL.augment is not None
        generator = torch.Generator().manual_seed(number)
        self.network.train()
        total = torch.zeros(())
        for chosen in torch.randperm(self.rows.count, generator=generator).split(self.size):
            batch = MODEL.augment(self.rows.batch(chosen), generator)
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.network(batch.inputs["image"]), batch.labels)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(chosen)
        return float(total) / self.rows.count


if __name__ == "__main__":
    main()

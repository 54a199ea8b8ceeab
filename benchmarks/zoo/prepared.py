"""A network of the zoo in a folder: a factory, its weights, its samples, and what PyTorch answers to each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.zoo.net import Net, network, outputs, samples, tensors
from benchmarks.zoo.registry import nets

FACTORY = '''"""{name} of the zoo: its factory."""
from benchmarks.zoo.prepared import load


def net():
    return load("{name}", {seed}, r"{folder}")
'''


def prepare(name: str, seed: int, folder: Path) -> int:
    """Write the files of one network; returns the number of its parameters.

    Raises:
        ValueError: An output is not finite, or the same for all samples: such a network shows nothing.
    """
    import torch

    net = nets()[name]
    torch.manual_seed(seed)
    module, feeds = network(net, seed), samples(net, seed)
    answers = reference(module, feeds)
    for place, array in enumerate(answers):
        if not np.isfinite(array).all() or (array == array[:1]).all():
            raise ValueError(f"output {place} of '{name}' is constant or not finite")
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), folder / "weights.pt")
    np.savez(folder / "samples.npz", **feeds)  # type: ignore[arg-type]  # names of arguments
    np.savez(folder / "expected.npz", *answers)
    (folder / "net.py").write_text(FACTORY.format(name=name, seed=seed, folder=folder), encoding="utf-8")
    return sum(one.numel() for one in module.parameters())


def reference(module: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What the network answers to each sample alone, an array per output whose first axis is the samples."""
    import torch

    with torch.no_grad():
        count = len(next(iter(feeds.values())))
        rows = [list(outputs(module(**tensors(one_of(feeds, place))))) for place in range(count)]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def one_of(feeds: dict[str, np.ndarray], place: int) -> dict[str, np.ndarray]:
    """One sample as a batch of one."""
    return {name: np.ascontiguousarray(array[place : place + 1]) for name, array in feeds.items()}


def load(name: str, seed: int, folder: str) -> Any:
    """The network of a prepared folder, in evaluation mode."""
    import torch

    net: Net = nets()[name]
    torch.manual_seed(seed)
    module = net.build()
    module.load_state_dict(torch.load(Path(folder) / "weights.pt", weights_only=True))
    return module.eval()

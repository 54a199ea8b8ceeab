"""What a row of the zoo is: a network with seeded random weights, its spec, and realistic samples."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

Feeds = dict[str, np.ndarray]
"""Sixteen samples: an array per input, its first axis the samples."""

COUNT = 16


class Net(NamedTuple):
    """One network of the zoo.

    `source` is `own`, or the package whose code is built from a config; `inputs` and `sizes` are texts of `--input`
    and `--sizes`, empty where the samples say it all. `int8` is how a plain script would quantize it: `static` or
    `dynamic`. `mixed` names the axis along which an output mixes scales, such as boxes in pixels beside scores: the
    independent judge looks at every channel of it.
    """

    name: str
    kind: str
    build: Callable[[], Any]
    samples: Callable[[np.random.Generator], Feeds]
    source: str = "own"
    inputs: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    int8: str = "static"
    mixed: int | None = None
    weights: str = "random"


def foreign(name: str) -> Any:
    """A module of a package that only the zoo's own environment has."""
    return importlib.import_module(name)


def network(net: Net, seed: int) -> Any:
    """The network with weights of this seed, its batch norms settled on its samples, in evaluation mode."""
    import torch

    torch.manual_seed(seed)
    module = net.build()
    if net.weights == "random":
        enliven(module)
        settle(module, tensors(samples(net, seed)))
    return module.eval()


def samples(net: Net, seed: int) -> Feeds:
    """The samples of this seed, under the names of the arguments of `forward`."""
    return net.samples(np.random.default_rng(seed))


def tensors(feeds: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The same values as tensors."""
    import torch

    return {name: torch.from_numpy(array) for name, array in feeds.items()}


def enliven(module: Any) -> None:
    """Give weights that begin so small that outputs would be constant the size of a trained network's."""
    import torch

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() >= 2 and parameter[0].numel() > 1:
                wanted = 1.2 * parameter[0].numel() ** -0.5
                if parameter.std() < 0.6 * wanted:
                    parameter.normal_(0, wanted)
            elif "gamma" in name or "layer_scale" in name:
                parameter.uniform_(0.3, 1.0)


def settle(module: Any, feeds: Mapping[str, Any]) -> None:
    """Fit the statistics of every batch norm to the samples, and let its weights differ by channel."""
    import torch

    norms = [one for one in module.modules() if isinstance(one, torch.nn.modules.batchnorm._BatchNorm)]
    module.eval()
    for norm in norms:
        norm.momentum = None
        if norm.affine:
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(norm.bias, 0, 0.2)
        norm.reset_running_stats()
        norm.train()
    if norms:
        with torch.no_grad():
            module(**feeds)
    module.eval()


def outputs(result: Any) -> Iterator[np.ndarray]:
    """The arrays of what a network returns, in order; what is None is left out."""
    import torch

    for leaf in torch.utils._pytree.tree_leaves(result):
        if isinstance(leaf, torch.Tensor):
            yield leaf.detach().numpy()
        for layer in getattr(leaf, "layers", ()):  # a cache of transformers
            yield from (layer.keys.detach().numpy(), layer.values.detach().numpy())

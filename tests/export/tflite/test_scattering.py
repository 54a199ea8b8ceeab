"""Rows are added, reduced and bagged by index in TFLite as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, one_hot

from edgekit.core.errors import UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.tflite import scattering
from edgekit.export.tflite.exporter import TfliteExporter
from edgekit.runtime.backends.litert import LiteRT

SEED = torch.Generator().manual_seed(0)
ROWS, TABLE = torch.randn((6, 5), generator=SEED), torch.randn((20, 5), generator=SEED)
PLACES = torch.randint(0, 4, (6, 5), generator=SEED)
LINE = torch.tensor([3, 0, 3, 1, 1, 3])
BAGS = torch.tensor([0, 2, 2, 4])


@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_values_with_one_index_are_reduced(reduce: str, include_self: bool) -> None:
    x = torch.randn((4, 5), generator=SEED)

    found = scattering.scatter_reduce(x, 0, PLACES, ROWS, reduce, include_self=include_self)

    assert torch.allclose(found, x.scatter_reduce(0, PLACES, ROWS, reduce, include_self=include_self), atol=1e-6)


def test_rows_are_added_at_their_index() -> None:
    x, numbers = torch.ones(2, 4, 3), torch.arange(36).reshape(2, 6, 3)

    added = scattering.index_add(x, 1, LINE, numbers.float(), alpha=2)
    whole = scattering.index_add(x.long(), 1, LINE, numbers)
    expanded = scattering.scatter_add(torch.zeros(4, 5), 0, LINE[:, None].expand(6, 5), ROWS)
    put = scattering.index_put(torch.zeros(4, 5), (LINE[:3], torch.tensor([-1, 2, -1])), ROWS[:3, 0], accumulate=True)

    assert torch.equal(added, x.index_add(1, LINE, numbers.float(), alpha=2))
    assert torch.equal(whole, x.long().index_add(1, LINE, numbers))
    assert torch.allclose(expanded, torch.zeros(4, 5).index_add(0, LINE, ROWS), atol=1e-6)
    wanted = torch.zeros(4, 5).index_put((LINE[:3], torch.tensor([-1, 2, -1])), ROWS[:3, 0], accumulate=True)
    assert torch.allclose(put, wanted, atol=1e-6)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 3])
@pytest.mark.parametrize("offsets", [BAGS, torch.tensor([0])], ids=["bags", "one bag"])
def test_bags_are_reduced(mode: str, padding: int | None, offsets: Tensor) -> None:
    number = {"sum": 0, "mean": 1, "max": 2}[mode]

    found = scattering.bags(TABLE, LINE, offsets, mode=number, padding_idx=-1 if padding is None else padding)[0]

    assert torch.allclose(found, embedding_bag(LINE, TABLE, offsets, mode=mode, padding_idx=padding), atol=1e-6)


def test_too_many_places_are_refused() -> None:
    with pytest.raises(UserError, match="adds rows by index") as caught:
        scattering.index_add(torch.zeros(100_000, 1), 0, torch.zeros(1000, dtype=torch.int64), torch.zeros(1000, 1))

    assert "onnx" in (caught.value.hint or "")


class Everything(nn.Module):
    """(6, 5), (6, 5), (6): what LiteRT has no kernel for, each an output of its own."""

    functions: tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...] = (
        lambda x, _, line: torch.ones(4, 5).index_add(0, line, x),
        lambda x, places, _: torch.ones(4, 5).scatter_add(0, places, x),
        lambda x, places, _: torch.ones(4, 5).scatter_reduce(0, places, x, "amax"),
        lambda x, _, line: torch.ones(4, 5).index_put((line,), x, accumulate=True),
        lambda x, *_: x.clone().index_put((x > 0,), torch.tensor(0.5)),
        lambda _, places, line: one_hot(line, 6).float() + one_hot(places[:, 0], 6).float(),
        lambda _, places, line: (
            embedding_bag(places, TABLE, mode="mean") + embedding_bag(line[None], TABLE, mode="sum")
        ),
        lambda x, _, line: embedding_bag(line, TABLE, BAGS, mode="sum", per_sample_weights=x[:, 0]),
        lambda x, *_: x @ torch.eye(5) + torch.eye(6, 5),
    )

    def forward(self, x: Tensor, places: Tensor, line: Tensor) -> tuple[Tensor, ...]:
        return tuple(function(x, places, line) for function in self.functions)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the converter uses what torch and jax are about to remove
def test_litert_answers_as_pytorch_does(tmp_path: Path) -> None:
    module, feed = Everything().eval(), {"x": ROWS.numpy(), "places": PLACES.numpy(), "line": LINE.numpy()}
    expected = {f"y{place}": one.numpy() for place, one in enumerate(module(ROWS, PLACES, LINE))}
    inputs, outputs = (tuple(TensorSpec(n, str(a.dtype), a.shape) for n, a in of.items()) for of in (feed, expected))

    TfliteExporter().export(module, ModelSpec("net", "other", inputs, outputs), feed, tmp_path / "net.tflite")

    with LiteRT().open(tmp_path / "net.tflite", {}) as session:
        found = session.run(feed)
    for name, wanted in expected.items():
        assert np.allclose(found[name], wanted, atol=1e-5), name

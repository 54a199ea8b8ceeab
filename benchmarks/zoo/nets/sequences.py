"""Recurrent and convolutional networks for series and text, tables, recommenders, and clouds of points."""

from __future__ import annotations

import torch
from benchmarks.zoo.feeds import choices, clouds, masks, numbers, series, text, words
from benchmarks.zoo.net import Net
from benchmarks.zoo.nets.layers import Attention, Block, masked
from torch import Tensor, nn
from torch.nn import functional

COLUMNS = (12, 31, 7, 50)


class Forecaster(nn.Module):
    """An LSTM over a window; the next eight values."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(5, 32, 2, batch_first=True), nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Temporal(nn.Module):
    """Causal dilated convolutions with residuals."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv1d(5, width, 1), nn.Conv1d(width, 3, 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=2**place) for place in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.transpose(1, 2))
        for layer in self.layers:
            x = x + layer(functional.pad(x, (2 * layer.dilation[0], 0))).relu()
        return self.head(x).transpose(1, 2)


class Patches(nn.Module):
    """A transformer over patches of a series, each channel alone, normalized and restored, as PatchTST does."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(8, width), nn.Parameter(torch.randn(8, width) * 0.3)
        self.blocks, self.head = nn.ModuleList(Block(width) for _ in range(2)), nn.Linear(8 * width, 6)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        mean, spread = x.mean(1, keepdim=True), x.std(1, keepdim=True) + 1e-5
        cut = ((x - mean) / spread).transpose(1, 2).unfold(2, 8, 8)
        h = self.embed(cut.reshape(n * c, t // 8, 8)) + self.place
        for block in self.blocks:
            h = block(h)
        return self.head(h.flatten(1)).reshape(n, c, 6).transpose(1, 2) * spread + mean


class Tagger(nn.Module):
    """A tag for every word, from a bidirectional LSTM."""

    def __init__(self, vocabulary: int = 300) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(vocabulary, 24), nn.LSTM(24, 24, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 9)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(tokens))[0])


class WordGru(nn.Module):
    """The next word from the last one and the state, one step at a time."""

    def __init__(self, vocabulary: int = 300, width: int = 40) -> None:
        super().__init__()
        self.embed, self.cell, self.head = (
            nn.Embedding(vocabulary, width),
            nn.GRUCell(width, width),
            nn.Linear(width, 300),
        )

    def forward(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(self.embed(token), state)
        return self.head(state), state


class TextConv(nn.Module):
    """Convolutions of three widths over words, and the maximum over time."""

    def __init__(self, vocabulary: int = 400) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 32, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(32, 24, size) for size in (3, 4, 5))
        self.head = nn.Linear(72, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens).transpose(1, 2)
        return self.head(torch.cat([one(x).relu().amax(2) for one in self.convs], 1))


class Classifier(nn.Module):
    """A small transformer with a padding mask, and the mean of the valid words."""

    def __init__(self, vocabulary: int = 400, width: int = 48) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(vocabulary, width), nn.Embedding(24, width)
        self.blocks, self.head = nn.ModuleList(Block(width) for _ in range(2)), nn.Linear(width, 5)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.embed(input_ids) + self.place.weight[: input_ids.shape[1]]
        for block in self.blocks:
            x = block(x, masked(attention_mask))
        weight = attention_mask[:, :, None].float()
        return self.head((x * weight).sum(1) / weight.sum(1))


class Rotary(nn.Module):
    """A causal language model with rotary places, gated feed-forwards and RMS norms."""

    def __init__(self, vocabulary: int = 300, width: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.embed, self.heads = nn.Embedding(vocabulary, width), heads
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, 2 * width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.down, self.first, self.second = nn.Linear(2 * width, width), nn.RMSNorm(width), nn.RMSNorm(width)

    def turned(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        rate = 1 / 1000 ** (torch.arange(half) / half)
        angle = torch.arange(x.shape[-2])[:, None] * rate
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        n, t, f = x.shape
        q, k, v = (one.reshape(n, t, self.heads, -1).transpose(1, 2) for one in self.qkv(self.first(x)).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(self.turned(q), self.turned(k), v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, f))
        normal = self.second(x)
        x = x + self.down(functional.silu(self.gate(normal)) * self.up(normal))
        return functional.linear(x, self.embed.weight)


class Translator(nn.Module):
    """nn.Transformer from a source to a target written so far, with padding in the source."""

    def __init__(self, vocabulary: int = 200, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.body = nn.Transformer(width, 4, 1, 1, 64, 0.0, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        ahead = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        seen = self.body(self.embed(source), self.embed(target), tgt_mask=ahead, tgt_is_causal=True)
        return self.head(seen)


class Table(nn.Module):
    """Embedded categories beside normalized numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Embedding(size, 4) for size in COLUMNS)
        self.norm = nn.BatchNorm1d(6)
        self.body = nn.Sequential(nn.Linear(22, 48), nn.ReLU(), nn.BatchNorm1d(48), nn.Linear(48, 24), nn.SELU())
        self.head = nn.Linear(24, 1)

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        parts = [embed(categories[:, place]) for place, embed in enumerate(self.embed)]
        return self.head(self.body(torch.cat([*parts, self.norm(numbers)], 1))).squeeze(1)


class FeatureTransformer(nn.Module):
    """Every column a token, a class token in front, attention between them."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.shift = sum(COLUMNS)
        self.embed = nn.Embedding(sum(COLUMNS), width)
        self.register_buffer("offsets", torch.tensor([0, 12, 43, 50]))
        self.weight, self.bias = nn.Parameter(torch.randn(6, width)), nn.Parameter(torch.randn(6, width))
        self.token, self.blocks = nn.Parameter(torch.randn(1, 1, width)), nn.ModuleList(Block(width) for _ in range(2))
        self.head = nn.Linear(width, 3)

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        named, measured = self.embed(categories + self.offsets), numbers[:, :, None] * self.weight + self.bias
        x = torch.cat([self.token.expand(numbers.shape[0], -1, -1), named, measured], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class Recommender(nn.Module):
    """Bags of items and numbers, and the products of every pair, as DLRM has them."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(200, width, mode="sum") for _ in range(3))
        self.below = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, width), nn.ReLU())
        self.above = nn.Sequential(nn.Linear(width + 6, 32), nn.ReLU(), nn.Linear(32, 1))
        self.register_buffer("pairs", torch.triu_indices(4, 4, 1))

    def forward(self, dense: Tensor, items: Tensor) -> Tensor:
        low = self.below(dense)
        vectors = torch.stack([low, *(bag(items[:, place]) for place, bag in enumerate(self.bags))], 1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))[:, self.pairs[0], self.pairs[1]]
        return self.above(torch.cat([low, products], 1)).sigmoid()


class TwoTowers(nn.Module):
    """A user and an item, each embedded by a tower: their cosine, and both vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(100, 16), nn.Embedding(500, 16)
        self.left = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
        self.right = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))

    def forward(self, user: Tensor, item: Tensor) -> dict[str, Tensor]:
        left, right = self.left(self.users(user)), self.right(self.items(item))
        return {"score": functional.cosine_similarity(left, right), "user_vector": left, "item_vector": right}


class CrossNetwork(nn.Module):
    """Explicit crosses beside a deep part, as DCN-v2 has them."""

    def __init__(self, width: int = 20) -> None:
        super().__init__()
        self.crosses = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.deep, self.head = (
            nn.Sequential(nn.Linear(width, 32), nn.Mish(), nn.Linear(32, 16)),
            nn.Linear(width + 16, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        first = x
        for cross in self.crosses:
            x = first * cross(x) + x
        return self.head(torch.cat([x, self.deep(first)], 1))


class SelfRecommender(nn.Module):
    """The next item from a history with padding, as SASRec has it; scores against all items."""

    def __init__(self, items: int = 200, width: int = 32) -> None:
        super().__init__()
        self.embed, self.place, self.block = (
            nn.Embedding(items, width, padding_idx=0),
            nn.Embedding(16, width),
            Block(width),
        )

    def forward(self, history: Tensor) -> Tensor:
        x = self.embed(history) + self.place.weight
        x = self.block(x * (history > 0)[:, :, None], causal=True)
        return x[:, -1] @ self.embed.weight.T


class PointNet(nn.Module):
    """Shared layers over points, a learned rotation, and the maximum over all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Sequential(
            nn.Conv1d(3, 24, 1), nn.BatchNorm1d(24), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten()
        )
        self.angles = nn.Linear(24, 9)
        self.body = nn.Sequential(
            nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 64, 1), nn.BatchNorm1d(64)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        turn = self.angles(self.turn(points)).reshape(-1, 3, 3) + torch.eye(3)
        return self.head(self.body(torch.bmm(turn, points)).amax(2)).log_softmax(1), turn


class PointNeighbours(nn.Module):
    """The nearest neighbours of every point, found by topk and gathered, as DGCNN does."""

    def __init__(self, near: int = 6) -> None:
        super().__init__()
        self.near = near
        self.edge = nn.Sequential(nn.Conv2d(6, 32, 1), nn.BatchNorm2d(32), nn.LeakyReLU(0.2))
        self.head = nn.Linear(64, 8)

    def forward(self, points: Tensor) -> Tensor:
        x = points.transpose(1, 2)
        square = (x**2).sum(2)
        distance = square[:, :, None] + square[:, None] - 2 * x @ x.transpose(1, 2)
        near = distance.topk(self.near, dim=2, largest=False)[1]
        rows = near.flatten(1)[:, :, None].expand(-1, -1, 3)
        gathered = x.gather(1, rows).reshape(x.shape[0], -1, self.near, 3)
        here = x[:, :, None].expand_as(gathered)
        edges = self.edge(torch.cat([here, gathered - here], 3).permute(0, 3, 1, 2)).amax(3)
        return self.head(torch.cat([edges.amax(2), edges.mean(2)], 1))


class Set(nn.Module):
    """A set of objects with a mask: attention between them, and the sum of those that are there."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem, self.attention, self.norm = nn.Linear(6, width), Attention(width, 4), nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(width, 32), nn.ELU(), nn.Linear(32, 4))

    def forward(self, objects: Tensor, valid: Tensor) -> Tensor:
        x = self.stem(objects)
        x = self.norm(x + self.attention(x, valid[:, None, None]))
        return self.head((x * valid[:, :, None]).sum(1))


NETS = (
    Net("lstm-forecast", "recurrent", Forecaster, lambda r: {"x": series(r, 24, 5)}, int8="dynamic"),
    Net("tcn", "recurrent", Temporal, lambda r: {"x": series(r, 48, 5)}),
    Net("patch-transformer", "recurrent", Patches, lambda r: {"x": series(r, 64, 3)}, int8="dynamic"),
    Net("bilstm-tagger", "text", Tagger, lambda r: {"tokens": words(r, 300, 20)}, int8="dynamic"),
    Net(
        "gru-next-word",
        "streaming",
        WordGru,
        lambda r: {"token": words(r, 300, 1)[:, 0], "state": numbers(r, 40).clip(-1, 1)},
        int8="dynamic",
    ),
    Net("text-cnn", "text", TextConv, lambda r: {"tokens": words(r, 400, 24)}),
    Net("masked-transformer", "text", Classifier, lambda r: text(r, 400, 24), int8="dynamic"),
    Net("rotary-language-model", "text", Rotary, lambda r: {"tokens": words(r, 300, 16)}, int8="dynamic"),
    Net(
        "translator",
        "text",
        Translator,
        lambda r: {"source": words(r, 200, 12), "target": words(r, 200, 8)},
        int8="dynamic",
    ),
    Net(
        "table",
        "tabular",
        Table,
        lambda r: {"categories": choices(r, COLUMNS), "numbers": numbers(r, 6)},
        int8="dynamic",
    ),
    Net(
        "feature-transformer",
        "tabular",
        FeatureTransformer,
        lambda r: {"categories": choices(r, COLUMNS), "numbers": numbers(r, 6)},
        int8="dynamic",
    ),
    Net(
        "dlrm",
        "recommender",
        Recommender,
        lambda r: {"dense": numbers(r, 6), "items": words(r, 200, 15).reshape(-1, 3, 5)},
        int8="dynamic",
    ),
    Net(
        "two-towers",
        "recommender",
        TwoTowers,
        lambda r: {"user": words(r, 100, 1)[:, 0], "item": words(r, 500, 1)[:, 0]},
        int8="dynamic",
    ),
    Net("cross-network", "recommender", CrossNetwork, lambda r: {"x": numbers(r, 20)}),
    Net("sasrec", "recommender", SelfRecommender, lambda r: {"history": words(r, 200, 16)}, int8="dynamic"),
    Net("pointnet", "points", PointNet, lambda r: {"points": clouds(r, 128)}),
    Net("point-neighbours", "points", PointNeighbours, lambda r: {"points": clouds(r, 64)}),
    Net(
        "object-set",
        "points",
        Set,
        lambda r: {"objects": numbers(r, 10, 6), "valid": masks(r, 10).astype(bool)},
        int8="dynamic",
    ),
)

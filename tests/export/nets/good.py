"""Networks that convert, in a file outside the package: a few hundred weights each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Cnn(nn.Module):
    """(N, 1, 8, 8) -> (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(8 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))


class Two(nn.Module):
    """(N, 8), (N, 4) -> logits (N, 3), hidden (N, 16); the parameters stand in another order than the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(8, 16), nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, right: Tensor, left: Tensor) -> dict[str, Tensor]:
        hidden = torch.tanh(self.left(left) + self.right(right))
        return {"logits": self.head(hidden), "hidden": hidden}


class Prototypes(nn.Module):
    """(N, 8), (K, 8) -> (N, K): how near each row is to each prototype of a table without a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        return (self.body(x) @ self.body(table).T).softmax(-1)


class Recurrent(nn.Module):
    """(N, T, 6) -> (N, T, 4), (N, 12)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 12, batch_first=True), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        steps, (hidden, _) = self.lstm(x)
        return self.head(steps), hidden[-1]


class Strided(nn.Module):
    """(N, 3, T) -> (N, 8, T / 2): an output axis that follows from a free one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 8, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x))


class Tokens(nn.Module):
    """(N, T) of 20 token ids, 0 for padding, -> (N, 3): padding changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(20, 8, padding_idx=0), nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        count = (tokens > 0).sum(1, keepdim=True).clamp(min=1)
        return self.head(self.embedding(tokens).sum(1) / count)


class Attention(nn.Module):
    """(N, T, 8) -> (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(1))


class Generator(nn.Module):
    """(N, 6) -> (N, 1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Linear(6, 8 * 4 * 4)
        self.up = nn.ConvTranspose2d(8, 1, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.up(torch.relu(self.grow(z)).view(-1, 8, 4, 4)))


class Chosen(nn.Module):
    """(N, 6) -> scores (N, 4) and the best class (N,): an output that the graph reads again."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.head(torch.relu(self.body(x)))
        return scores, scores.argmax(-1)


class Single(nn.Module):
    """(6,) -> (4,): no batch axis at all."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.head(x))


class Frozen(nn.Module):
    """(N, 6) -> (N, 4), row by row in Python: a traced graph has as many rows as it was traced with."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.head(row) for row in x])


class Looping(nn.Module):
    """(N, T, 6) -> (N, 8), step by step in Python: a traced graph has as many steps as it was traced with."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(14, 8)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[0], 8)
        for step in range(x.shape[1]):
            state = torch.tanh(self.cell(torch.cat([x[:, step], state], dim=1)))
        return state


class Mean(nn.Module):
    """(N, 3, T) -> (N, 4): a mean over steps, which spreads wider the fewer of them there are."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv1d(3, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.body(x).mean(-1))
        return result


class Wide(nn.Module):
    """(N, 64) -> (N, 10): dense layers, most of which is weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(64, 256), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(torch.relu(self.body(x)))
        return result


class Detector(nn.Module):
    """(N, 1, 8, 8) -> (N, 5, 16): two coordinates in pixels of 640, then three scores, joined as detectors do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(1, 16, 3, 2, 1)
        self.place, self.scores = nn.Conv2d(16, 2, 1), nn.Conv2d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        body = torch.relu(self.body(x))
        return torch.cat((self.place(body).sigmoid() * 640, self.scores(body).sigmoid()), 1).flatten(2)


class TimeMajor(nn.Module):
    """(N, T, 4) -> (T, N, 5), as CTC wants it, a number per call, and a number that is always the same."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> dict[str, Any]:
        scores = self.linear(x).transpose(0, 1).log_softmax(-1)
        return {"scores": scores, "loss": scores.mean(), "classes": 5}


class OneRow(nn.Module):
    """Forgets the batch: right for one sample only."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.reshape(1, -1))


class Positive(nn.Module):
    """(1, 12) -> (any number): only the positive values."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0] * 2


class Gated(nn.Module):
    """(N, T, 8) -> (N, 4), by a GRU, which the dynamic quantizer of ONNX Runtime leaves in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[0][:, -1])


class Repeating(nn.Module):
    """(N, T, 8) -> (N, 3): a learnt query, once per sample, reads the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(1, 4, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        query = self.query.repeat(int(x.size(0)), 1, 1)
        return self.linear(self.attention(query, x, x, need_weights=False)[0][:, 0])


class Speech(nn.Module):
    """(N, T) -> (N, T / 20, 8): convolutions with a group normalization over time, then attention, as in wav2vec2."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv1d(1, 32, 10, 5, bias=False), nn.GroupNorm(32, 32)
        self.second, self.layer_norm = nn.Conv1d(32, 32, 4, 4, bias=False), nn.LayerNorm(32)
        self.place = nn.Conv1d(32, 32, 8, padding=4, groups=4)
        layer = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True, activation="gelu")
        self.body, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.gelu(self.norm(self.first(x.unsqueeze(1))))
        x = self.layer_norm(nn.functional.gelu(self.second(x)).transpose(1, 2))
        place = nn.functional.gelu(self.place(x.transpose(1, 2))[:, :, :-1])
        return self.head(self.body(x + place.transpose(1, 2)))


class Lifted(nn.Module):
    """(N, 6, 16) -> (N, 6, 3): attention, and then a small layer that reads values far from zero."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.body = (nn.Linear(16, 16) for _ in range(4))
        self.far = nn.Linear(16, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = (self.query(x) @ self.key(x).transpose(1, 2)).softmax(-1)
        return self.far(self.body(x + weights @ self.value(x)) + 300) - 300 * self.far.weight.sum(1)


class Shifted(nn.Module):
    """(N, 1, 8, 8) -> (N, 3): after a body of most of the work, values far from zero whose differences count."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU())
        self.far = nn.Conv2d(16, 3, 1)
        with torch.no_grad():
            self.far.bias.fill_(100)

    def forward(self, x: Tensor) -> Tensor:
        return self.far(self.body(x)).mean((2, 3)) - 100

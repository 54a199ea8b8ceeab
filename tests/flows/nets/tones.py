"""A network that hears letters as tones, with the outputs that CTC trains: one score of each symbol at each moment."""

import math

import torch
from torch import Tensor, nn

RATE, FRAME, STEP = 8000, 160, 80
# The tone of each symbol after the blank: a space and four letters.
HERTZ = (500, 900, 1300, 1700, 2100)


class Listener(nn.Module):
    """The energy at each tone in frames of 20 ms; it needs no training."""

    def __init__(self) -> None:
        super().__init__()
        self.waves = nn.Conv1d(1, 2 * len(HERTZ), FRAME, stride=STEP, bias=False)
        self.score = nn.Conv1d(2 * len(HERTZ), 1 + len(HERTZ), 1)
        time = torch.arange(FRAME) / RATE
        with torch.no_grad():
            for place, hertz in enumerate(HERTZ):
                turn = 2 * math.pi * hertz * time
                self.waves.weight[2 * place, 0] = torch.sin(turn) * 2 / FRAME
                self.waves.weight[2 * place + 1, 0] = torch.cos(turn) * 2 / FRAME
            self.score.weight.zero_()
            self.score.bias.fill_(-3.0)
            self.score.bias[0] = 0.0
            for place in range(len(HERTZ)):
                self.score.weight[1 + place, 2 * place : 2 * place + 2] = 60.0

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (N, T, K) of sounds (N, samples), the blank first."""
        return self.scores(x).transpose(1, 2).log_softmax(-1)

    def scores(self, x: Tensor) -> Tensor:
        """Logits (N, K, T)."""
        return self.score(self.waves(x[:, None]).square())


class TimeFirst(Listener):
    """The same with time first, as `torch.nn.CTCLoss` takes it, and without a softmax."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (T, N, K)."""
        return self.scores(x).permute(2, 0, 1)

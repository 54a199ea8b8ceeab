"""Networks whose outputs are labels on their own: one score for two classes, and one for each of four labels."""

import torch
from torch import Tensor, nn


class Single(nn.Module):
    """The sum of the features; it needs no training."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(4, 1)
        with torch.no_grad():
            self.score.weight.fill_(1.0)
            self.score.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """One logit, (N, 1)."""
        return self.score(x)


class Several(nn.Module):
    """Each feature is the score of one label."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(4, 4)
        with torch.no_grad():
            self.score.weight.copy_(3 * torch.eye(4))
            self.score.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities, (N, 4)."""
        return torch.sigmoid(self.score(x))

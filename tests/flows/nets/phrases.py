"""A network that translates word by word: tokens in, scores of the tokens of another language out."""

import torch
from torch import Tensor, nn

WORDS, WIDTH = 24, 16


class Phrases(nn.Module):
    """Each token becomes the one with its number; the weights were drawn, so that a few are mistaken for others."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        table = torch.randn(WORDS, WIDTH, generator=generator)
        self.words = nn.Embedding(WORDS, WIDTH)
        self.mixed = nn.Linear(WIDTH, WIDTH)
        self.score = nn.Linear(WIDTH, WORDS)
        with torch.no_grad():
            self.words.weight.copy_(table)
            self.mixed.weight.copy_(torch.eye(WIDTH) + 0.2 * torch.randn(WIDTH, WIDTH, generator=generator))
            self.mixed.bias.zero_()
            self.score.weight.copy_(table)
            self.score.bias.copy_(-table.square().sum(1) / 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores (N, T, WORDS) of tokens (N, T)."""
        return self.score(self.mixed(self.words(tokens)))

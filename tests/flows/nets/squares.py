"""A detector of red, green and blue squares on a grid, as an anchor-free network writes its boxes and 80 scores."""

import torch
from torch import Tensor, nn

CELL, SIDE, CLASSES = 16, 64, 80


class Squares(nn.Module):
    """One candidate for each cell of 16 pixels; it needs no training."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.score = nn.AvgPool2d(CELL), nn.Conv2d(3, CLASSES, 1)
        with torch.no_grad():
            self.score.weight.zero_()
            self.score.bias.fill_(-8.0)
            self.score.weight[:3] = (32 * torch.eye(3) - 16)[..., None, None]
        places = (torch.arange(SIDE // CELL) + 0.5) * CELL
        y, x = torch.meshgrid(places, places, indexing="ij")
        self.register_buffer("places", torch.stack([x, y]).flatten(1)[None])

    def parts(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Centres and sizes (N, 4, 16) in pixels, and scores (N, 80, 16)."""
        pooled = self.pool(image)
        nothing = 0 * pooled.mean(1).flatten(1)[:, None]  # (N, 1, 16): the batch of the image
        boxes = torch.cat([self.places + nothing, CELL + nothing, CELL + nothing], 1)
        return boxes, torch.sigmoid(self.score(pooled).flatten(2))

    def forward(self, image: Tensor) -> Tensor:
        """Boxes and scores joined, (N, 84, 16)."""
        return torch.cat(self.parts(image), 1)


class Split(Squares):
    """The same with two outputs."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (N, 4, 16) and scores (N, 80, 16)."""
        return self.parts(image)

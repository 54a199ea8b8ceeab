"""Detectors: boxes beside scores, in all the forms in which heads return them, and keypoints."""

from __future__ import annotations

import torch
from benchmarks.zoo.feeds import crops, pictures
from benchmarks.zoo.net import Net
from benchmarks.zoo.nets.layers import Attention, Block, Pyramid, Residual, conv
from torch import Tensor, nn

SIZE, CLASSES = 96, 6


def cells(size: int = SIZE) -> tuple[Tensor, Tensor]:
    """Centres (2, A) in pixels and strides (1, A) of the cells of a pyramid."""
    centres, strides = [], []
    for stride in (8, 16, 32):
        line = torch.arange(size // stride) + 0.5
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        centres.append(torch.stack([columns.flatten(), rows.flatten()]) * stride)
        strides.append(torch.full((1, line.numel() ** 2), float(stride)))
    return torch.cat(centres, 1), torch.cat(strides, 1)


class YoloJoined(nn.Module):
    """Boxes in pixels joined with sigmoid scores, (N, 4 + classes, A), as Ultralytics exports them."""

    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid()
        self.boxes = nn.ModuleList(nn.Sequential(conv(64, 32), nn.Conv2d(32, 64, 1)) for _ in range(3))
        self.scores = nn.ModuleList(nn.Sequential(conv(64, 32), nn.Conv2d(32, CLASSES, 1)) for _ in range(3))
        self.register_buffer("bins", torch.arange(16.0))
        centres, strides = cells()
        self.register_buffer("centres", centres)
        self.register_buffer("strides", strides)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        levels = self.pyramid(x)
        raw = torch.cat([head(level).flatten(2) for head, level in zip(self.boxes, levels, strict=True)], 2)
        scores = torch.cat([head(level).flatten(2) for head, level in zip(self.scores, levels, strict=True)], 2)
        share = raw.reshape(raw.shape[0], 4, 16, -1).softmax(2)
        sides = (share * self.bins[None, None, :, None]).sum(2)
        near, far = sides.chunk(2, 1)
        low, high = self.centres - near * self.strides, self.centres + far * self.strides
        return torch.cat([(low + high) / 2, high - low], 1), scores

    def forward(self, x: Tensor) -> Tensor:
        boxes, scores = self.heads(x)
        return torch.cat([boxes, scores.sigmoid()], 1)


class YoloParts(YoloJoined):
    """The same in two outputs, boxes as a share of the picture."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        boxes, scores = self.heads(x)
        return {"boxes": boxes.transpose(1, 2) / SIZE, "scores": scores.transpose(1, 2).sigmoid()}


class YoloFive(nn.Module):
    """Anchors, objectness and classes in one tensor (N, A, 5 + classes), decoded in place as YOLOv5 does."""

    def __init__(self) -> None:
        super().__init__()
        self.pyramid, self.each = Pyramid(), 5 + CLASSES
        self.heads = nn.ModuleList(nn.Conv2d(64, 3 * self.each, 1) for _ in range(3))
        anchors = torch.tensor([[10.0, 13], [16, 30], [33, 23]])
        self.register_buffer("anchors", anchors[None, :, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for stride, level, head in zip((8, 16, 32), self.pyramid(x), self.heads, strict=True):
            n, _, rows, columns = level.shape
            raw = head(level).view(n, 3, self.each, rows, columns).sigmoid()
            y, x_ = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            grid = torch.stack([x_, y]).to(raw.dtype)[None, None]
            centre = (raw[:, :, :2] * 2 - 0.5 + grid) * stride
            size = (raw[:, :, 2:4] * 2) ** 2 * self.anchors * (stride / 8)
            joined = torch.cat([centre, size, raw[:, :, 4:]], 2)
            found.append(joined.permute(0, 1, 3, 4, 2).reshape(n, -1, self.each))
        return torch.cat(found, 1)


class Ssd(nn.Module):
    """Offsets of default boxes, and softmax over classes with a background."""

    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid()
        self.places = nn.ModuleList(nn.Conv2d(64, 4 * 4, 3, padding=1) for _ in range(3))
        self.classes = nn.ModuleList(nn.Conv2d(64, 4 * (CLASSES + 1), 3, padding=1) for _ in range(3))
        centres, strides = cells()
        boxes = torch.cat([centres, strides * 2, strides * 2]).T / SIZE
        self.register_buffer("defaults", boxes.repeat_interleave(4, 0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        levels = self.pyramid(x)
        place = torch.cat(
            [h(v).permute(0, 2, 3, 1).reshape(v.shape[0], -1, 4) for h, v in zip(self.places, levels, strict=True)], 1
        )
        scores = [
            h(v).permute(0, 2, 3, 1).reshape(v.shape[0], -1, CLASSES + 1)
            for h, v in zip(self.classes, levels, strict=True)
        ]
        centre = self.defaults[:, :2] + place[..., :2] * 0.1 * self.defaults[:, 2:]
        size = self.defaults[:, 2:] * torch.exp(place[..., 2:] * 0.2)
        corners = torch.cat([centre - size / 2, centre + size / 2], -1)
        return corners, torch.cat(scores, 1).softmax(-1)


class CenterNet(nn.Module):
    """A heat map whose peaks max-pooling finds, sizes and offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Residual(32), conv(32, 64, 3, 2), Residual(64))
        self.up = nn.Sequential(nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.heat, self.size, self.offset = nn.Conv2d(32, CLASSES, 1), nn.Conv2d(32, 2, 1), nn.Conv2d(32, 2, 1)
        self.peak = nn.MaxPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.up(self.body(x))
        heat = self.heat(features).sigmoid()
        return {
            "heat": heat,
            "pooled": self.peak(heat),
            "size": self.size(features).exp(),
            "offset": self.offset(features),
        }


class Detr(nn.Module):
    """Queries that look at the features of a picture: logits and boxes for each query."""

    def __init__(self, width: int = 64, queries: int = 20) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 32, 3, 4), conv(32, width, 3, 2), Residual(width), conv(width, width, 3, 2))
        self.place = nn.Parameter(torch.randn(1, (SIZE // 16) ** 2, width))
        self.queries = nn.Parameter(torch.randn(1, queries, width))
        self.encoder = Block(width)
        self.cross = nn.MultiheadAttention(width, 4, batch_first=True)
        self.decoder, self.norm = Block(width), nn.LayerNorm(width)
        self.classes = nn.Linear(width, CLASSES + 1)
        self.boxes = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        memory = self.encoder(self.body(x).flatten(2).transpose(1, 2) + self.place)
        queries = self.queries.expand(x.shape[0], -1, -1)
        seen, _ = self.cross(queries, memory, memory, need_weights=False)
        found = self.norm(self.decoder(queries + seen))
        return {"logits": self.classes(found), "boxes": self.boxes(found).sigmoid()}


class Face(nn.Module):
    """Scores, boxes and five landmarks, all joined in pixels, as small face detectors return them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 3, 2), conv(16, 16, 3, 1, 16), conv(16, 32, 1), conv(32, 48, 3, 4))
        self.deep = nn.Sequential(Residual(48), conv(48, 64, 3, 2))
        self.head = nn.Conv2d(64, 2 * 15, 1)

    def forward(self, x: Tensor) -> Tensor:
        raw = self.head(self.deep(self.body(x)))
        n, _, rows, columns = raw.shape
        raw = raw.reshape(n, 2, 15, rows * columns).permute(0, 3, 1, 2).reshape(n, -1, 15)
        y, x_ = torch.meshgrid(torch.arange(rows) * 16.0, torch.arange(columns) * 16.0, indexing="ij")
        origin = torch.stack([x_, y], -1).reshape(1, -1, 1, 2).repeat(1, 1, 2, 1).reshape(1, -1, 2)
        places = raw[..., 1:].reshape(n, -1, 7, 2) * 16 + origin[:, :, None]
        return torch.cat([raw[..., :1].sigmoid(), places.flatten(2)], -1)


class HeatKeypoints(nn.Module):
    """A heat map per joint, and its expected place, (N, 8, 2) from -1 to 1."""

    def __init__(self, joints: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Residual(32), Residual(32))
        self.up = nn.Sequential(
            nn.ConvTranspose2d(32, 32, 2, 2), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, joints, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        heat = self.up(self.body(x))
        n, joints, rows, columns = heat.shape
        share = heat.flatten(2).softmax(-1).reshape(n, joints, rows, columns)
        across = (share.sum(2) * torch.linspace(-1, 1, columns)).sum(-1)
        down = (share.sum(3) * torch.linspace(-1, 1, rows)).sum(-1)
        return heat, torch.stack([across, down], -1)


class SimccKeypoints(nn.Module):
    """Places as classes along both axes, after attention between joints, as RTMPose does."""

    def __init__(self, joints: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Residual(32), conv(32, 64, 3, 2))
        self.joints, self.flat = nn.Conv2d(64, joints, 7, padding=3), nn.Linear((64 // 8) ** 2, 64)
        self.attention, self.norm = Attention(64, 2), nn.LayerNorm(64)
        self.across, self.down = nn.Linear(64, 128, bias=False), nn.Linear(64, 128, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.flat(self.joints(self.body(x)).flatten(2))
        found = found + self.attention(self.norm(found))
        return self.across(found), self.down(found)


NETS = (
    Net("yolo-joined", "detector", YoloJoined, lambda r: {"x": crops(r, SIZE)}, mixed=1),
    Net("yolo-parts", "detector", YoloParts, lambda r: {"x": crops(r, SIZE)}),
    Net("yolo-five", "detector", YoloFive, lambda r: {"x": crops(r, SIZE)}, mixed=2),
    Net("ssd", "detector", Ssd, lambda r: {"x": pictures(r, SIZE)}),
    Net("centernet", "detector", CenterNet, lambda r: {"x": pictures(r, SIZE)}),
    Net("detr", "detector", Detr, lambda r: {"x": pictures(r, SIZE)}, int8="dynamic"),
    Net("face-landmarks", "detector", Face, lambda r: {"x": crops(r, SIZE)}, mixed=2),
    Net("keypoints-heat", "keypoints", HeatKeypoints, lambda r: {"x": pictures(r, 64)}),
    Net("keypoints-simcc", "keypoints", SimccKeypoints, lambda r: {"x": pictures(r, 64)}),
)

"""A stranger's classifier, photos and Lightning checkpoint become a verdict with the three commands of the example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from edgekit.core.bundle import Bundle
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.flows.reading.preprocess_option import parse_preprocessing
from edgekit.runtime.preprocessing import image_tensor, read_pixels

pytestmark = pytest.mark.slow

STEPS = "resize=36,crop=32,mean=0.485;0.456;0.406,std=0.229;0.224;0.225"
CLASSES = ("apple", "leaf", "sky")
PER_CLASS = 90
NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, image):
        return self.head(self.features(image).mean((2, 3)))
"""


def take_photos(folder: Path) -> Path:
    """Noisy photos of several sizes, of which one colour is stronger: red apples, green leaves, blue sky."""
    chance = np.random.default_rng(0)
    for channel, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            height, width = chance.integers(40, 60, 2)
            pixels = chance.integers(0, 160, (height, width, 3))
            pixels[..., channel] += chance.integers(20, 90)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:03}.jpg")
    return folder


def train(net: nn.Module, photos: Path) -> nn.Module:
    """`net` after a short training on the photos, prepared as torchvision would."""
    how = parse_preprocessing(STEPS)
    assert isinstance(how, ImageInput)
    files = sorted(photos.rglob("*.jpg"))
    images = torch.from_numpy(np.concatenate([image_tensor(read_pixels(file, how), how) for file in files]))
    labels = torch.tensor([CLASSES.index(file.parent.name) for file in files])
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        loss: Tensor = nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def save_as_lightning(net: nn.Module, path: Path) -> None:
    """What `Trainer.save_checkpoint` writes of a LightningModule whose network is `self.model`."""
    state = {f"model.{name}": value for name, value in net.state_dict().items()}
    checkpoint = {
        "epoch": 59,
        "global_step": 60,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": state,
        "loops": {},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.02},
    }
    torch.save(checkpoint, path)


@pytest.mark.timeout(900)
def test_three_commands_lead_from_a_folder_of_photos_to_a_verdict(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    photos = take_photos(tmp_path / "photos")
    space: dict[str, type[nn.Module]] = {}
    exec(NET, space)
    torch.manual_seed(0)
    save_as_lightning(train(space["Net"](), photos), tmp_path / "last.ckpt")
    script = repository / "examples" / "photos" / "verdict.sh"

    done = subprocess.run(
        ["bash", script, "net.py:Net", "last.ckpt", "photos", "photos/leaf/000.jpg", STEPS, "--launches", "5"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        timeout=850,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^edgekit ", script.read_text(encoding="utf-8"), re.MULTILINE)) == 3
    assert "VERDICT: pass" in done.stdout
    assert re.search(r"photos/leaf/000.jpg\n  leaf +\d", done.stdout)
    assert "accuracy.drop <= 5 pt: 142 samples give an interval of" in done.stderr
    with Bundle.open(tmp_path / "photos.edgekit") as bundle:
        assert bundle.spec.labels == CLASSES
        assert bundle.spec.preprocessing == parse_preprocessing(STEPS)

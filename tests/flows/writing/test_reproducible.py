"""Equal inputs give equal bundles, whoever makes them, where and when."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.core.bundle import Bundle, pack
from edgekit.core.system.files import sha256_file

NET = """
import torch
from torch import nn

def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
"""
# One person, and another: home, working folder, time zone, locale, order of sets, umask, temporary files.
PEOPLE = {
    "anna": {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "USER": "anna"},
    "ben": {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "77", "USER": "ben", "COLUMNS": "40"},
}


def start(folder: Path, environment: dict[str, str], umask: int) -> subprocess.Popen[bytes]:
    """An export in `folder`, by someone with a home, a cache and temporary files of their own."""
    places = {"HOME": "home", "EDGEKIT_CACHE": "cache", "TMPDIR": "tmp", "XDG_CONFIG_HOME": "config"}
    for place in places.values():
        (folder / place).mkdir(parents=True)
    variables = {**os.environ, **environment, **{name: str(folder / place) for name, place in places.items()}}
    recipes = "onnx-fp32,onnx-fp16,onnx-int8-static-u8s8,tflite-fp32"
    arguments = ["export", "net.py:net", "--samples", "samples.npz", "--to", recipes, "--out", "made/bundle"]
    (folder / "net.py").write_text(NET)
    shutil.copyfile(folder.parent / "samples.npz", folder / "samples.npz")
    command = [sys.executable, "-m", "edgekit", *arguments]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=variables, umask=umask, stdout=log, stderr=log)


@pytest.mark.slow
def test_two_people_make_the_same_bundle(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    images = drawn.normal(size=(40, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=images, label=drawn.integers(0, 3, 40))
    folders = [tmp_path / "a", tmp_path / "deeper" / "b"]
    folders[1].parent.mkdir()
    shutil.copyfile(tmp_path / "samples.npz", folders[1].parent / "samples.npz")

    # Which of them passes parity is not the matter here.
    umasks = (0o022, 0o077)
    running = [start(*one) for one in zip(folders, PEOPLE.values(), umasks, strict=True)]
    codes = [process.wait(timeout=600) for process in running]

    assert codes[0] in (0, 1), (folders[0] / "log").read_text()
    assert codes[0] == codes[1], (folders[1] / "log").read_text()
    packed = []
    for folder in folders:
        with Bundle.open(folder / "made" / "bundle") as bundle:
            assert len(bundle.artifacts) == 4
            packed.append(pack(bundle, folder / "net.edgekit"))
            text = packed[-1].read_bytes()
        assert str(tmp_path).encode() not in text
        assert b"anna" not in text
    assert sha256_file(packed[0]) == sha256_file(packed[1])

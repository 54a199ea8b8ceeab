"""The zoo's own environment: that of this Python, with the packages whose networks are built beside it."""

from __future__ import annotations

import site
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

# Without their dependencies: torchvision would replace the torch that is there, and nothing else of theirs is used.
PACKAGES: Final = (
    "torchvision==0.28.0",
    "timm==1.0.31",
    "facenet-pytorch==2.6.0",
    "torchcrepe==0.0.24",
    "Resemblyzer==0.1.4",
)

# torchvision describes two operators of its compiled part, which does not load beside the small torch; with their
# schemas it imports. They are defined the moment anything imports torchvision.
HOOK: Final = '''"""Defines the schemas that torchvision needs before it is imported."""
import sys


class Schemas:
    library = None

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision" and Schemas.library is None:
            import torch

            Schemas.library = torch.library.Library("torchvision", "FRAGMENT")
            Schemas.library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            Schemas.library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return None


sys.meta_path.insert(0, Schemas())
'''


def make(folder: Path) -> None:
    """Make the environment; the packages of this Python, transformers among them, are visible in it."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "base.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    (packages / "zoo_schemas.py").write_text(HOOK, encoding="utf-8")
    (packages / "schemas.pth").write_text("import zoo_schemas\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", *PACKAGES]
    subprocess.run(command, check=True)
    print(f"{python} -m benchmarks.zoo")

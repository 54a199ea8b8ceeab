"""What the sources of benchmarks.sources are made from: weights, caches and samples, without a network."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

COMMIT = "0" * 40
TIMM_MODEL = "test_resnet.r160_in1k"
NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, width, 3)
        self.head = torch.nn.Linear(width, 2)

    def forward(self, image):
        return self.head(torch.relu(self.conv(image)).mean((2, 3)))
"""
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "the", "plot", "is", "not", "very")


def write(folder: Path, packages: tuple[str, ...]) -> None:
    """Write into `folder` whatever can be made with `packages`."""
    torch = importlib.import_module("torch")
    torch.manual_seed(0)
    _photos(folder / "photos")
    _checkpoint(folder)
    if "transformers" in packages:
        _transformers(folder)
    if "torchvision" in packages:
        models = importlib.import_module("torchvision.models")
        place = folder / "torch" / "hub" / "checkpoints"
        place.mkdir(parents=True)
        name = Path(models.get_model_weights("squeezenet1_1").DEFAULT.url).name
        torch.save(models.squeezenet1_1().state_dict(), place / name)
    if "timm" in packages:
        timm = importlib.import_module("timm")
        tensors = timm.create_model(TIMM_MODEL.partition(".")[0], num_classes=1000).state_dict()
        place = _cached(folder, f"timm/{TIMM_MODEL}")
        importlib.import_module("safetensors.torch").save_file(tensors, str(place / "model.safetensors"))


def _photos(folder: Path) -> None:
    image = importlib.import_module("PIL.Image")
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(16):
        small = random.integers(0, 256, (6, 8, 3), np.uint8)
        image.fromarray(small).resize((240, 180), image.Resampling.BICUBIC).save(folder / f"{number}.png")
    pictures = random.random((16, 3, 64, 64), np.float32)
    np.savez(folder.parent / "pictures.npz", image=pictures, label=np.arange(16) % 2)


def _checkpoint(folder: Path) -> None:
    """What Lightning saves of a module that holds the network as `model`."""
    torch = importlib.import_module("torch")
    (folder / "net.py").write_text(NET, encoding="utf-8")
    made: dict[str, Any] = {}
    exec(NET, made)  # the text above
    tensors = {f"model.{name}": value for name, value in made["Net"]().state_dict().items()}
    kept = {"state_dict": tensors, "epoch": 3, "pytorch-lightning_version": "2.5.0", "hyper_parameters": {"width": 4}}
    torch.save(kept, folder / "last.ckpt")


def _transformers(folder: Path) -> None:
    transformers: Any = importlib.import_module("transformers")
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    names = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    config = transformers.BertConfig(vocab_size=len(WORDS) + 1, max_position_embeddings=64, **small, **names)
    reader = transformers.BertForSequenceClassification(config)
    tokenizer = transformers.BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)})
    for place in (folder / "reader", _cached(folder, "me/reader")):
        reader.save_pretrained(place)
        tokenizer.save_pretrained(place)
    config = transformers.ViTConfig(image_size=32, patch_size=8, num_labels=3, **small)
    transformers.ViTForImageClassification(config).save_pretrained(folder / "viewer")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "viewer")
    random = np.random.default_rng(0)
    rows = [(" ".join(random.choice(WORDS[4:], 6)), ("negative", "positive")[row % 2]) for row in range(24)]
    table = "\n".join(["text,label", *(f"{text},{label}" for text, label in rows)])
    (folder / "reviews.csv").write_text(f"{table}\n", encoding="utf-8")
    tokens = random.integers(0, len(WORDS), (24, 8))
    np.savez(folder / "tokens.npz", input_ids=tokens, attention_mask=np.ones_like(tokens), label=np.arange(24) % 2)


def _cached(folder: Path, name: str) -> Path:
    """The place of a model in the cache of Hugging Face."""
    place = folder / "hf" / "hub" / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    (place / "snapshots" / COMMIT).mkdir(parents=True)
    return place / "snapshots" / COMMIT


if __name__ == "__main__":
    write(Path(sys.argv[1]), tuple(sys.argv[2:]))

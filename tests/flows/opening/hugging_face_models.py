"""Writes models of transformers with drawn weights, as `save_pretrained` does. Run in a process of its own."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "was", "is", "a", "plot", "acting", "good", "great", "bad")
TEXTS = ["The film was good", "the plot is bad, but the acting is great", "Awful.", "a great film", "zebra"]


def write(folder: Path) -> None:
    """A classifier of texts, what transformers itself makes of TEXTS, one of images, and one with its own code.

    And two that write texts: a small one, and the description of a large one.
    """
    import numpy
    import torch

    # Its own types are of no use here, and take a type checker minutes.
    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    names = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **small, **names)
    reader = transformers.BertForSequenceClassification(config).eval()
    tokenizer = transformers.BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)})
    reader.save_pretrained(folder / "reader")
    tokenizer.save_pretrained(folder / "reader")
    tokens = tokenizer(TEXTS, padding="longest", return_tensors="pt")
    with torch.no_grad():
        classes = reader(**tokens).logits.argmax(dim=1).numpy()
    numpy.savez(folder / "expected.npz", classes=classes, **{name: one.numpy() for name, one in tokens.items()})
    config = transformers.ViTConfig(image_size=16, patch_size=8, num_labels=3, **small)
    transformers.ViTForImageClassification(config).save_pretrained(folder / "viewer")
    transformers.ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder / "viewer")
    _write_one_with_code(folder / "odd")
    small |= {"vocab_size": 20, "architectures": ["LlamaForCausalLM"]}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**small)).save_pretrained(folder / "writer")
    # A description alone, of 6.7 billion parameters.
    transformers.LlamaConfig(architectures=["LlamaForCausalLM"]).save_pretrained(folder / "novelist")


def _write_one_with_code(folder: Path) -> None:
    folder.mkdir()
    config = {"architectures": ["Odd"], "model_type": "bert", "auto_map": {"AutoConfig": "odd.C", "AutoModel": "odd.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "odd.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\nclass C: pass\nclass M: pass\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

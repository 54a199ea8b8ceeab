"""Files as sources: an .onnx or .tflite that was exported elsewhere, asked like a torch module. Runs in the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

from edgekit.core.samples import Feed
from edgekit.core.spec import ModelSpec
from edgekit.export.messages import Described

# Suffixes of files that are a source by themselves; a saved torch.export program is a torch module once it is loaded.
GIVEN: Final = {
    ".onnx": "edgekit.export.onnx.reader:GivenOnnx",
    ".tflite": "edgekit.export.tflite.reader:GivenTflite",
}
PROGRAM: Final = ".pt2"
SUFFIXES: Final = (*GIVEN, PROGRAM)


class Given(Protocol):
    """A model file: what it takes, what it answers, and what it is made of."""

    path: Path

    def describe(self) -> Described:
        """Inputs and outputs as the file has them.

        Raises:
            ModelUnreadable: It is damaged, or no model of its format.
            Refused: It takes or gives something that is no tensor.
        """

    def answer(self, spec: ModelSpec, feed: Feed) -> Feed:
        """Its outputs for one feed, in the file's order."""

    def operators(self) -> frozenset[str]:
        """The operators that decide how it is quantized, by ONNX names."""

    def digest(self) -> str:
        """sha256 over the file and whatever data lies beside it."""


def kind_of(location: str) -> str:
    """`onnx` or `tflite` for the path of such a file, `torch` for anything else that can be a source."""
    suffix = Path(location).suffix.lower()
    return suffix[1:] if suffix in GIVEN else "torch"


def open_given(location: str) -> Given:
    """The file at `location`, whose suffix is in GIVEN."""
    import importlib

    module, _, name = GIVEN[Path(location).suffix.lower()].partition(":")
    made: Any = getattr(importlib.import_module(module), name)(Path(location))
    given: Given = made
    return given

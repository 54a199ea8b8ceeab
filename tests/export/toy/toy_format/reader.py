"""A .toy file as a source."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import sha256_file
from edgekit.export.messages import Converted, Described

from .exporter import described
from .file import ToyFile


class ToySource:
    """A file that was exported before."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def describe(self) -> Described:
        """Its input and output."""
        made = ToyFile.read(self.path)
        return Described(made.inputs, made.outputs, made.weight.dtype.kind == "i")

    def run(self, spec: ModelSpec, feed: Feed) -> Feed:
        """Its output by name."""
        del spec
        made = ToyFile.read(self.path)
        return {made.output: made.run(feed[made.input])}

    def operators(self) -> frozenset[str]:
        """One product, by its ONNX name."""
        return frozenset({"Gemm"})

    def digest(self) -> str:
        """sha256 of the file."""
        return sha256_file(self.path)


class ToyPassThrough:
    """Copies a .toy file as it is."""

    def prepare(self) -> None:
        """Nothing to import."""

    def export(self, module: ToySource, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Copy the file."""
        del spec, feed
        shutil.copyfile(module.path, out)
        return described(out)

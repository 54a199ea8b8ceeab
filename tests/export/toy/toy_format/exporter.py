"""From a torch module with one linear layer to a .toy file, and to one with int8 weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.recipe import Recipe
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.messages import Converted

from .file import ToyFile


class ToyExporter:
    """Writes float32 files."""

    def prepare(self) -> None:
        """Nothing to import."""

    def export(self, module: Any, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Write the file of the linear layer in `module`."""
        del feed
        layers = [one for one in module.modules() if type(one).__name__ == "Linear"]
        if len(layers) != 1:
            raise UserError(f"A toy file holds one linear layer, not {len(layers)}.")
        weight, bias = layers[0].weight.numpy().T.copy(), layers[0].bias.numpy()
        ToyFile(spec.inputs[0].name, spec.outputs[0].name, weight, bias).write(out)
        return described(out)


class ToyQuantizer:
    """Writes files with int8 weights."""

    def quantize(
        self,
        source: Path,
        spec: ModelSpec,
        recipe: Recipe,
        calibration: Samples | None,
        out: Path,
        *,
        keep_float: Sequence[str] = (),
    ) -> Converted:
        """Write the file with one scale for all weights."""
        del spec, recipe, calibration, keep_float
        made = ToyFile.read(source)
        scale = float(np.abs(made.weight).max()) / 127
        steps = np.rint(made.real / scale).astype(np.int8)
        ToyFile(made.input, made.output, steps, made.bias, scale).write(out)
        return described(out)


def described(path: Path) -> Converted:
    """What the file says of itself."""
    made = ToyFile.read(path)
    return Converted(inputs=made.inputs, outputs=made.outputs)

"""What a .toy file holds, and how it is computed."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import ModelUnreadable
from edgekit.core.samples import Array
from edgekit.core.spec.tensor_spec import TensorSpec


@dataclass(frozen=True)
class ToyFile:
    """relu(x @ weight * scale + bias); `weight` is float32 with scale 1, or int8."""

    input: str
    output: str
    weight: Array
    bias: Array
    scale: float = 1.0

    @classmethod
    def read(cls, path: Path) -> ToyFile:
        """The file at `path`."""
        try:
            with np.load(path, allow_pickle=False) as found:
                names = str(found["input"]), str(found["output"])
                return cls(*names, found["weight"], found["bias"], float(found["scale"]))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as err:
            raise ModelUnreadable(f"'{path}' is not a toy file: {err}.") from err

    def write(self, path: Path) -> None:
        """Write the file to `path`."""
        with path.open("wb") as stream:
            np.savez(
                stream,
                input=self.input,
                output=self.output,
                weight=self.weight,
                bias=self.bias,
                scale=np.float64(self.scale),
            )

    @property
    def real(self) -> NDArray[np.float32]:
        """The weights as real numbers."""
        return self.weight.astype(np.float32) * np.float32(self.scale)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The input of the file."""
        return (TensorSpec(self.input, "float32", ("N", self.weight.shape[0])),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The output of the file."""
        return (TensorSpec(self.output, "float32", ("N", self.weight.shape[1])),)

    def dense(self, x: Array) -> Array:
        """What the layer gives."""
        return np.asarray(np.matmul(x, self.real) + self.bias, np.float32)

    def run(self, x: Array) -> Array:
        """What the file answers."""
        return np.maximum(self.dense(x), 0)

"""Exporters by file format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from edgekit.core.recipe import Recipe
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.core.system.registry import Registry
from edgekit.export.messages import Converted


class Exporter(Protocol):
    """Makes files of one format; lives in a worker process, where heavy packages may be imported."""

    def prepare(self) -> None:
        """Import what `export` needs."""

    def export(self, module: Any, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Write the float32 file of a torch module to `out`.

        Args:
            module: In eval mode; its outputs are named by `spec.outputs`.
            feed: Real inputs for tracing: at least two rows where the batch is free.

        Raises:
            UserError: The module cannot be traced; names the line.
        """

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
        """Write the file of a resolved `recipe` to `out`, from the float32 file `source`.

        Args:
            keep_float: Names of tensors of `source` whose operators are not quantized.

        One that reads ranges by other methods than `min-max` takes `method` as well.
        """


EXPORTERS = Registry(
    "exporter",
    {
        "onnx": ("edgekit.export.onnx.exporter:OnnxExporter", "torch.onnx with onnxslim and onnxruntime.quantization"),
        "tflite": ("edgekit.export.tflite.exporter:TfliteExporter", "litert-torch with ai-edge-quantizer"),
    },
    group="edgekit.exporters",
)

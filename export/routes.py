"""Routes: which exporter leads from a kind of source to a file format."""

from __future__ import annotations

from typing import Final

from edgekit.core.recipe import DEFAULT_RECIPES, Recipe
from edgekit.core.refusals import refuse
from edgekit.core.system.environments import is_installed
from edgekit.export.model_files import kind_of
from edgekit.export.registry import EXPORTERS

# From files that were exported elsewhere; torch modules take the exporter that is registered for the format.
ROUTES: Final = {
    ("onnx", "onnx"): "edgekit.export.onnx.reader:OnnxKeeper",
    ("onnx", "tflite"): "edgekit.export.tflite.onnx2tf:Onnx2tf",
    ("tflite", "tflite"): "edgekit.export.tflite.reader:TfliteKeeper",
}
_DEFAULTS: Final = {"onnx": ("onnx-fp32", "onnx-int8"), "tflite": ("tflite-fp32", "tflite-int8")}


def exporter_of(location: str, file_format: str) -> str:
    """The exporter, as `package.module:Class`, from the source at `location`."""
    kind = kind_of(location)
    return EXPORTERS.plugins[file_format].location if kind == "torch" else ROUTES[kind, file_format]


def default_recipes(source: str) -> tuple[str, ...]:
    """What to make of a source when nobody says."""
    return _DEFAULTS.get(kind_of(source), DEFAULT_RECIPES)


def refuse_unreachable(source: str, recipes: tuple[Recipe, ...], *, is_quantized: bool) -> None:
    """Raise for a recipe that no route leads to.

    Raises:
        Refused: By the code of the reason.
    """
    kind = kind_of(source)
    for recipe in recipes if kind != "torch" else ():
        if (kind, recipe.format) not in ROUTES:
            raise refuse("tflite-to-onnx", f"Recipe '{recipe.name}' for '{source}'")
        if is_quantized and recipe.precision != "fp32":
            raise refuse("already-quantized", f"Recipe '{recipe.name}' for '{source}'")
        if (kind, recipe.format) == ("onnx", "tflite") and not is_installed("onnx2tf"):
            raise refuse("onnx2tf-missing", f"Recipe '{recipe.name}' for '{source}'")

"""Recipe: how to make one artifact, named `<format>-<precision>[-<mode>][-<variant>]`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

import msgspec

from edgekit.core.errors import UserError, unknown
from edgekit.core.refusals import refuse
from edgekit.core.system.registry import Registry

# Every resolved recipe, with what it is in one line.
RECIPES: Final = {
    "onnx-fp32": "ONNX, float32",
    "onnx-fp16": "ONNX, float16 weights and compute, float32 inputs and outputs",
    "onnx-int8-static-u8s8": "ONNX, int8 weights, uint8 activations from calibration; fast on x86",
    "onnx-int8-static-u8s7": "the same with weights in 7 bits, for x86 without VNNI, where 8 bits saturate",
    "onnx-int8-static-s8s8": "ONNX, int8 weights and activations from calibration; fast on Arm",
    "onnx-int8-dynamic": "ONNX, int8 weights, activations scaled at run time",
    "onnx-int8-dynamic-u8s7": "the same with weights in 7 bits, for x86 without VNNI, where 8 bits saturate",
    "tflite-fp32": "TFLite, float32",
    "tflite-fp16": "TFLite, float16 weights, float32 compute",
    "tflite-int8-static": "TFLite, int8 weights and activations from calibration, float32 inputs and outputs",
    "tflite-int8-full": "TFLite, int8 throughout, inputs and outputs included",
    "tflite-int8-dynamic": "TFLite, int8 weights, activations scaled at run time",
    "onnx-int8-weights": "ONNX, weights in int8, float32 compute",
    "tflite-int8-weights": "TFLite, weights in int8, float32 compute",
    "onnx-int4-weights": "ONNX, weights of matrix products in 4 bits, float32 compute",
    "tflite-int4-weights": "TFLite, weights in 4 bits, float32 compute",
}
ALIASES: Final = {
    "onnx-int8": "the fastest int8 mode that keeps the quality of this network on the target",
    "onnx-int8-static": "static int8 in the variant that suits the target",
    "tflite-int8": "the fastest int8 mode that keeps the quality of this network",
}
# The oldest and the newest opset that .onnx files can be asked to have.
OPSETS: Final = (7, 26)
# How static int8 reads a range: the whole of it, the part that keeps most information, or all but the rarest values.
CALIBRATION_METHODS: Final = ("min-max", "entropy", "percentile")
DEFAULT_RECIPES: Final = ("onnx-fp32", "onnx-int8", "tflite-fp32", "tflite-int8")

# Formats of third parties: a whole row, or an exporter alone. Their recipes are named like ours, after the format.
FORMAT_PLUGINS: Final = Registry("format", {}, group="edgekit.formats")
EXPORTER_PLUGINS: Final = Registry("exporter", {}, group="edgekit.exporters")

# Refused before any work, by the code of the reason in `core/refusals.py`.
REFUSED: Final = {"tflite-int2": "int2-weights", "tflite-int16": "int16-activations", "onnx-int2": "int2-kernels"}

# A softmax that is multiplied by values, as in attention.
ATTENTION: Final = "Softmax*MatMul"
# Operators whose presence makes dynamic int8 the better mode: static int8 left 2.1 dB of an LSTM and 12 to 19 dB of
# attention models, dynamic int8 34 to 38 dB.
SEQUENCE_OPERATORS: Final = frozenset({"LSTM", "GRU", "RNN", "Attention", ATTENTION})
# Added to the operators of a network whose inputs exceed those it was calibrated with, e.g. anomalies.
OUTLIERS: Final = "inputs beyond calibration"
# Inputs or outputs that are text.
STRINGS: Final = "strings"
# A logarithm before layers with weights, as in the front end of an audio network.
LOG_SPECTRUM: Final = "Log*Conv"
# Numbers with a real and an imaginary part between the inputs and the outputs.
COMPLEX: Final = "complex numbers"
_STATIC_FAILS: Final = {
    ATTENTION: "static-attention",
    "Attention": "static-attention",
    OUTLIERS: "static-outliers",
}
VNNI_FEATURES: Final = frozenset({"avx512_vnni", "avx_vnni"})


class Recipe(msgspec.Struct, frozen=True, order=True):
    """One way to make an artifact. An alias means one of several recipes; `resolve` selects it."""

    format: str
    precision: str
    mode: str = ""
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """The recipe called `text`, resolved or alias.

        Raises:
            UserError: The name is unknown (with the nearest one), or the recipe is known not to work (with the reason).
        """
        refused = next((name for name in REFUSED if text == name or text.startswith(f"{name}-")), None)
        if refused:
            raise refuse(REFUSED[refused], f"Recipe '{text}'")
        if text not in RECIPES and text not in ALIASES and not _is_plugged(text):
            raise unknown("recipe", text, [*RECIPES, *ALIASES], hint="edgekit list recipes")
        return cls(*text.split("-"))

    @property
    def name(self) -> str:
        """The text form."""
        return "-".join(part for part in (self.format, self.precision, self.mode, self.variant) if part)

    @property
    def is_alias(self) -> bool:
        """True if the name is an alias of several resolved recipes."""
        return self.name in ALIASES

    @property
    def needs_calibration(self) -> bool:
        """True for recipes that read activation ranges from samples."""
        return self.mode in ("static", "full")

    def resolve(self, operators: frozenset[str], cpu_features: frozenset[str]) -> Recipe:
        """The recipe that is used for a graph and a target.

        Args:
            operators: Operator types of the float graph, ONNX names; and OUTLIERS and STRINGS where they apply.
            cpu_features: Architecture and instruction-set names of the target, e.g. `{"x86_64", "avx512_vnni"}`.

        Raises:
            UserError: The recipe is known not to work for such a graph, with the reason.
        """
        if STRINGS in operators and self.name != "onnx-fp32":
            raise refuse("strings", f"Recipe '{self.name}'")
        if self.needs_calibration and "LSTM" in operators:
            raise refuse("static-lstm", f"Recipe '{self.name}'", instead=f"--to {self.format}-int8-dynamic")
        failing = next((code for kind, code in _STATIC_FAILS.items() if kind in operators), "")
        if failing and self.needs_calibration:
            raise refuse(failing, f"Recipe '{self.name}'", instead=f"--to {self.format}-int8-dynamic")
        if self.mode == "full" and LOG_SPECTRUM in operators:
            raise refuse("full-spectrum", f"Recipe '{self.name}'")
        if not self.is_alias:
            return self
        mode = self.mode or ("dynamic" if operators & {*SEQUENCE_OPERATORS, OUTLIERS} else "static")
        variant = _variant(cpu_features) if self.format == "onnx" else ""
        # Dynamic int8 has one form for every processor that does not saturate.
        variant = variant if mode == "static" or variant == "u8s7" else ""
        return Recipe(self.format, self.precision, mode, variant)


def modes_of(recipe: Recipe, operators: frozenset[str], cpu_features: frozenset[str]) -> tuple[Recipe, ...]:
    """What `recipe` may mean, in the order to be tried: that of `resolve`, then the others, the fastest first.

    One for a recipe that names its mode. Modes that are known not to work for such a graph are left out; errors as in
    `resolve`.
    """
    first = recipe.resolve(operators, cpu_features)
    if not recipe.is_alias or recipe.mode:
        return (first,)
    reduced = "u8s7" if recipe.format == "onnx" and _variant(cpu_features) == "u8s7" else ""
    found = [first]
    for mode, variant in (("static", ""), ("dynamic", reduced), ("weights", "")):
        with contextlib.suppress(UserError):
            found.append(Recipe(recipe.format, recipe.precision, mode, variant).resolve(operators, cpu_features))
    return tuple(dict.fromkeys(found))


def parse_recipes(text: str | Iterable[str]) -> tuple[Recipe, ...]:
    """Recipes from `a,b` or a list of such texts, each once, in order.

    Raises:
        UserError: As in `Recipe.parse`, or there is no recipe.
    """
    texts = [text] if isinstance(text, str) else text
    names = [name.strip() for part in texts for name in part.split(",") if name.strip()]
    if not names:
        raise UserError("No recipe given.", hint="edgekit list recipes")
    return tuple(dict.fromkeys(Recipe.parse(name) for name in names))


def matches(pattern: str, name: str) -> bool:
    """True when `pattern` is the recipe name or an alias of it: `onnx-int8` covers `onnx-int8-static-u8s8`."""
    return name == pattern or name.startswith(f"{pattern}-")


def is_weight_only(name: str) -> bool:
    """True for recipes that quantize weights alone and compute in float32."""
    return name.endswith("-weights")


def _is_plugged(text: str) -> bool:
    """Whether `text` is one of our recipes with the format of a plug-in."""
    own, rests = ({name.partition("-")[place] for name in RECIPES} for place in (0, 2))
    name, _, rest = text.partition("-")
    return rest in rests and name not in own and (name in FORMAT_PLUGINS or name in EXPORTER_PLUGINS)


def _variant(cpu_features: frozenset[str]) -> str:
    if "x86_64" not in cpu_features:
        return "s8s8"
    return "u8s8" if cpu_features & VNNI_FEATURES else "u8s7"

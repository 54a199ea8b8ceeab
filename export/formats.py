"""Formats: one row for each file format, naming what makes, reads and looks into its files without importing it."""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from edgekit.core.bundle import Signature
from edgekit.core.errors import EnvironmentFault, unknown
from edgekit.core.recipe import CALIBRATION_METHODS, EXPORTER_PLUGINS, FORMAT_PLUGINS, Recipe
from edgekit.core.reports.bisect import RefusedOperator
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.export.graphs.contents import Contents
from edgekit.export.graphs.trace import Trace
from edgekit.export.messages import Converted, Described

# The kind of every source that is no file of a format: a module that PyTorch runs.
TORCH: Final = "torch"
# A saved torch.export program is a file, and a torch module once it is loaded.
PROGRAM: Final = ".pt2"


class Exporter(Protocol):
    """Makes float32 files of one format; lives in a worker process, where heavy packages may be imported."""

    def prepare(self) -> None:
        """Import what `export` needs."""

    def export(self, module: Any, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Write the float32 file of a source to `out`.

        Args:
            module: A torch module in eval mode, whose outputs are named by `spec.outputs`; on a route from another
                format the opened file.
            feed: Real inputs for tracing: at least two rows where the batch is free.

        Raises:
            UserError: The module cannot be traced; names the line.
        """


class Quantizer(Protocol):
    """Makes files of reduced precision from the float32 file of one format; lives in a worker process."""

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


class Given(Protocol):
    """A model file that was exported elsewhere: what it takes, what it answers, and what it is made of."""

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


class Tracer(Protocol):
    """Looks into files of one format while they run; an object, or a module with these functions.

    `signature` is the entry point for the sizes of the feeds, None for files whose axes are free.
    """

    def trace(self, path: Path, feeds: Sequence[Feed], signature: Signature | None) -> Trace:
        """Every tensor that the file computes on every feed.

        Raises:
            ModelUnreadable: It is no file of this format, or its engine does not run it on these feeds.
        """

    def refused(
        self, path: Path, feeds: Sequence[Feed], signature: Signature | None, side: str
    ) -> RefusedOperator | None:
        """What in the file called `side` keeps these feeds from running; None where they run."""

    def stored_steps(
        self, path: Path, feeds: Sequence[Feed], signature: Signature | None
    ) -> Iterator[Mapping[str, Array]]:
        """How many steps from zero each value of a tensor with a scale of its own is, on every feed, by name."""

    def tensor_names(self, path: Path) -> Mapping[str, tuple[str, ...]]:
        """The names by which the quantizer knows a traced tensor, where they differ from the one in a trace."""


class ContentsReader(Protocol):
    """Reads what a file of one format is made of."""

    def __call__(self, path: Path, spec: ModelSpec) -> Contents:
        """Operators, weights and tensors of the file at `path`."""


@dataclass(frozen=True)
class Route:
    """The exporter from files of one format to another; without one, `refusal` is the code of the reason.

    With a `tool` (`edgekit tools install`) it is refused where that is not installed.
    """

    exporter: str = ""
    tool: str = ""
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One file format. What does the work is named as `package.module:Name`, so that a listing imports nothing heavy.

    Attributes:
        suffix: Of its files, with the dot.
        exporter: An Exporter, from torch modules.
        quantizer: A Quantizer.
        reader: Made from a path, a Given; empty where such files are no source.
        tracer: A Tracer, or the module that is one; empty where files cannot be looked into while they run.
        contents: A ContentsReader; empty where files cannot be read but by their engine.
        routes: From files of other formats, and of its own, to files of this one.
        has_fixed_shapes: Whether its files are made for listed sizes only, one signature each.
        methods: How ranges may be read in static int8.
        packages: Whose versions decide what a file looks like.
        recipes: What is made of a file of this format when nobody says.
    """

    name: str
    suffix: str
    exporter: str
    quantizer: str
    reader: str = ""
    tracer: str = ""
    contents: str = ""
    routes: Mapping[str, Route] = field(default_factory=dict)
    has_fixed_shapes: bool = False
    methods: tuple[str, ...] = CALIBRATION_METHODS[:1]
    packages: tuple[str, ...] = (TORCH,)
    recipes: tuple[str, ...] = ()


FORMATS: Final = {
    "onnx": Format(
        name="onnx",
        suffix=".onnx",
        exporter="edgekit.export.onnx.exporter:OnnxExporter",
        quantizer="edgekit.export.onnx.quantizer:OnnxQuantizer",
        reader="edgekit.export.onnx.reader:GivenOnnx",
        tracer="edgekit.export.onnx.tracer",
        contents="edgekit.export.onnx.contents:read_contents",
        routes={
            "onnx": Route("edgekit.export.onnx.reader:OnnxKeeper"),
            "tflite": Route(refusal="tflite-to-onnx"),
        },
        methods=CALIBRATION_METHODS,
        packages=("torch", "onnx", "onnxscript", "onnxslim", "onnxruntime"),
        recipes=("onnx-fp32", "onnx-int8"),
    ),
    "tflite": Format(
        name="tflite",
        suffix=".tflite",
        exporter="edgekit.export.tflite.exporter:TfliteExporter",
        quantizer="edgekit.export.tflite.quantizer:TfliteQuantizer",
        reader="edgekit.export.tflite.reader:GivenTflite",
        tracer="edgekit.export.tflite.tracer",
        contents="edgekit.export.tflite.contents:read_contents",
        routes={
            "onnx": Route("edgekit.export.tflite.onnx2tf:Onnx2tf", tool="onnx2tf", refusal="onnx2tf-missing"),
            "tflite": Route("edgekit.export.tflite.reader:TfliteKeeper"),
        },
        has_fixed_shapes=True,
        packages=("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert"),
        recipes=("tflite-fp32", "tflite-int8"),
    ),
}


def known_formats() -> Mapping[str, Format]:
    """Every format by name: ours, then those of plug-ins."""
    return {**_plugged(), **FORMATS}


def format_of(name: str) -> Format:
    """The row called `name`.

    Raises:
        UserError: There is none.
    """
    found = find_format(name)
    if found is None:
        raise unknown("format", name, known_formats(), hint="edgekit list recipes")
    return found


def find_format(name: str) -> Format | None:
    """The row called `name`; None for files that nobody converts to."""
    return FORMATS[name] if name in FORMATS else _plugged().get(name)


def kind_of(location: str) -> str:
    """The format of the file at `location`, where such files are a source; `torch` for anything else that is one."""
    suffix = Path(location).suffix.lower()
    own = next((one.name for one in FORMATS.values() if one.suffix == suffix), "")
    if own or not suffix or ":" in location or suffix == PROGRAM:
        return own or TORCH
    return next((one.name for one in _plugged().values() if one.reader and one.suffix == suffix), TORCH)


def is_model_file(location: str) -> bool:
    """Whether a source by this name is a file of a format, or a saved program."""
    return kind_of(location) != TORCH or Path(location).suffix.lower() == PROGRAM


def open_given(location: str) -> Given:
    """The file at `location`, whose kind is that of a format."""
    row = format_of(kind_of(location))
    given: Given = _part(row, row.reader)(Path(location))
    return given


def tracer_of(name: str) -> Tracer | None:
    """What looks into files of the format called `name`; None where nothing does."""
    found = find_format(name)
    return _part(found, found.tracer) if found and found.tracer else None


def contents_reader_of(name: str) -> ContentsReader | None:
    """What reads files of the format called `name`; None where nothing does."""
    found = find_format(name)
    return _part(found, found.contents) if found and found.contents else None


def load(location: str) -> Any:
    """The object at `package.module:Name`, or the module `package.module`.

    Raises:
        ImportError, AttributeError: It does not load.
    """
    module, _, name = location.partition(":")
    found = importlib.import_module(module)
    return operator.attrgetter(name)(found) if name else found


def _part(row: Format, location: str) -> Any:
    try:
        return load(location)
    except (ImportError, AttributeError) as err:
        raise EnvironmentFault(f"The format '{row.name}' is broken: '{location}' does not load: {err}.") from err


@functools.cache
def _plugged() -> Mapping[str, Format]:
    """Rows of third parties, and one for each exporter that they name alone; a broken one is left out."""
    exporters = {
        name: Format(name=name, suffix=f".{name}", exporter=one.location, quantizer=one.location)
        for name, one in EXPORTER_PLUGINS.plugins.items()
    }
    rows = [FORMAT_PLUGINS.get(name) for name in FORMAT_PLUGINS if not FORMAT_PLUGINS.problem(name)]
    return exporters | {one.name: one for one in rows if isinstance(one, Format)}

"""Formats: one row per file format, which names its exporter, quantizer, reader and tracer without importing them."""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from edgekit.core.bundle import QuantizedShare, Signature
from edgekit.core.errors import EnvironmentFault, unknown
from edgekit.core.recipe import CALIBRATION_METHODS, EXPORTER_PLUGINS, FORMAT_PLUGINS, Recipe
from edgekit.core.reports.bisect import RefusedOperator
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.graphs.contents import Contents
from edgekit.export.graphs.trace import Trace
from edgekit.export.messages import Converted, Described

# The kind of every source that is not a file of a format: a module that PyTorch runs.
TORCH: Final = "torch"
# A saved torch.export program is a file, and a torch module once it is loaded.
PROGRAM: Final = ".pt2"


SourceT_contra = TypeVar("SourceT_contra", contravariant=True)


class Exporter(Protocol[SourceT_contra]):
    """Makes float32 files of one format; lives in a worker process, where heavy packages may be imported."""

    def prepare(self) -> None:
        """Import what `export` needs."""

    def export(self, module: SourceT_contra, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Write the float32 file of a source to `out`.

        Args:
            module: A torch module in eval mode, whose outputs are named by `spec.outputs`; on a route from another
                format the opened file.
            feed: Real inputs for tracing: at least two rows if the batch is dynamic.

        An exporter of a format that has opsets takes `opset` as well, and one for modules with complex numbers
        `is_complex`, which says that there are some.

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

        A quantizer that supports other calibration methods than `min-max` takes `method` as well.
        """


class ModelFile(Protocol):
    """A model file that was exported elsewhere: its inputs and outputs, how it runs, and its operators."""

    path: Path

    def describe(self) -> Described:
        """Inputs and outputs as the file has them.

        Raises:
            ModelUnreadable: It is damaged, or not a model of its format.
            Refused: An input or output is not a tensor.
        """

    def run(self, spec: ModelSpec, feed: Feed) -> Feed:
        """Its outputs for one feed, in the file's order."""

    def operators(self) -> frozenset[str]:
        """The operators that decide how it is quantized, by ONNX names."""

    def digest(self) -> str:
        """sha256 over the file and its external data."""


class Tracer(Protocol):
    """Reads the tensors inside files of one format while they run; an object, or a module with these functions.

    `signature` is the entry point for the sizes of the feeds, None for files with dynamic axes.
    """

    def trace(self, path: Path, feeds: Sequence[Feed], signature: Signature | None) -> Trace:
        """Every tensor that the file computes on every feed.

        Raises:
            ModelUnreadable: It is not a file of this format, or its backend does not run it on these feeds.
        """

    def refused(
        self, path: Path, feeds: Sequence[Feed], signature: Signature | None, side: str
    ) -> RefusedOperator | None:
        """The operator of the file called `side` that does not run on these feeds; None if they run."""

    def stored_steps(
        self, path: Path, feeds: Sequence[Feed], signature: Signature | None
    ) -> Iterator[Mapping[str, Array]]:
        """For every feed, by tensor: how many steps from zero each value is. Only tensors with a scale of their own."""

    def tensor_names(self, path: Path) -> Mapping[str, tuple[str, ...]]:
        """The names by which the quantizer knows a traced tensor, if they differ from the name in a trace."""


class ContentsReader(Protocol):
    """Reads the contents of a file of one format."""

    def __call__(self, path: Path, spec: ModelSpec) -> Contents:
        """Operators, weights and tensors of the file at `path`."""


class ShareReader(Protocol):
    """Reads how much of a file of one format is quantized."""

    def __call__(self, path: Path, spec: ModelSpec) -> QuantizedShare:
        """The shares of weights and work of the file at `path`."""


class OverflowReader(Protocol):
    """Finds float16 in a file of one format that does not hold its values."""

    def __call__(self, path: Path, feeds: Sequence[Feed]) -> Mapping[str, str]:
        """Outputs of operators of the file at `path` that overflow on a feed, with the reason."""


@dataclass(frozen=True)
class Route:
    """The exporter from files of one format to another; if there is none, `refusal` is the code of the reason.

    A route with a `tool` is refused until `edgekit tools install` has installed it.
    """

    exporter: str = ""
    tool: str = ""
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One file format. Code is named as `package.module:Name`, so that a listing imports nothing heavy.

    Attributes:
        suffix: The suffix of its files, with the dot.
        exporter: An Exporter, from torch modules.
        quantizer: A Quantizer.
        reader: A ModelFile, made from a path; empty if its files are not a source.
        tracer: A Tracer, or the module that is one; empty if its files cannot be traced.
        contents: A ContentsReader; empty if only its backend can read the files.
        share: A ShareReader; empty if nothing says how much of its files is quantized.
        overflow: An OverflowReader; empty if float16 in its files is not looked at.
        routes: From files of other formats, and of its own, to files of this one.
        has_opsets: Whether its operators have versions, of which one can be chosen.
        has_fixed_shapes: Whether its files accept only the listed sizes, one signature each.
        methods: The calibration methods of static int8.
        packages: Packages whose versions influence the files.
        recipes: What is made from a file of this format by default.
    """

    name: str
    suffix: str
    exporter: str
    quantizer: str
    reader: str = ""
    tracer: str = ""
    contents: str = ""
    share: str = ""
    overflow: str = ""
    routes: Mapping[str, Route] = field(default_factory=dict)
    has_opsets: bool = False
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
        reader="edgekit.export.onnx.reader:OnnxFile",
        tracer="edgekit.export.onnx.tracer",
        contents="edgekit.export.onnx.contents:read_contents",
        share="edgekit.export.onnx.work:quantized_share",
        overflow="edgekit.export.onnx.half_range:overflowing",
        routes={
            "onnx": Route("edgekit.export.onnx.reader:OnnxPassThrough"),
            "tflite": Route(refusal="tflite-to-onnx"),
        },
        has_opsets=True,
        methods=CALIBRATION_METHODS,
        packages=("torch", "onnx", "onnxscript", "onnxslim", "onnxruntime"),
        recipes=("onnx-fp32", "onnx-int8"),
    ),
    "tflite": Format(
        name="tflite",
        suffix=".tflite",
        exporter="edgekit.export.tflite.exporter:TfliteExporter",
        quantizer="edgekit.export.tflite.quantizer:TfliteQuantizer",
        reader="edgekit.export.tflite.reader:TfliteFile",
        tracer="edgekit.export.tflite.tracer",
        contents="edgekit.export.tflite.contents:read_contents",
        share="edgekit.export.tflite.work:quantized_share",
        routes={
            "onnx": Route("edgekit.export.tflite.onnx2tf:Onnx2tf", tool="onnx2tf", refusal="onnx2tf-missing"),
            "tflite": Route("edgekit.export.tflite.reader:TflitePassThrough"),
        },
        has_fixed_shapes=True,
        packages=("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert"),
        recipes=("tflite-fp32", "tflite-int8"),
    ),
}


def known_formats() -> Mapping[str, Format]:
    """Every format by name, those of plug-ins included."""
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
    """The row called `name`; None if there is no such format."""
    return FORMATS[name] if name in FORMATS else _plugged().get(name)


def kind_of(location: str) -> str:
    """The format of the file at `location`, if such files are a source; `torch` for any other source."""
    suffix = Path(location).suffix.lower()
    own = next((one.name for one in FORMATS.values() if one.suffix == suffix), "")
    if own or not suffix or ":" in location or suffix == PROGRAM:
        return own or TORCH
    return next((one.name for one in _plugged().values() if one.reader and one.suffix == suffix), TORCH)


def is_model_file(location: str) -> bool:
    """Whether the source called `location` is a file of a format, or a saved program."""
    return kind_of(location) != TORCH or Path(location).suffix.lower() == PROGRAM


def open_model_file(location: str) -> ModelFile:
    """The file at `location`, whose kind must be a format."""
    row = format_of(kind_of(location))
    found: ModelFile = _part(row, row.reader)(Path(location))
    return found


def tracer_of(name: str) -> Tracer | None:
    """The tracer of the format called `name`; None if it has none."""
    found = find_format(name)
    return _part(found, found.tracer) if found and found.tracer else None


def contents_reader_of(name: str) -> ContentsReader | None:
    """The contents reader of the format called `name`; None if it has none."""
    found = find_format(name)
    return _part(found, found.contents) if found and found.contents else None


def share_reader_of(name: str) -> ShareReader | None:
    """The share reader of the format called `name`; None if it has none."""
    found = find_format(name)
    return _part(found, found.share) if found and found.share else None


def overflow_reader_of(name: str) -> OverflowReader | None:
    """The overflow reader of the format called `name`; None if it has none."""
    found = find_format(name)
    return _part(found, found.overflow) if found and found.overflow else None


def load(location: str) -> Any:
    """The object at `package.module:Name`, or the module `package.module`.

    Raises:
        ImportError, AttributeError: It cannot be imported.
    """
    module, _, name = location.partition(":")
    found = importlib.import_module(module)
    return operator.attrgetter(name)(found) if name else found


def _part(row: Format, location: str) -> Any:
    try:
        return load(location)
    except (ImportError, AttributeError) as err:
        raise EnvironmentFault(f"Format '{row.name}' cannot be used: '{location}' cannot be imported: {err}.") from err


@functools.cache
def _plugged() -> Mapping[str, Format]:
    """Rows of third parties, and one for each exporter that they name alone; a broken one is left out."""
    exporters = {
        name: Format(name=name, suffix=f".{name}", exporter=one.location, quantizer=one.location)
        for name, one in EXPORTER_PLUGINS.plugins.items()
    }
    rows = [FORMAT_PLUGINS.get(name) for name in FORMAT_PLUGINS if not FORMAT_PLUGINS.problem(name)]
    return exporters | {one.name: one for one in rows if isinstance(one, Format)}

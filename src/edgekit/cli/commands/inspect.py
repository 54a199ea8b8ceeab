"""`edgekit inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import path_argument
from edgekit.cli.common import Call, Command, common
from edgekit.cli.contents import described, graph_lines, quantized
from edgekit.cli.output import columns
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.bundle import FileReport


@click.command(
    "inspect",
    cls=Command,
    examples=["edgekit inspect model.onnx", "edgekit inspect model.tflite --json", "edgekit inspect digits.edgekit"],
)
@path_argument
@common()
def command(call: Call, path: Path) -> None:
    """Print the contents of a model file or a bundle.

    Operators, parameters, MACs, the largest tensors, opsets, signatures and metadata; for a quantized file, the share
    of integers and the operators that are left in float.
    """
    from edgekit.core.reports.bundle import FileReport
    from edgekit.flows.inspect import inspect

    found = inspect(path)
    if isinstance(found, FileReport):
        call.answer(found, lambda shown: "\n".join([*_file(shown), *graph_lines([shown.graph])]))
    else:
        call.answer(found, lambda shown: "\n".join([*described(shown.manifest), *graph_lines(shown.graphs)]))


def _file(found: FileReport) -> Iterator[str]:
    rows = [("file", found.file), ("format", found.format), ("size", format_value(found.size_bytes, "bytes"))]
    rows += [("sha256", found.sha256[:12])]
    rows += [("input", str(tensor)) for tensor in found.inputs]
    rows += [("output", str(tensor)) for tensor in found.outputs]
    if found.quantized is not None:
        rows.append(("quantized", quantized(found.quantized)))
    if found.reason:
        rows.append(("not opened", found.reason))
    yield columns(rows)

"""A format of a third party: one linear layer and a ReLU as an .npz. Everything that edgekit asks of a format, once."""

from __future__ import annotations

from edgekit.export.formats import Format, Route

TOY = Format(
    name="toy",
    suffix=".toy",
    exporter="toy_format.exporter:ToyExporter",
    quantizer="toy_format.exporter:ToyQuantizer",
    reader="toy_format.reader:ToySource",
    tracer="toy_format.tracer",
    contents="toy_format.tracer:read_contents",
    routes={"toy": Route("toy_format.reader:ToyPassThrough")},
    packages=("torch", "numpy"),
    recipes=("toy-fp32",),
)

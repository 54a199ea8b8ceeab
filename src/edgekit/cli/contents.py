"""The contents of bundles and of model files as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from edgekit.cli.output import columns
from edgekit.core.bundle import Manifest, QuantizedShare
from edgekit.core.reports.graph import GraphFacts, TensorFacts
from edgekit.core.units import format_value
from edgekit.report import formatting

_NAME: Final = 40
_SHOWN_TEXT: Final = 60


def described(manifest: Manifest) -> Iterator[str]:
    """The facts of a bundle, its artifacts, and their warnings."""
    spec = manifest.spec
    yield columns(_facts(manifest))
    yield ""
    rows = [
        (
            one.recipe,
            format_value(one.size_bytes, "bytes"),
            f"opset {one.opset}" if one.opset else "",
            quantized(one.quantized) if one.quantized else "",
            one.sha256[:12],
        )
        for one in manifest.artifacts
    ]
    yield columns([("artifact", "size", "", "quantized", "sha256"), *rows])
    for one in manifest.artifacts:
        for warning in one.warnings:
            yield f"Warning: {one.recipe}: {warning}"
    if spec.labels:
        yield ""
        yield f"labels: {', '.join(spec.labels)}"


def quantized(share: QuantizedShare) -> str:
    """The shares of work and weights: `work 97 %, weights 100 %`."""
    shares = (("work", share.work), ("weights", share.weights))
    return ", ".join(f"{name} {'unknown' if one is None else f'{100 * one:.0f} %'}" for name, one in shares)


def graph_lines(graphs: Iterable[GraphFacts]) -> Iterator[str]:
    """Operators, weights and the largest tensors of each graph, under its name."""
    for one in graphs:
        yield ""
        yield one.artifact
        if one.reason:
            yield f"  not inspected: {one.reason}"
            continue
        yield from _wrapped(_figures(one))
        yield from (line for text in _more(one) for line in _wrapped(text))
        yield from _wrapped(", ".join(f"{count} {name}" for name, count in one.operators.items()))
        rows = [
            ("", title(tensor.name), f"{tensor.dtype}{list(tensor.shape)}", _size(tensor)) for tensor in one.largest
        ]
        yield columns(rows) if rows else "  no tensors"


def _more(one: GraphFacts) -> Iterator[str]:
    """What a file says besides its operators."""
    if one.opsets:
        yield "opsets: " + ", ".join(f"{name} {version}" for name, version in one.opsets.items())
    if one.signatures:
        yield "signatures: " + "; ".join(map(formatting.clean, one.signatures))
    if one.left_float:
        works = (f"{count:,} MACs in {name}" for name, count in one.left_float.items())
        yield f"left in float: {', '.join(works)}"
    yield from (
        f"metadata: {formatting.clean(name)} = {formatting.shortened(text, _SHOWN_TEXT)}"
        for name, text in one.metadata.items()
    )


def _wrapped(text: str) -> list[str]:
    """Lines of at most 80 columns, indented."""
    return textwrap.wrap(text, 80, initial_indent="  ", subsequent_indent="    ")


def _figures(one: GraphFacts) -> str:
    parts = [formatting.plural(sum(one.operators.values()), "operator")]
    if one.parameters is not None:
        parts.append(f"{one.parameters:,} parameters in {format_value(one.weight_bytes, 'bytes')}")
    if one.quantized_share:
        parts.append(f"{100 * one.quantized_share:.0f} % quantized")
    parts.append("MACs unknown" if one.macs is None else f"{one.macs:,} MACs")
    return ", ".join(parts)


def _size(tensor: TensorFacts) -> str:
    return f"{format_value(tensor.size_bytes, 'bytes')}{' of weights' if tensor.is_weight else ''}"


def title(name: str) -> str:
    """The end of a name: converters write the whole way through the modules into it."""
    parts = [part.rpartition(".")[2] for part in name.rpartition(";;")[2].split("/")] if "/" in name else [name]
    return formatting.shortened(".".join(parts[-2:]), _NAME)


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    spec = manifest.spec
    yield "model", " ".join(part for part in (spec.name, spec.summary and f"({spec.summary})") if part)
    yield "task", spec.task
    yield from (("input", str(tensor)) for tensor in spec.inputs)
    yield from (("output", str(tensor)) for tensor in spec.outputs)
    yield from (("state", f"{output} continues as {name}") for output, name in spec.states.items())
    if spec.metric:
        yield "metric", spec.metric.name
    if spec.licence:
        yield "licence", spec.licence
    if manifest.split:
        yield "samples", f"{manifest.split.calibration} for calibration, {manifest.split.evaluation} for evaluation"
    if manifest.created:
        yield "made", manifest.created
    yield "with", ", ".join(f"{name} {version}" for name, version in sorted(manifest.tools.items())) or "unknown tools"

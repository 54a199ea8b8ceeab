"""`edgekit inspect`: the contents of a bundle or of a bare model file, with the operators of its graphs."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.bundle import Bundle
from edgekit.core.errors import EdgekitError, MissingExtra, ModelUnreadable
from edgekit.core.reports.bundle import FileReport, InspectReport
from edgekit.core.reports.graph import GraphFacts
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import sha256_file
from edgekit.export.formats import contents_reader_of, share_reader_of
from edgekit.flows.bundle import graph_facts
from edgekit.flows.opening.artifacts import FORMATS, is_bare, opened, without_signature


def inspect(path: Path) -> InspectReport | FileReport:
    """What a bundle or an `.onnx` or `.tflite` file contains.

    Raises:
        BundleUnreadable, ModelUnreadable: It is neither, or damaged.
    """
    if is_bare(path):
        return _inspect_file(path)
    with Bundle.open(path) as bundle:
        graphs = tuple(graph_facts(bundle, artifact) for artifact in bundle.artifacts)
        return InspectReport(bundle=str(path), manifest=bundle.manifest, graphs=graphs, command="inspect")


def _inspect_file(path: Path) -> FileReport:
    file, spec = without_signature(path)[0], ModelSpec(path.stem, "other", (), ())
    reason, missing = "", None
    size_bytes, digest = file.stat().st_size, sha256_file(file)
    try:
        with opened(path, with_samples=False) as found:
            spec, (whole,) = found.spec, found.artifacts
            size_bytes, digest = whole.size_bytes, whole.sha256
    except EdgekitError as err:  # the graph can be read without the backend
        reason, missing = f"{err.message} {err.hint}".strip(), err if isinstance(err, MissingExtra) else None
    kind = FORMATS[file.suffix]
    graph = _graph(file, spec, kind)
    if reason and graph.reason:
        raise missing or ModelUnreadable(reason)
    share = share_reader_of(kind) if graph.quantized_share or graph.left_float else None
    return FileReport(
        file=str(path),
        format=kind,
        size_bytes=size_bytes,
        sha256=digest,
        inputs=spec.inputs,
        outputs=spec.outputs,
        graph=graph,
        quantized=share(file, spec) if share else None,
        reason=reason,
    )


def _graph(file: Path, spec: ModelSpec, kind: str) -> GraphFacts:
    """The figures of the file, or the reason why its format cannot be read here."""
    read = contents_reader_of(kind)
    try:
        return read(file, spec).facts(file.stem) if read else GraphFacts(artifact=file.stem, reason="no reader")
    except (MissingExtra, ModelUnreadable) as err:
        return GraphFacts(artifact=file.stem, reason=f"{err.message} {err.hint}".strip())

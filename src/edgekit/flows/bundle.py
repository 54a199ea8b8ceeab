"""The graphs of the artifacts in a bundle, and how two of them differ."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.errors import MissingExtra, UserError
from edgekit.core.reports.bundle import BundleDiffReport
from edgekit.core.reports.graph import GraphFacts
from edgekit.export.formats import contents_reader_of
from edgekit.export.graphs.contents import Contents, changes


def graph_facts(bundle: Bundle, artifact: Artifact) -> GraphFacts:
    """The figures of one artifact, or the reason why its format cannot be read here."""
    try:
        contents = _contents(bundle, artifact)
    except MissingExtra as err:
        return GraphFacts(artifact=artifact.recipe, reason=f"{err.message} {err.hint}")
    if contents is None:
        return GraphFacts(artifact=artifact.recipe, reason=f"files of format '{artifact.format}' cannot be inspected")
    return contents.facts(artifact.recipe)


def diff(path: Path, a: str, b: str) -> BundleDiffReport:
    """Two artifacts of a bundle side by side.

    Raises:
        UserError: No such artifact in the bundle, or one without a graph.
        MissingExtra: The package that reads the format is not installed.
    """
    with Bundle.open(path) as bundle:
        first, second = bundle.artifact(a), bundle.artifact(b)
        one, other = _contents(bundle, first), _contents(bundle, second)
    for artifact, contents in ((first, one), (second, other)):
        if contents is None:
            raise UserError(f"'{artifact.recipe}' has no graph that can be inspected.")
    assert one is not None
    assert other is not None
    weights, equal, only_a, only_b = changes(one, other)
    return BundleDiffReport(
        bundle=str(path),
        a=one.facts(first.recipe),
        b=other.facts(second.recipe),
        size_a_bytes=first.size_bytes,
        size_b_bytes=second.size_bytes,
        weights=weights,
        equal_weights=equal,
        only_a=only_a,
        only_b=only_b,
    )


def _contents(bundle: Bundle, artifact: Artifact) -> Contents | None:
    read = contents_reader_of(artifact.format)
    return read(bundle.file(artifact), bundle.spec) if read else None

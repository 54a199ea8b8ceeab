"""Which operators of a quantized file may stay in float, the one that adds most error first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Signature
from edgekit.core.errors import ConversionFailed
from edgekit.core.samples import Feed, Samples
from edgekit.export.bisecting.bisect import Bisected
from edgekit.export.checking.sampling import feeds_of
from edgekit.export.checking.tolerance import TOLERANCES
from edgekit.export.formats import Tracer, tracer_of
from edgekit.export.graphs.operators import Trait, named
from edgekit.export.graphs.trace import Trace
from edgekit.export.mixing.fewest import KeepCandidate, Kept
from edgekit.export.mixing.trials import QuantizedPair

_RUNS: Final = 4
_LAYERS: Final = named("onnx", Trait.LAYER | Trait.MATRICES) | named("tflite", Trait.LAYER | Trait.MATRICES)


def candidates_of(pair: QuantizedPair) -> Iterator[KeepCandidate]:
    """Operators in the order of the error that quantizing adds at them."""
    tracer = _tracer(pair)
    whole = _trace(pair, pair.whole, pair.signatures, tracer)
    quantized = _trace(pair, pair.folder / pair.quantized.file, pair.quantized.signatures, tracer)
    found = Bisected(whole, quantized, TOLERANCES["int8"])
    names = tracer.tensor_names(pair.whole)
    by_name = whole.by_name
    order = sorted(range(len(found.aligned)), key=lambda place: -found.aligned[place].added)
    for place in order:
        one = found.aligned[place]
        own = [name for name in found.behind(place) if one.operator_a != "input" or name != one.a]
        if own:
            tensors = tuple(file_name for name in own for file_name in names.get(name, (name,)))
            kept = Kept(one.a, one.operator_a, one.module, one.added)
            yield KeepCandidate(tensors, kept, by_name[one.a].inputs, is_layer=_is_layer(one.operator_a))


def _is_layer(operator: str) -> bool:
    """Whether an operator, or one of those that are joined in it, has weights or multiplies matrices."""
    return not _LAYERS.isdisjoint(operator.split("+"))


def _tracer(pair: QuantizedPair) -> Tracer:
    found = tracer_of(pair.quantized.format)
    if found is None:
        raise ConversionFailed(
            f"Accuracy control does not support '{pair.quantized.format}' files: they cannot be traced."
        )
    return found


def _trace(pair: QuantizedPair, path: Path, signatures: tuple[Signature, ...], tracer: Tracer) -> Trace:
    samples = pair.evaluation.take(slice(0, _RUNS))
    if signatures:
        return tracer.trace(path, *_fixed(signatures, pair, samples))
    if pair.spec.batch_axis is None:
        return tracer.trace(path, feeds_of(samples, pair.spec), None)
    rows = range(len(samples))
    feeds = [{name: array[row : row + 1] for name, array in samples.inputs.items()} for row in rows]
    return tracer.trace(path, feeds, None)


def _fixed(signatures: tuple[Signature, ...], pair: QuantizedPair, samples: Samples) -> tuple[list[Feed], Signature]:
    """Feeds for the first signature whose sizes the samples have, and the signature."""
    batch = pair.spec.batch_axis
    if batch is None:
        return feeds_of(samples, pair.spec), signatures[0]
    for signature in signatures:
        size = signature.sizes[batch]
        feeds = [
            {
                name: array.take(range(start, start + size), axis=0, mode="wrap")
                for name, array in samples.inputs.items()
            }
            for start in range(0, len(samples), size)
        ]
        wanted = [tensor.concrete(signature.sizes) for tensor in pair.spec.inputs]
        if [feeds[0][tensor.name].shape for tensor in pair.spec.inputs] == wanted:
            return feeds, signature
    raise ConversionFailed(f"No signature of '{pair.quantized.recipe}' accepts the shapes of the samples.")

"""A bare file with what its user knows of it: names of classes, and how a file becomes its input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.tensor_spec import Axis
from edgekit.flows.opening.artifacts import Opened

_IN_ORDER: Final = "--labels FILE with one class per line, in the order of the scores"


def described_by_user(found: Opened, labels: Path | None, preprocess: str) -> Opened:
    """A bare file with what its user knows of it: the names of its classes, and how a file becomes its input.

    Args:
        labels: A file of class names, one per line; the file is then a classifier, whose first output has a score
            of each class.
        preprocess: Steps as in `parse_preprocessing`; if empty, the file takes arrays.

    Raises:
        UserError: It is a bundle, or the names or the preprocessing do not fit the file.
    """
    if labels is None and not preprocess:
        return found
    if found.bundle is not None:
        given = "--preprocess" if labels is None else "--labels"
        raise UserError(f"{given} does not apply to '{found.path}': a bundle has its own.", hint=f"Omit {given}.")
    # Readers of samples, which few commands need.
    from edgekit.flows.reading.preprocess_option import with_preprocessing
    from edgekit.flows.reading.sample_files import label_names

    spec = with_preprocessing(found.spec, preprocess)
    if labels is not None:
        names = label_names(labels)
        _refuse_other_count(names, labels, found)
        spec = msgspec.structs.replace(spec, task="classification", labels=names)
    return replace(found, spec=spec)


def refuse_other_scores(found: Opened, outputs: Iterable[Feed]) -> None:
    """Raise unless the first output has a score for each class that the user named: a file may not say how many.

    Raises:
        UserError: It has more or fewer, or a score for each of several places.
    """
    names, output = found.spec.labels, found.spec.outputs[0].name
    if found.bundle is not None or not names:
        return
    for feed in outputs:
        shape = feed[output].shape
        if _classes(shape) != len(names):
            message = f"There are {len(names)} class names, but the first output '{output}' of '{found.path}' has"
            raise UserError(f"{message} the shape {list(shape)}.", hint=_IN_ORDER)


def _refuse_other_count(names: Sequence[str], labels: Path, found: Opened) -> None:
    """Raise unless the first output can be scores of this many classes."""
    if not names:
        raise UserError(f"'{labels}' contains no class names.", hint="One name per line, in the order of the classes.")
    count = _classes(found.spec.outputs[0].shape)
    if count is None or not (isinstance(count, str) or count == len(names)):
        message = f"'{labels}' names {len(names)} classes; the first output of '{found.path}' is"
        raise UserError(f"{message} '{found.spec.outputs[0]}'.", hint="Omit --labels, or name every class.")


def _classes(shape: Sequence[Axis]) -> Axis | None:
    """The axis of an output with the scores of a sample; None if it has several, as those of the places of a mask.

    Convolutions at the end leave axes of 1: (N, K, 1, 1).
    """
    kept = list(shape) if len(shape) == 1 else [axis for axis in shape[1:] if axis != 1]
    return kept[0] if len(kept) == 1 else None

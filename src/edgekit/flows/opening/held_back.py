"""The samples that were held back for evaluation when a bundle was made; only the first of them travel in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgekit.core.bundle import Bundle
from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.samples import Samples, SplitFacts, split
from edgekit.core.spec.input_kinds import ArrayInput
from edgekit.core.system.progress import Progress
from edgekit.flows.reading.sample_files import read_held
from edgekit.flows.reading.user_samples import with_samples
from edgekit.train.registry import MODELS


def held_back(bundle: Bundle, samples: Path | None, data: Path | None, progress: Progress) -> Samples | None:
    """All samples of the evaluation, recognized by their checksum; None if they are not here, or all of them travel.

    Args:
        samples: The file that the bundle was made from; if None, one of its name in this folder or next to the bundle.
        data: Folder of data sets, for a bundle of a reference model.

    Raises:
        UserError: `samples` is not what the bundle was made from, or cannot be read.
    """
    facts = bundle.manifest.split
    if samples is not None:
        return _given(bundle, facts, samples)
    if facts is None or not facts.labelled or facts.evaluation <= len(bundle.samples() or ()):
        return None
    with progress.stage("find the held-back samples"):
        return next((one for one in _found(bundle, facts, data) if one.digest() == facts.evaluation_digest), None)


def _given(bundle: Bundle, facts: SplitFacts | None, path: Path) -> Samples:
    found = None if facts is None else _evaluation(bundle, facts, path)
    if found is None or facts is None or found.digest() != facts.evaluation_digest:
        made_from = f": it was made from '{facts.source}'" if facts else ""
        raise UserError(
            f"'{path}' does not contain the samples that '{bundle.path}' was evaluated on{made_from}.",
            hint=f"edgekit validate {bundle.path}",
        )
    return found


def _found(bundle: Bundle, facts: SplitFacts, data: Path | None) -> Iterator[Samples]:
    """What may be the evaluation samples, from the user's file or the data set of the reference model."""
    name = Path(facts.source).name
    folders = (Path(), bundle.path.absolute().parent, bundle.path.absolute().parent.parent)
    for file in dict.fromkeys(folder / name for folder in folders if (folder / name).exists()):
        with contextlib.suppress(EdgekitError):  # something else of the same name
            yield _evaluation(bundle, facts, file)
    model = bundle.manifest.source.get("model", "")
    if model in MODELS.table:
        with contextlib.suppress(EdgekitError):  # the data set, or PyTorch, is not here
            yield MODELS.get(model).data(data).test


def _evaluation(bundle: Bundle, facts: SplitFacts, path: Path) -> Samples:
    spec = bundle.spec
    how = None if isinstance(spec.preprocessing, ArrayInput) else spec.preprocessing
    samples = with_samples(spec, read_held(path, how, spec.labels)).samples
    return split(samples, calibration=facts.calibration, seed=facts.seed).evaluation

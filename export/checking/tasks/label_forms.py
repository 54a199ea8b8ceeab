"""How a user's network scores labels: one score for two classes, or one for each label that a sample may have."""

from __future__ import annotations

import numpy as np
from msgspec import structs

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import BINARY, MULTI_LABEL, LabelsOutput
from edgekit.core.statistics.label_ranking import macro_ap, roc_auc
from edgekit.export.checking.tasks.quality import class_output, quality_of


def with_label_form(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the reading of its outputs, and a note of it; unchanged for other tasks and where it is known.

    Args:
        samples: With labels and the reference outputs.

    Raises:
        UserError: No output has a real score for each label of the samples.
    """
    if spec.postprocessing is not None:
        return spec, ()
    if MULTI_LABEL in samples.targets and spec.task == MULTI_LABEL:
        return _multi_label(spec, samples)
    if samples.labels is None or spec.task not in ("classification", BINARY):
        return spec, ()
    name = class_output(spec, samples)
    if samples.expected[name].size != len(samples):
        return spec, ()
    return _binary(spec, name, samples, samples.labels)


def _binary(spec: ModelSpec, name: str, samples: Samples, labels: Array) -> tuple[ModelSpec, tuple[str, ...]]:
    """One score is that of class 1; `quality_of` judges its side of the threshold."""
    scores = samples.expected[name]
    how = LabelsOutput(name, logits=_are_logits(scores))
    read = structs.replace(spec, task=BINARY, postprocessing=how)
    note = f"'{name}' was read as one {_kind(how)}: class 1 above {how.threshold:g}"
    found, ranked = quality_of("accuracy", samples.expected, samples, read), roc_auc(scores.reshape(-1), labels)
    assert found is not None
    assert found.values is not None
    figures = f"accuracy {found.values.mean():.3f}" + ("" if ranked is None else f", auc {ranked:.3f}")
    return read, (f"{note}; {figures} in PyTorch",)


def _multi_label(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    marks = samples.targets[MULTI_LABEL]
    count = int(np.prod(marks.shape[1:]))
    fitting = [
        name
        for name, array in samples.expected.items()
        if array.dtype.kind == "f" and len(array) == len(marks) and array.size == marks.size
    ]
    if not fitting:
        shapes = ", ".join(f"{name} {array.dtype} {list(array.shape[1:])}" for name, array in samples.expected.items())
        raise UserError(
            f"The samples mark {count} labels, and no output of '{spec.name}' has a real score for each; per sample: "
            f"{shapes}.",
            hint="numpy.savez(FILE, ..., **{'target:OUTPUT': array}) for values of an output",
        )
    if spec.labels and len(spec.labels) != count:
        raise UserError(
            f"There are {len(spec.labels)} class names, and the samples mark {count} labels.",
            hint="--labels FILE with one label per line, in the order of the scores",
        )
    how = LabelsOutput(fitting[0], logits=_are_logits(samples.expected[fitting[0]]))
    read = structs.replace(spec, postprocessing=how)
    precision = macro_ap(samples.expected, samples, read)(np.arange(len(samples)))
    note = f"'{how.scores}' was read as one {_kind(how)} for each of {count} labels: macro_ap {precision:.3f}"
    return read, (f"{note} in PyTorch",)


def _kind(how: LabelsOutput) -> str:
    return "logit" if how.logits else "probability"


def _are_logits(scores: Array) -> bool:
    """Whether scores are before the sigmoid: some lie outside of 0 to 1."""
    return not (scores.size and float(scores.min()) >= 0 and float(scores.max()) <= 1)

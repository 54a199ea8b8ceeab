"""How a network writes its masks is found from the masks of samples and the reference outputs."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from tests.runtime.test_segmentation import FORMS, HEIGHT, TRUE, WIDTH, spec

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SegmentationOutput
from edgekit.export.checking.tasks.segmentation_forms import with_segmentation_form
from edgekit.runtime.segmentation import MASK

COUNT = 3


def labelled(array: Array, **others: Array) -> Samples:
    expected = {name: np.stack([one] * COUNT) for name, one in {**others, "y": array}.items()}
    masks = np.stack([TRUE.astype(np.uint8)] * COUNT)
    return Samples({"image": np.zeros((COUNT, 3, HEIGHT, WIDTH), np.float32)}, targets={MASK: masks}, expected=expected)


def unread() -> ModelSpec:
    return structs.replace(spec(SegmentationOutput("")), postprocessing=None)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "one logit, classes last"])
def test_each_form_is_recognized_next_to_other_outputs(form: str) -> None:
    how, array = FORMS[form]

    found, (note,) = with_segmentation_form(unread(), labelled(array, features=np.zeros(8, np.float32)))

    assert found.postprocessing == how
    assert "miou 1.000" in note


def test_outputs_without_scores_are_refused() -> None:
    with pytest.raises(UserError, match="No output of 'net' contains scores of 2 classes") as caught:
        with_segmentation_form(unread(), labelled(TRUE.astype(np.int64)))

    assert "before the argmax" in caught.value.hint


def test_other_tasks_are_left_alone() -> None:
    samples = Samples({"image": np.zeros((COUNT, 3))}, expected={"y": np.zeros((COUNT, 2))})

    assert with_segmentation_form(unread(), samples) == (unread(), ())

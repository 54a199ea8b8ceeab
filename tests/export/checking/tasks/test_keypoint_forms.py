"""How a network writes points is found from the points of the samples."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from tests.runtime.tasks.test_keypoints import FORMS, SPEC, TRUE

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.metric import Metric
from edgekit.export.checking.tasks.keypoint_forms import with_keypoint_form
from edgekit.runtime.tasks.keypoints import KEYPOINTS

UNREAD = structs.replace(SPEC, metric=Metric("pck"))


def samples(expected: Feed) -> Samples:
    return Samples({"x": np.zeros((2, 1))}, targets={KEYPOINTS: np.stack([TRUE, TRUE])}, expected=expected)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_recognized_by_its_points(form: str) -> None:
    outputs, how = FORMS[form]
    expected: Feed = {"state": np.zeros((2, 5)), **{name: np.stack([one, one]) for name, one in outputs.items()}}

    found, (note,) = with_keypoint_form(UNREAD, samples(expected))

    assert found.postprocessing == how
    assert "pck 1.000 on the first samples" in note


def test_outputs_without_as_many_points_are_refused_with_their_shapes() -> None:
    with pytest.raises(UserError, match=r"contains 2 points; per sample: y float64 \[7\]"):
        with_keypoint_form(UNREAD, samples({"y": np.zeros((2, 7))}))


def test_what_is_known_or_of_another_task_stays() -> None:
    outputs, how = FORMS["pixels"]
    given = samples({name: np.stack([one, one]) for name, one in outputs.items()})
    for spec in (structs.replace(UNREAD, postprocessing=how), structs.replace(UNREAD, task="other")):
        assert with_keypoint_form(spec, given) == (spec, ())

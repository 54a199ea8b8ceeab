"""How a detector writes its boxes is found from the labelled objects and the reference outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec import structs
from tests.runtime.test_detection import BOXES, FORMS, HEIGHT, WIDTH, spec

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.export.checking.tasks.detector_forms import with_detector_form
from edgekit.runtime.detection import OBJECTS

COUNT = 4
TRUE = np.array([[*BOXES[1], 0, 0], [*BOXES[2], 1, 0]], np.float32)


def labelled(arrays: dict[str, Any]) -> Samples:
    expected: Feed = {name: np.stack([array] * COUNT).astype(np.float32) for name, array in arrays.items()}
    images = np.zeros((COUNT, 3, HEIGHT, WIDTH), np.float32)
    return Samples({"image": images}, targets={OBJECTS: np.stack([TRUE] * COUNT)}, expected=expected)


def unread() -> ModelSpec:
    return structs.replace(spec(DetectionOutput("", "")), postprocessing=None)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_recognized(form: str) -> None:
    how, arrays = FORMS[form]

    found, (note,) = with_detector_form(unread(), labelled(arrays))

    assert found.postprocessing == how
    assert "map50 1.000" in note


def test_a_form_that_is_known_stays() -> None:
    how, arrays = FORMS["shares"]

    assert with_detector_form(spec(how), labelled(arrays)) == (spec(how), ())


def test_where_no_reading_finds_the_objects_the_note_says_so() -> None:
    _, arrays = FORMS["two outputs"]

    found, (note,) = with_detector_form(unread(), labelled({**arrays, "b": np.zeros((3, 4))}))

    assert isinstance(found.postprocessing, DetectionOutput)
    assert "no reading finds the objects" in note


def test_outputs_of_other_classes_are_refused_with_their_shapes() -> None:
    scores = np.zeros((3, 9))

    with pytest.raises(UserError, match=r"scores of 2 classes; per sample: b \[3, 4\], s \[3, 9\]"):
        with_detector_form(unread(), labelled({"b": BOXES, "s": scores}))

"""`--preprocess` is read strictly: what it says is what happens to a file, and every fault is named."""

from __future__ import annotations

import pytest

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, Preprocessing
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.flows.reading.preprocess_option import EXAMPLE_IMAGE, parse_preprocessing, with_preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EXAMPLE_IMAGE, ImageInput(224, 224, mean=MEAN, std=STD, resize=(256,))),
        ("resize=32x48", ImageInput(32, 48)),
        ("resize=60x80,crop=32x48", ImageInput(32, 48, resize=(60, 80))),
        (" resize = 8x8 , color=GRAY, mean=0.5 ", ImageInput(8, 8, 1, (0.5,), color="gray")),
        ("resize=8x8,color=bgr,layout=nhwc", ImageInput(8, 8, color="bgr", layout="nhwc")),
        ("resize=8x8,scale=1,interpolation=bicubic", ImageInput(8, 8, divisor=1.0, interpolation="bicubic")),
        ("resize=8x8,scale=1/127.5,mean=1", ImageInput(8, 8, divisor=127.5, mean=(1.0,))),
        ("resize=8x8,scale=0.00392156862745098", ImageInput(8, 8)),
        ("resize=8x8,invert=true", ImageInput(8, 8, invert=True)),
        ("letterbox=480x640", ImageInput(480, 640, letterbox=114)),
        ("letterbox=640,pad=0,scale=1/255", ImageInput(640, 640, letterbox=0)),
        ("rate=16000,length=8000", AudioInput(16000, 8000)),
    ],
)
def test_a_text_is_what_it_says(text: str, expected: Preprocessing) -> None:
    assert parse_preprocessing(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not KEY=VALUE."),
        ("resize", "'resize' is not KEY=VALUE."),
        ("resise=8x8", "unknown key 'resise'. Did you mean 'resize'?"),
        ("resize=8x8,resize=9x9", "'resize' is given twice."),
        ("resize=8x8,rate=16000", "rate is for sound, resize for images."),
        ("resize=0", "resize: expected a number of pixels, or HEIGHTxWIDTH, got '0'."),
        ("resize=8x8,mean=0.5;x", "mean: expected numbers separated by ';', got '0.5;x'."),
        ("resize=8x8,mean=nan", "mean: expected finite numbers, got 'nan'."),
        ("resize=8x8,std=0", "std: expected numbers above 0, got '0'."),
        ("resize=8x8,scale=0", "scale: expected 1/255, or another factor above 0, got '0'."),
        ("resize=8x8,color=rgba", "color: expected one of rgb, bgr, gray, got 'rgba'."),
        ("resize=8x8,layout=chw", "layout: expected one of nchw, nhwc, got 'chw'."),
        ("resize=8x8,invert=1", "invert: expected one of true, false, got '1'."),
        ("mean=0.5", "the size of the image is missing: resize=HEIGHTxWIDTH, or resize=256,crop=224."),
        ("letterbox=64,crop=32", "letterbox resizes the whole image, so neither resize nor crop goes with it."),
        ("resize=8x8,pad=0", "pad is the grey level of a letterbox: letterbox=640x640."),
        ("letterbox=64,pad=256", "pad: expected a grey level from 0 to 255, got '256'."),
        ("crop=224", "crop needs resize: resize=224,crop=224."),
        ("resize=8x8,mean=1;2", "mean: expected 1 or 3 numbers, got 2."),
        ("rate=16000", "'length' is missing."),
        ("rate=fast,length=1", "rate: expected a whole number of at least 1, got 'fast'."),
    ],
)
def test_a_fault_is_named_with_its_key(text: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_preprocessing(text)

    assert caught.value.message.splitlines()[1:] == [f"  {problem}"]
    assert caught.value.hint.startswith("--preprocess '")


def test_all_faults_are_told_at_once_and_a_hint_can_be_used_as_it_is() -> None:
    with pytest.raises(UserError) as caught:
        parse_preprocessing("resise=256,std=0")

    assert len(caught.value.message.splitlines()) == 3
    parse_preprocessing(caught.value.hint.partition("'")[2].rstrip("'"))


def test_one_number_keeps_the_aspect_ratio_so_the_other_side_must_be_said() -> None:
    with pytest.raises(UserError, match="add crop=224, or resize the whole image with resize=224x224"):
        parse_preprocessing("resize=224")


def net(*inputs: str) -> ModelSpec:
    return ModelSpec("net", "other", tuple(map(TensorSpec.parse, inputs)))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (net("x:float32[N,3,8,8]"), "resize=8x8"),
        (net("x:float32[1,3,8,8]"), "resize=8x8"),
        (net("x:float32[N,3,H,W]"), "resize=8x8"),
        (net("x:float16[N,8,8,3]"), "resize=8x8,layout=nhwc"),
        (net("x:float32[N,T]"), "rate=8000,length=100"),
    ],
)
def test_what_fits_the_input_is_stored_in_the_spec(spec: ModelSpec, text: str) -> None:
    assert with_preprocessing(spec, text).preprocessing == parse_preprocessing(text)


@pytest.mark.parametrize(
    ("spec", "text", "message", "hint"),
    [
        (net("x:float32[N,3,8,8]"), "resize=9x9", r"makes samples of shape \(3, 9, 9\)", "--preprocess 'resize=8x8'"),
        (net("x:float32[N,8,8,3]"), "resize=8x8", r"has \(8, 8, 3\)", "--preprocess 'resize=8x8,layout=nhwc'"),
        (net("x:float32[N,1,8,8]"), "resize=8x8", r"has \(1, 8, 8\)", "--preprocess 'resize=8x8,color=gray'"),
        (net("x:float32[N,90]"), "rate=8,length=9", r"has \(90\)", "--preprocess 'rate=8,length=90'"),
        (net("x:int64[N,3,8,8]"), "resize=8x8", "takes int64", "Omit --preprocess."),
        (net("a:float32[N,3,8,8]", "b:float32[N,2]"), "resize=8x8", "has 2: a, b", ""),
    ],
)
def test_what_does_not_fit_the_input_is_refused(spec: ModelSpec, text: str, message: str, hint: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        with_preprocessing(spec, text)

    assert caught.value.hint == hint

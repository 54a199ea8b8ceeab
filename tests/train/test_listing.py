from __future__ import annotations

from pathlib import Path

import pytest

import edgekit.train
from edgekit.core.system import documents
from edgekit.train.listing import SIZES, ModelSizes, count, known
from edgekit.train.registry import MODELS

WEIGHTS = Path(str(edgekit.train.__file__)).parent / "weights"


def test_parameters_and_work_are_counted() -> None:
    facts, shown = count("mnist"), known()["mnist"]

    assert facts.parameters == 93_322
    # conv1 26*26*32*9, conv2 11*11*64*288, conv3 3*3*64*576, dense 576*64 + 64*10
    assert facts.macs == 194_688 + 2_230_272 + 331_776 + 37_504
    assert shown.weights == "shipped"
    assert shown.quality is not None


def test_recurrent_layers_are_counted() -> None:
    facts = count("forecast-lstm")

    # 96 steps of four gates of 64 on 7 + 64 values, and the head on 64 + 24 values
    assert facts.macs == 96 * 4 * 64 * (7 + 64) + 88 * 24


def test_models_with_restricted_data_say_so() -> None:
    assert known()["cifar-resnet8"].weights.startswith("train first (terms of cifar10")


@pytest.mark.slow
def test_latency_fixtures_have_the_parameters_of_their_papers() -> None:
    assert count("mobilenetv2").parameters == 3_504_872
    assert count("mobilenetv3-small").parameters == 2_542_856


def test_every_model_is_in_the_listing_that_needs_no_torch() -> None:
    assert list(known()) == list(MODELS.table)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS.table)
def test_the_listing_says_what_is_counted(name: str) -> None:
    written = documents.read(WEIGHTS / SIZES, ModelSizes, newest=1)

    assert {size.name: size for size in written.models}[name] == count(name), "run: python -m edgekit.train.listing"

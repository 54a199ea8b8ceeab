"""Promises of core/statistics/events.py: many regressions of a night are one event, with its cause."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edgekit.core.statistics.events import Night, SeriesKey, judge_many
from edgekit.core.statistics.nightly import RERUNS

MODELS = ("a", "b", "c", "d")
DEVICES = ("pi", "phone", "desk")


def night(slower: Mapping[tuple[str, str], float], devices: tuple[str, ...] = DEVICES) -> dict[SeriesKey, Night]:
    """Every model on every device, those in `slower` with their values of tonight multiplied."""
    keys = [SeriesKey(model, device) for model in MODELS for device in devices]
    return {key: Night([1e-3] * 20, [1e-3 * slower.get(key, 1.0)] * (1 + RERUNS)) for key in keys}


def test_a_quiet_night_has_no_event() -> None:
    assert judge_many(night({})) == ()


def test_what_is_slower_on_several_devices_is_the_code_even_in_different_models() -> None:
    (event,) = judge_many(night({("a", "pi"): 1.05, ("b", "phone"): 1.07, ("c", "phone"): 1.20}))

    assert (event.cause, event.name) == ("code", "")
    assert event.series == ("a@pi", "b@phone", "c@phone")
    assert event.change == pytest.approx(0.07)
    assert event.evidence == "1 of 4 models on pi; 2 of 4 models on phone"


def test_most_models_of_one_device_are_the_device() -> None:
    (event,) = judge_many(night({("a", "pi"): 1.05, ("b", "pi"): 1.06, ("d", "pi"): 1.07}))

    assert (event.cause, event.name) == ("device", "pi")
    assert event.evidence == "3 of 4 models on pi, and in 0 of 8 series on other devices"


def test_one_model_is_the_model_on_one_device_or_on_all() -> None:
    (alone,) = judge_many(night({("b", "desk"): 1.05}))
    (everywhere,) = judge_many(night({("b", device): 1.05 for device in DEVICES}))

    assert (alone.cause, alone.name) == (everywhere.cause, everywhere.name) == ("model", "b")
    assert alone.evidence == "1 of 3 devices, and in none of 9 series of other models"
    assert everywhere.evidence == "3 of 3 devices, and in none of 9 series of other models"


def test_one_device_alone_cannot_tell_its_own_fault_from_the_code() -> None:
    slower = {(model, "pi"): 1.05 for model in MODELS}

    (event,) = judge_many(night(slower, devices=("pi",)))

    assert (event.cause, event.name) == ("unclear", "pi")
    assert event.evidence == "4 of 4 models on pi, and no other device was measured"


def test_few_models_on_one_of_several_devices_are_unclear() -> None:
    many = night({}) | {SeriesKey(f"other {n}", "pi"): Night([1e-3] * 20, [1e-3]) for n in range(4)}
    slower = {key: Night(one.history, [1.05e-3] * 6) for key, one in many.items() if key in {("a", "pi"), ("b", "pi")}}

    (event,) = judge_many(many | slower)

    assert event.cause == "unclear"
    assert event.evidence == "2 of 8 models on pi, and on no other device"


def test_a_disturbed_device_is_set_apart_and_its_neighbours_fluke_is_told_alone() -> None:
    lonely = {SeriesKey(f"m{n}", "lab"): Night([1e-3] * 20, [1e-3]) for n in range(30)}
    slower = night({(model, "pi"): 1.3 for model in MODELS}, devices=("pi",))
    fluke = {SeriesKey("m0", "lab"): Night([1e-3] * 20, [1.05e-3] * 6)}

    events = judge_many(lonely | slower | fluke)

    assert [(event.cause, event.name) for event in events] == [("device", "pi"), ("model", "m0")]


def test_a_series_with_too_few_nights_is_no_event() -> None:
    assert judge_many({SeriesKey("a", "pi"): Night([1e-3] * 3, [9e-3] * 6)}) == ()

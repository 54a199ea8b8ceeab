"""The order in which operators are kept in float."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.export.mixing.fewest import KeepCandidate, Kept, by_gain, fewest, with_sources


def candidate(name: str, *inputs: str, is_layer: bool = False) -> KeepCandidate:
    return KeepCandidate((name,), Kept(name, "Op", "", 0.1), inputs, is_layer)


def names(candidates: tuple[KeepCandidate, ...] | None) -> list[str]:
    return [one.kept.tensor for one in candidates or ()]


def test_an_operator_is_followed_by_what_it_is_computed_from_back_to_layers() -> None:
    found = with_sources(
        [
            candidate("difference", "mean"),
            candidate("first", "x", is_layer=True),
            candidate("mean", "second"),
            candidate("second", "first", is_layer=True),
        ]
    )

    assert names(found) == ["difference", "mean", "second", "first"]


def test_a_layer_is_followed_by_its_own_sources() -> None:
    found = with_sources(
        [
            candidate("last", "middle", is_layer=True),
            candidate("other", "x"),
            candidate("middle", "first", is_layer=True),
            candidate("first", "x", is_layer=True),
        ]
    )

    assert names(found) == ["last", "middle", "other", "first"]


def test_when_the_time_ends_what_is_good_enough_is_kept() -> None:
    times = iter([True, True, False, False, False, False])

    found = fewest(
        [candidate(str(place)) for place in range(16)], lambda chosen: len(chosen) < 3, 0, lambda: next(times, False)
    )

    assert names(found) == ["0", "1", "2", "3"]


def test_when_the_time_ends_before_any_is_good_there_is_none() -> None:
    assert fewest([candidate(str(place)) for place in range(9)], lambda chosen: 1, 0, lambda: False) is None


def test_layers_are_ordered_by_what_each_alone_gains() -> None:
    left = {"a": 3.0, "b": 1.0, "too large": -1.0, "c": 2.0}

    found = by_gain([candidate(name) for name in left], lambda chosen: left[chosen[0].kept.tensor])

    assert names(found) == ["b", "c", "a"]


def test_a_layer_that_alone_is_enough_ends_the_measurements() -> None:
    left = {"a": 3.0, "enough": 0.0, "c": 2.0}
    measured = []

    def measure(chosen: Sequence[KeepCandidate]) -> float:
        measured.append(chosen[0].kept.tensor)
        return left[measured[-1]]

    assert names(by_gain([candidate(name) for name in left], measure)) == ["enough"]
    assert measured == ["a", "enough"]


def test_when_the_time_ends_the_order_is_of_what_was_measured() -> None:
    times = iter([True, True, False])

    found = by_gain([candidate(str(place)) for place in range(4)], lambda chosen: 1.0, lambda: next(times))

    assert names(found) == ["0", "1"]

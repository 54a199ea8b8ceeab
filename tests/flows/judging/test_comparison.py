"""Two reports compared: which measurements belong together, and what makes a pair say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from edgekit.core.bundle import Artifact
from edgekit.core.errors import Unreadable, UserError
from edgekit.core.facts import Facts
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.reports.report import REPORT_SCHEMA, Report
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.statistics.intervals import direction, ratio_interval, ratio_p_value
from edgekit.core.system import documents
from edgekit.flows.judging.comparison import compare_reports, read_report, refuse_other_files

FACTS = Facts(cpu="one", architecture="x86_64", system="Linux", governor="performance", cores=4, engines={"a": "1"})


def measured(artifact: str, latency_s: float, *, target: str = "local", **changes: Any) -> Measurement:
    launches = tuple(Launch(order, (latency_s * (1 + 0.002 * order),) * 40) for order in range(8))
    return replace(Measurement(target, artifact, "latency", "s", launches, {"N": 1}), **changes)


def report(*measurements: Measurement, facts: Facts = FACTS) -> Report:
    there = {one.target: facts for one in measurements}
    return Report(command="profile", created="now", measurements=measurements, facts=there)


def test_measurements_of_one_artifact_and_target_are_pairs_and_others_are_left_out() -> None:
    a = report(measured("x", 1e-3), measured("y", 2e-3), measured("x", 3e-3, target="pi5"), measured("old", 1.0))
    b = report(measured("new", 1.0), measured("x", 6e-3, target="pi5"), measured("y", 2e-3), measured("x", 0.5e-3))

    found = compare_reports(a, b, 0.03)

    assert [(one.target, one.a, one.b, one.says) for one in found] == [
        ("local", "x", "x", "faster"),
        ("local", "y", "y", "equal"),
        ("pi5", "x", "x", "slower"),
    ]


def test_a_pair_has_the_ratio_of_its_launches_unpaired() -> None:
    before = [1e-3 * (1 + 0.002 * order) for order in range(8)]
    after = [1.01 * one for one in before]
    ratio = ratio_interval(before, after, paired=False)

    (found,) = compare_reports(report(measured("x", 1e-3)), report(measured("x", 1.01e-3)), 0.005)

    assert (found.ratio.value, found.ratio.low, found.ratio.high, found.ratio.n) == pytest.approx(
        (ratio.value, ratio.low, ratio.high, 8)
    )
    assert (found.detectable, found.p_value) == pytest.approx(
        (ratio.detectable, ratio_p_value(before, after, paired=False))
    )
    assert (found.says, found.sizes, found.differing) == (direction(ratio, 0.005), {"N": 1}, ())
    assert list(found.medians_a) == pytest.approx(before)
    assert list(found.medians_b) == pytest.approx(after)


def test_only_a_lone_measurement_on_each_side_is_paired_with_another_name() -> None:
    one, two = report(measured("x", 1e-3)), report(measured("y", 1e-3), measured("z", 1e-3))

    assert [(found.a, found.b) for found in compare_reports(one, report(measured("y", 1e-3)), 0.03)] == [("x", "y")]
    for a, b in ((one, two), (two, one)):
        with pytest.raises(UserError, match="no target and artifact in common") as caught:
            compare_reports(a, b, 0.03)
        assert caught.value.hint == "edgekit profile A --artifact RECIPE"


@pytest.mark.parametrize("emulated", [(True, False), (False, True)])
def test_times_under_emulation_are_not_compared(emulated: tuple[bool, bool]) -> None:
    a, b = (report(measured("x", 1e-3 * (1 + one), emulated=one)) for one in emulated)

    (found,) = compare_reports(a, b, 0.03)

    assert (found.says, found.ratio.value) == ("inconclusive", None)
    assert found.ratio.reason == "emulated: not the latency of a device"
    assert (found.target, found.a, found.b, found.sizes) == ("local", "x", "x", {"N": 1})


@pytest.mark.parametrize("drifts", [(True, False), (False, True)])
def test_what_drifts_is_not_compared(drifts: tuple[bool, bool]) -> None:
    slowing = tuple(Launch(i, tuple(1e-3 * (1 + 0.05 * call / 100) for call in range(300))) for i in range(8))
    steady = measured("x", 1e-3)
    a, b = (report(replace(steady, launches=slowing) if one else steady) for one in drifts)

    (found,) = compare_reports(a, b, 0.03)

    assert (found.says, found.ratio.value) == ("inconclusive", None)
    assert "drift" in found.ratio.reason


@pytest.mark.parametrize("few", [(4, 8), (8, 4)])
def test_few_launches_on_one_side_compare_nothing(few: tuple[int, int]) -> None:
    launches = measured("x", 1e-3).launches
    a, b = (report(measured("x", 1e-3, launches=launches[:count])) for count in few)

    (found,) = compare_reports(a, b, 0.03)

    assert (found.says, found.ratio.reason) == ("inconclusive", "too few launches or values")
    assert (found.detectable, found.p_value) == (None, None)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"system": "Darwin"}, "system: Linux and Darwin"),
        ({"governor": "powersave"}, "governor: performance and powersave"),
        ({"cores": 8}, "cores: 4 and 8"),
        ({"throttled": True}, "throttled: None and True"),
        ({"engines": {"a": "2"}}, "engines: {'a': '1'} and {'a': '2'}"),
    ],
)
def test_a_fact_that_differs_is_told(changes: dict[str, Any], told: str) -> None:
    for launches in (measured("x", 1e-3).launches, ()):
        one = measured("x", 1e-3, launches=launches)
        (found,) = compare_reports(report(one), report(one, facts=replace(FACTS, **changes)), 0.03)

        assert found.differing == (told,)


@pytest.mark.parametrize("changes", [{"cpu": "two"}, {"architecture": "aarch64"}])
def test_other_devices_are_refused(changes: dict[str, Any]) -> None:
    one = measured("x", 1e-3)

    with pytest.raises(UserError, match=r"The devices differ: 'one' and '(one|two)'") as caught:
        compare_reports(report(one), report(one, facts=replace(FACTS, **changes)), 0.03)

    assert caught.value.hint == "Measure both on the same device."
    assert compare_reports(replace(report(one), facts={}), replace(report(one), facts={}), 0.03)[0].says == "equal"


@pytest.mark.parametrize("changes", [{"unit": "cycles"}, {"metric": "memory"}, {"sizes": {"N": 8}}])
def test_other_units_and_sizes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"'x': latency in s at \{'N': 1\} against"):
        compare_reports(report(measured("x", 1e-3)), report(measured("x", 1e-3, **changes)), 0.03)


def test_inputs_are_compared_where_both_reports_name_them() -> None:
    specs = [ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", size)),), ()) for size in (2, 3)]
    a, b = (replace(report(measured("x", 1e-3)), spec=spec) for spec in specs)

    with pytest.raises(UserError, match="inputs differ"):
        compare_reports(a, b, 0.03)
    assert compare_reports(a, replace(b, spec=None), 0.03)
    assert compare_reports(replace(a, spec=None), b, 0.03)


def test_a_report_of_a_newer_edgekit_is_refused(tmp_path: Path) -> None:
    documents.write(tmp_path / "a.json", report(measured("x", 1e-3)))
    newer = msgspec.json.decode((tmp_path / "a.json").read_bytes()) | {"schema_version": REPORT_SCHEMA + 1}
    (tmp_path / "b.json").write_bytes(msgspec.json.encode(newer))

    assert read_report(tmp_path / "a.json").measurements[0].artifact == "x"
    with pytest.raises(Unreadable, match=f"has schema {REPORT_SCHEMA + 1}; this edgekit reads up to {REPORT_SCHEMA}"):
        read_report(tmp_path / "b.json")


def test_a_report_is_continued_only_with_the_files_that_it_measured() -> None:
    def file(recipe: str, sha256: str) -> Artifact:
        return Artifact(recipe, f"{recipe}.onnx", "onnx", "fp32", 1, sha256, sha256, (), ())

    begun = Report(command="profile", created="now", artifacts=(file("x", "1"), file("y", "2")))

    refuse_other_files(begun, (file("y", "2"), file("new", "3")), Path("a.json"))
    with pytest.raises(UserError, match=r"'a.json' cannot be resumed: it measured another file as 'y'") as caught:
        refuse_other_files(begun, (file("x", "1"), file("y", "3")), Path("a.json"))
    assert caught.value.hint == "Omit --resume."

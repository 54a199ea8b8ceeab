"""What `edgekit build` opens, it opens once: the source, and the bundle that it wrote itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.core import bundle
from edgekit.core.bundle import MANIFEST, Bundle
from edgekit.core.errors import DeviceUnavailable, EdgekitError, ModelUnreadable, UserError
from edgekit.core.job import Job, JobResult
from edgekit.core.system.files import sha256_file
from edgekit.core.verdict import Verdict
from edgekit.devices.fake import FakeDevice
from edgekit.flows.build import build, build_order, resume_build
from edgekit.flows.opening import devices
from edgekit.flows.opening import source as sources
from edgekit.flows.opening.source import SourceOptions

OPTIONS = SourceOptions(inputs=("x:float32[N,1,8,8]",))
LINEAR = Path(__file__).parents[1] / "runtime" / "data" / "linear.onnx"


def counted(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, key: Callable[[Any], Any]) -> Counter[Any]:
    """How often `place.name` is called, by `key` of its first argument."""
    calls, real = Counter[Any](), getattr(place, name)

    def count(first: Any, *args: Any, **options: Any) -> Any:
        calls[key(first)] += 1
        return real(first, *args, **options)

    monkeypatch.setattr(place, name, count)
    return calls


@pytest.mark.slow
def test_the_source_is_opened_once_and_the_new_bundle_is_hashed_once(
    nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = counted(monkeypatch, sources, "_opened", str)
    bundles = counted(monkeypatch, Bundle, "open", str)
    hashed = counted(monkeypatch, bundle, "sha256_file", lambda path: path.name)

    build(f"{nets}:small", out=tmp_path / "out", to="onnx-fp32", options=OPTIONS, launches=1, time_limit_s=0.01)

    assert opened == {f"{nets}:small": 1}
    assert not bundles
    written = {path.name for path in (tmp_path / "out" / "bundle").iterdir()} - {MANIFEST}
    assert hashed == dict.fromkeys(written, 1)


@pytest.mark.slow
def test_a_file_is_described_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch, sources, "describe_file", lambda path: path.name)

    with build_order(str(LINEAR), out=tmp_path / "out", to="onnx-fp32") as order:
        assert order.steps()
        assert order.source is not None

    assert asked == {LINEAR.name: 1}


def test_a_training_comes_first_where_there_are_no_weights(tmp_path: Path) -> None:
    with build_order("digits", out=tmp_path / "out", to="onnx-fp32", train_first=True, launches=3) as order:
        steps = order.steps()

    assert order.source is None
    assert steps == (
        "train 'digits'",
        "make 'onnx-fp32' and check its parity",
        "measure every artifact on local: 3 fresh processes",
        f"write '{tmp_path / 'out'}'",
    )


class Fading(FakeDevice):
    """A device whose launches fail from the third on; its outputs are real."""

    def __init__(self, name: str, fault: EdgekitError | None = None) -> None:
        super().__init__()
        self.name = name
        self.fault = fault
        self.launches = 0

    def measure(self, job: Job) -> JobResult:
        self.launches += 1
        if self.fault is not None and self.launches > 2:
            raise self.fault
        return super().measure(job)


@pytest.mark.slow
def test_a_build_that_lost_a_device_is_resumed_without_a_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(*used: Fading) -> tuple[Fading, ...]:
        monkeypatch.setattr(devices, "open_device", {one.name: one for one in used}.__getitem__)
        return used

    out, how = tmp_path / "out", {"target": "good,bad", "budget": "latency.p50 <= 1 s", "launches": 5}
    use(Fading("good"), Fading("bad", DeviceUnavailable("no response")))
    first = build(str(LINEAR), out=out, to="onnx-fp32", time_limit_s=0.01, **how)  # type: ignore[arg-type]  # options of several types

    assert first.verdict is Verdict.INCOMPLETE
    assert [(one.target, one.verdict) for one in first.outcomes] == [("good", "pass"), ("bad", "incomplete")]
    files = {path: sha256_file(path) for path in (out / "bundle").iterdir()}
    good, bad = use(Fading("good"), Fading("bad"))
    with monkeypatch.context() as patch:
        patch.setattr("edgekit.flows.build.write_bundle", None)
        second = resume_build(out, time_limit_s=0.01, **how)  # type: ignore[arg-type]  # options of several types

    assert (good.launches, bad.launches) == (0, 5)
    assert (second.verdict, second.missing) == (Verdict.PASS, ())
    assert [(one.target, one.verdict, one.chosen) for one in second.outcomes] == [
        ("good", "pass", "onnx-fp32"),
        ("bad", "pass", "onnx-fp32"),
    ]
    assert {path: sha256_file(path) for path in files} == files
    on_good = [[one for one in found.parity if one.where != "bad"] for found in (first, second)]
    assert on_good[0] == on_good[1] != []
    assert "bad" in (out / "report.html").read_text()
    with pytest.raises(UserError, match="did not make 'tflite-fp32'"):
        resume_build(out, to="tflite-fp32")
    with pytest.raises(UserError, match="contains no build"):
        resume_build(tmp_path)

    use(Fading("bad", ModelUnreadable("its backend cannot load the model")))
    bare = build(str(LINEAR), out=tmp_path / "third", to="onnx-fp32", target="bad", launches=5, time_limit_s=0.01)
    assert (bare.verdict, [one.kind for one in bare.missing]) == (Verdict.INCOMPLETE, ["refused"])
    assert (tmp_path / "third" / "bundle").is_dir()

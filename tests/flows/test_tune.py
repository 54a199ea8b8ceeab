"""`edgekit tune` on this machine: what is chosen is kept, found again, and travels where it is packed."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from tests.cli.conftest import write_bundle
from tests.flows.scripted import Scripted

import edgekit
from edgekit.cli.main import run
from edgekit.core.bundle import Bundle
from edgekit.core.errors import DeviceUnavailable, UserError
from edgekit.core.facts import Facts
from edgekit.core.reports.report import Estimate
from edgekit.core.reports.tuning import Choice, Tuning, device_kind, is_same_kind, merged, read_tuning
from edgekit.core.samples import Samples
from edgekit.core.target import Target
from edgekit.flows import tune as tuning_flow
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.opening.tuned import tuned
from edgekit.flows.tune import tune
from edgekit.runtime.facts import read_facts

ENGINE = "onnxruntime"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A linear classifier with 40 labelled samples."""
    import numpy as np

    images = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)
    write_bundle(tmp_path / "net", Samples({"x": images}, np.zeros(40, np.int64)))
    return tmp_path / "net"


def keep(bundle: Path, **options: str) -> None:
    """Write a tuning that chose these options on this machine."""
    with opened(bundle) as found:
        (artifact,) = found.artifacts
    import onnxruntime

    choice = Choice(
        device=device_kind(read_facts()),
        engine=f"{ENGINE} {onnxruntime.__version__}",
        artifact=artifact.recipe,
        sha256=artifact.sha256,
        backend=ENGINE,
        options=options,
        latency=Estimate(1e-3),
        created="2026-01-01T00:00:00+00:00",
        is_chosen=True,
    )
    tuning: Tuning = merged(None, "net", [choice])
    bundle.with_name("net.tuning.json").write_bytes(edgekit_json(tuning))


def edgekit_json(document: object) -> bytes:
    from edgekit.core.system import documents

    return documents.encode(document)


def graph_level(session: object) -> str:
    """What the engine says of its own session."""
    return str(session._engine.get_session_options().graph_optimization_level)  # type: ignore[attr-defined] # no way around


@pytest.mark.slow
def test_the_choice_is_kept_beside_the_bundle_and_found_by_load(bundle: Path) -> None:
    report = tune(bundle, target="local@threads=1", time_limit_s=0.001)

    kept = read_tuning(bundle.with_name("net.tuning.json"))
    assert kept is not None
    assert kept.choices[0].is_chosen
    assert report.chosen is not None
    assert kept.choices[0].options == report.chosen.options
    assert report.chosen.is_tied
    assert any(one.is_efficient for one in report.candidates)
    with edgekit.load(bundle) as session:
        assert session.backend == ENGINE


def test_load_takes_the_options_that_were_chosen_unless_others_are_asked_for(bundle: Path) -> None:
    keep(bundle, graph="basic")

    with edgekit.load(bundle) as chosen, edgekit.load(bundle, threads=1) as asked:
        assert "ENABLE_BASIC" in graph_level(chosen)
        assert "ENABLE_ALL" in graph_level(asked)


@pytest.mark.parametrize("change", [{"engine": "onnxruntime 0.1"}, {"sha256": "0" * 64}, {"device": "another"}])
def test_a_choice_for_something_else_is_not_taken(bundle: Path, change: dict[str, str]) -> None:
    keep(bundle, graph="basic")
    file = bundle.with_name("net.tuning.json")
    document = json.loads(file.read_text())
    document["choices"][0] |= change
    file.write_text(json.dumps(document))

    with edgekit.load(bundle) as session:
        assert "ENABLE_ALL" in graph_level(session)


def change_choice(bundle: Path, **changes: str) -> None:
    """Change the first choice in the tuning next to the bundle."""
    file = bundle.with_name("net.tuning.json")
    document = json.loads(file.read_text())
    document["choices"][0] |= changes
    file.write_text(json.dumps(document))


def test_a_choice_of_another_patch_release_is_used_and_said(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    import onnxruntime

    present = onnxruntime.__version__
    older = f"{'.'.join(present.split('.')[:2])}.99+cu126"
    keep(bundle, graph="basic")
    change_choice(bundle, engine=f"{ENGINE} {older}")

    with edgekit.load(bundle) as session:
        assert "ENABLE_BASIC" in graph_level(session)
    report = edgekit.run(bundle, input=["sample:0"])

    note = f"The tuning was made with {ENGINE} {older}; this is {present}."
    assert report.notes == (note,)
    assert [one.message for one in caplog.records] == [note]


def test_a_choice_of_another_release_is_refused_and_said(bundle: Path) -> None:
    keep(bundle, graph="basic")
    change_choice(bundle, engine=f"{ENGINE} 0.1.0")

    (note,) = edgekit.run(bundle, input=["sample:0"]).notes

    assert note.startswith(f"The tuning was made with {ENGINE} 0.1.0; this is ")
    assert note.endswith(f"so it was not used. To tune again: edgekit tune {bundle}")


# What a device says over ssh, and what it says of itself: another package, revision, container, 32-bit process.
JETSON = Facts(
    cpu="NVIDIA Jetson Orin Nano Developer Kit (Cortex-A78AE)",
    architecture="aarch64",
    cores=6,
    engines={"onnxruntime-gpu": "1.23.0+cu126"},
)
PI5 = Facts(
    cpu="Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)", architecture="aarch64", cores=4, engines={ENGINE: "1.23.2"}
)
PI4_32 = Facts(
    cpu="Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)", architecture="armv7l", cores=4, engines={ENGINE: "1.23.2"}
)


@pytest.mark.parametrize(
    ("measured", "found"),
    [
        (JETSON, {"cpu": "Cortex-A78AE"}),
        (JETSON, {"engines": {ENGINE: "1.23.1"}}),
        (PI5, {"cpu": "Raspberry Pi 5 Model B Rev 1.1 (Cortex-A76)"}),
        (PI4_32, {"cpu": "Raspberry Pi 4 Model B Rev 1.5 (Cortex-A72)"}),
    ],
    ids=["Jetson in a container", "Jetson with another package", "Pi 5 Rev 1.1", "32-bit Pi 4 Rev 1.5"],
)
def test_a_tuning_is_found_on_devices_of_its_kind(bundle: Path, measured: Facts, found: dict[str, object]) -> None:
    keep(bundle, graph="basic")
    change_choice(bundle, engine=f"{ENGINE} 1.23.0", device=device_kind(measured))
    facts = msgspec.structs.replace(measured, **found)

    with opened(bundle) as content:
        chosen = tuned(content, content.artifacts, Target("board"), lambda: facts)

    assert dict(chosen.target.options) == {"graph": "basic"}


@pytest.mark.parametrize(
    "other",
    [
        {"cpu": "Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)"},
        {"cpu": "Radxa ROCK (Cortex-A76)"},
        {"cores": 2},
        {"architecture": "armv7l"},
        {"cpu": "Cortex-A72"},
    ],
)
def test_a_tuning_of_another_kind_is_not_taken(bundle: Path, other: dict[str, object]) -> None:
    keep(bundle, graph="basic")
    change_choice(bundle, engine=f"{ENGINE} 1.23.0", device=device_kind(PI5))
    facts = msgspec.structs.replace(PI5, **other)

    with opened(bundle) as content:
        chosen = tuned(content, content.artifacts, Target("board"), lambda: facts)

    assert (chosen.target, chosen.note) == (Target("board"), "")


def test_a_device_has_onnxruntime_in_any_of_its_packages(bundle: Path) -> None:
    with opened(bundle) as content:
        (onnx,) = content.artifacts
        tflite = msgspec.structs.replace(onnx, format="tflite")

        assert tuned(content, (tflite, onnx), Target("board"), lambda: JETSON).artifact is onnx


def test_a_file_of_an_older_edgekit_with_a_revision_is_still_found() -> None:
    assert is_same_kind("Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76), aarch64, 4 cores", device_kind(PI5))
    assert is_same_kind(
        "Intel(R) Xeon(R) CPU @ 2.00GHz, x86_64, 2 cores", "Intel(R) Xeon(R) CPU @ 2.00GHz, x86_64, 2 cores"
    )
    assert not is_same_kind("Intel(R) Xeon(R) CPU @ 2.00GHz, x86_64, 2 cores", "Intel(R) Core(TM) i5, x86_64, 2 cores")


def test_a_bundle_packed_with_its_tuning_brings_it_along(bundle: Path, tmp_path: Path) -> None:
    keep(bundle, graph="basic")
    packed = tmp_path / "elsewhere" / "net.edgekit"
    packed.parent.mkdir()

    assert run(["bundle", "pack", str(bundle), "--with-tuning", "--out", str(packed)]) == 0

    with edgekit.load(packed) as session:
        assert "ENABLE_BASIC" in graph_level(session)
    with Bundle.open(packed) as new, Bundle.open(bundle) as old:
        assert new.manifest.digest != old.manifest.digest


def test_packing_without_a_tuning_says_what_to_type(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bundle", "pack", str(bundle), "--with-tuning"]) == 2

    assert f"edgekit tune {bundle}" in capsys.readouterr().err


def test_an_emulated_device_has_nothing_to_be_tuned(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Scripted(lambda number, job: 1e-3, emulated=True)
    monkeypatch.setattr(devices, "open_device", lambda target: device)

    with pytest.raises(UserError, match="emulated"):
        tune(bundle)

    assert not device.jobs
    assert not bundle.with_name("net.tuning.json").exists()


@pytest.mark.parametrize("last", [0, 1, 4])
def test_a_device_that_is_lost_leaves_a_report_of_its_launches(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, last: int
) -> None:
    def answer(number: int, job: object) -> float:
        if number >= last:
            raise DeviceUnavailable("No response from 'pi'.")
        return 1e-3

    device = Scripted(answer)
    monkeypatch.setattr(devices, "open_device", lambda target: device)
    monkeypatch.setattr(tuning_flow._Launcher, "_parity", lambda *_: ())
    file = tmp_path / "tuned.json"

    code = run(
        ["tune", str(bundle), "--target", "pi", "--report", str(file), "--report", str(file.with_suffix(".html"))]
    )

    out, err = capsys.readouterr()
    assert code == 3
    assert "edgekit devices check pi" in err or last == 0
    assert not bundle.with_name("net.tuning.json").exists()
    assert file.exists() == (last > 0)
    if last > 0:
        found = json.loads(file.read_text())
        assert (found["verdict"], found["missing"], found["chosen"]) == ("incomplete", "No response from 'pi'.", None)
        assert sum(one["launches"] for one in found["candidates"]) == last
        assert "INCOMPLETE: No response from 'pi'." in " ".join(out.split())
        assert "INCOMPLETE" in file.with_suffix(".html").read_text()


def test_what_the_device_refuses_is_listed_with_the_reason(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(number: int, job: object) -> float:
        if getattr(job, "options", {}).get("graph") == "basic":
            raise UserError("no such level")
        return 1e-3

    monkeypatch.setattr(devices, "open_device", lambda target: Scripted(answer))
    monkeypatch.setattr(tuning_flow._Launcher, "_parity", lambda *_: ())

    report = tune(bundle)

    assert [one.refused for one in report.candidates if one.refused] == ["no such level"]
    assert report.chosen is not None
    assert report.chosen.options == {"graph": "all", "threads": "1"}

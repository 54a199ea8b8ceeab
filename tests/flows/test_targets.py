"""One bundle on this machine, a Pi 4, a Pi 5, a phone over adb and a phone's browser: same answers, one report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.standins.cache import cache_folder, required
from tests.standins.world import Browser, running_world

from edgekit.cli.main import run
from edgekit.flows import devices

pytestmark = [pytest.mark.slow, pytest.mark.device, pytest.mark.browser]

INT8 = "onnx-int8-static-s8s8"
ONNX_TARGETS = ("pi4", "pi5", "phone", "browser/ort-web")
TFLITE_TARGETS = ("pi4", "pi5", "browser/litert-js")
CASES = [
    *((INT8, target) for target in ONNX_TARGETS),
    *(("tflite-int8", target) for target in TFLITE_TARGETS),
    *(("onnx-fp32", target) for target in ("pi5", "phone", "browser/ort-web")),
    ("tflite-fp32", "pi5"),
]
EMULATED = ("pi4", "pi5", "phone")
COUNTING = ("pi4", "pi5")
INPUTS = [part for row in range(4) for part in ("--input", f"sample:{row}")]

Call = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Every device, in an inventory of their own."""
    with required(), pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("world")
        with running_world(folder) as browser:
            patch.setenv("EDGEKIT_DEVICES", str(folder / "devices.toml"))
            patch.setattr(devices, "_cache", cache_folder)
            # The owner of the phone opens the address that edgekit shows.
            patch.setattr(devices, "show_address", browser.open)
            yield browser


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`digits` in four forms."""
    path = tmp_path_factory.mktemp("bundle") / "digits"
    recipes = f"onnx-fp32,{INT8},tflite-fp32,tflite-int8"
    assert run(["export", "digits", "--to", recipes, "--out", str(path), "--quiet"]) == 0
    return str(path)


@pytest.fixture
def call(world: Browser, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """`call(*arguments)`: the document of one command that ends well."""

    def edgekit(*arguments: str) -> dict[str, Any]:
        assert run([*arguments, "--json"]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    yield edgekit
    world.close()


@pytest.fixture(scope="module")
def expected(bundle: str) -> Callable[[str], list[np.ndarray[Any, Any]]]:
    """The answers of this machine, by recipe."""
    from edgekit.flows.run import run as run_flow

    found = {}

    def answers(recipe: str) -> list[np.ndarray[Any, Any]]:
        if recipe not in found:
            inputs = [f"sample:{row}" for row in range(4)]
            prediction = run_flow(bundle, input=inputs, target="local", artifact=recipe)
            found[recipe] = [np.array(one.outputs["logits"]) for one in prediction.answers]
        return found[recipe]

    return answers


@pytest.mark.parametrize(("recipe", "target"), CASES, ids=lambda text: text)
def test_run_gives_the_answers_of_this_machine(
    call: Call, bundle: str, expected: Callable[[str], list[np.ndarray[Any, Any]]], recipe: str, target: str
) -> None:
    document = call("run", bundle, "--artifact", recipe, "--target", target, *INPUTS)

    answers = [np.array(one["outputs"]["logits"]) for one in document["answers"]]
    if "int8" in recipe and "/" not in target:
        np.testing.assert_array_equal(answers, expected(recipe))
    else:
        span = float(np.ptp(expected(recipe)))
        np.testing.assert_allclose(answers, expected(recipe), rtol=0, atol=1e-5 * span)


def test_one_report_shows_them_side_by_side(call: Call, bundle: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    targets = ",".join(("local", *ONNX_TARGETS))
    wanted = ("--artifact", f"onnx-fp32,{INT8}", "--target", targets, "--launches", "1", "--time-limit", "10ms")

    report = call("profile", bundle, *wanted, "--report", str(page))

    rows = {(one["target"], one["artifact"]): one for one in report["latency"]}
    assert len(rows) == 2 * len(targets.split(","))
    assert report["verdict"] == "pass"
    for (target, _), row in rows.items():
        assert (row["trust"]["grade"] == "E") == (target in EMULATED)
        assert bool(row["quantiles"]) == (target not in EMULATED)
        assert bool(row["instructions"]["value"]) == (target in COUNTING)
    # A Pi 5 has dot products of bytes, a Pi 4 has not; floats take the same path on both.
    counts = {key: row["instructions"]["value"] for key, row in rows.items() if key[0] in COUNTING}
    assert counts["pi4", INT8] > 1.05 * counts["pi5", INT8]
    assert counts["pi4", "onnx-fp32"] == pytest.approx(counts["pi5", "onnx-fp32"], rel=0.01)
    assert f"{counts['pi4', INT8]:,.0f}" in page.read_text()


def test_a_python_runner_counts_within_three_parts_in_a_thousand(call: Call, bundle: str) -> None:
    wanted = ("--artifact", "tflite-int8", "--target", "pi5", "--launches", "1", "--time-limit", "10ms")

    first, second = (call("profile", bundle, *wanted)["latency"][0]["instructions"] for _ in range(2))

    assert first["n"] == second["n"] == 50
    assert first["value"] == pytest.approx(second["value"], rel=0.003)

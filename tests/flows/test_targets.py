"""One bundle on this machine, a Pi 4, a Pi 5, a phone over adb and a phone's browser: same answers, one report."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.processor import SATURATES
from tests.standins.cache import cache_folder, required
from tests.standins.world import Browser, running_world

from edgekit.cli.main import run
from edgekit.flows.opening import devices
from edgekit.flows.run import run as run_flow

pytestmark = [pytest.mark.slow, pytest.mark.device, pytest.mark.browser]

INT8 = "onnx-int8-static-u8s7" if SATURATES else "onnx-int8-static-s8s8"
RECIPES = f"onnx-fp32,{INT8},tflite-fp32,tflite-int8"
# The same int8 file in the same engine gives the same bits; kws-dscnn hears in float, whose sums differ by machine.
INTEGERS = ("digits",)
EMULATED = ("pi4", "pi5", "phone")
COUNTING = ("pi4", "pi5")
ONNX_TARGETS = ("pi4", "pi5", "phone", "browser/ort-web")
# Pairs, not the product: every target and every recipe with both models in turn. Each case starts a device anew, and
# the report below compares onnx-fp32 and int8 of digits on every target once more.
CASES = [
    ("digits", INT8, "pi4"),
    ("kws-dscnn", "tflite-int8", "pi4"),
    ("kws-dscnn", INT8, "pi5"),
    ("digits", "tflite-int8", "pi5"),
    ("kws-dscnn", "tflite-fp32", "pi5"),
    ("digits", INT8, "phone"),
    ("kws-dscnn", "onnx-fp32", "phone"),
    ("kws-dscnn", INT8, "browser/ort-web"),
    ("digits", "onnx-fp32", "browser/ort-web"),
    ("kws-dscnn", "tflite-int8", "browser/litert-js"),
]
# Networks whose answers are places in a picture; the emulator needs seconds for one.
PLACES = [
    ("detect-digits", "tflite-int8", "pi4"),
    ("detect-digits", "onnx-fp32", "phone"),
    ("detect-digits", INT8, "browser/ort-web"),
    ("detect-digits", "tflite-int8", "browser/litert-js"),
]
ROWS = 4
INPUTS = [part for row in range(ROWS) for part in ("--input", f"sample:{row}")]
Call = Callable[..., dict[str, Any]]
Array = np.ndarray[Any, Any]


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
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """`bundle(model)`: the model in four forms."""
    folder = tmp_path_factory.mktemp("bundles")

    def made(model: str) -> str:
        path = folder / model
        if not path.exists():
            with contextlib.redirect_stdout(io.StringIO()):
                assert run(["export", model, "--to", RECIPES, "--out", str(path), "--quiet"]) == 0
        return str(path)

    return made


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
def expected(bundle: Callable[[str], str]) -> Callable[[str, str], list[Array]]:
    """The answers of this machine, by model and recipe."""
    found = {}

    def answers(model: str, recipe: str) -> list[Array]:
        if (model, recipe) not in found:
            inputs = [f"sample:{row}" for row in range(ROWS)]
            prediction = run_flow(bundle(model), input=inputs, target="local", artifact=recipe)
            found[model, recipe] = [np.array(next(iter(one.outputs.values()))) for one in prediction.answers]
        return found[model, recipe]

    return answers


@pytest.mark.parametrize(("model", "recipe", "target"), CASES, ids=lambda text: text)
def test_run_gives_the_answers_of_this_machine(
    call: Call,
    bundle: Callable[[str], str],
    expected: Callable[[str, str], list[Array]],
    model: str,
    recipe: str,
    target: str,
) -> None:
    document = call("run", bundle(model), "--artifact", recipe, "--target", target, *INPUTS)

    answers = [np.array(next(iter(one["outputs"].values()))) for one in document["answers"]]
    if "int8" in recipe and "/" not in target and model in INTEGERS:
        np.testing.assert_array_equal(answers, expected(model, recipe))
    else:
        span = float(np.ptp(expected(model, recipe)))
        np.testing.assert_allclose(answers, expected(model, recipe), rtol=0, atol=1e-5 * span)


@pytest.mark.parametrize(("model", "recipe", "target"), PLACES, ids=lambda text: text)
def test_the_same_objects_are_found_everywhere(
    call: Call, bundle: Callable[[str], str], model: str, recipe: str, target: str
) -> None:
    wanted = ("run", bundle(model), "--artifact", recipe, *INPUTS[:4])

    there, here = (call(*wanted, "--target", one)["answers"] for one in (target, "local"))

    assert sum(len(one["objects"]) for one in here) > 0
    for found, true in zip(there, here, strict=True):
        assert [one["label"] for one in found["objects"]] == [one["label"] for one in true["objects"]]
        for one, other in zip(found["objects"], true["objects"], strict=True):
            assert one["box"] == pytest.approx(other["box"], abs=1)
            assert one["score"] == pytest.approx(other["score"], abs=0.05)


def test_one_report_shows_them_side_by_side(call: Call, bundle: Callable[[str], str], tmp_path: Path) -> None:
    recipes = ("onnx-fp32", INT8)
    page = tmp_path / "report.html"
    targets = ",".join(("local", *ONNX_TARGETS))
    wanted = ("--artifact", ",".join(recipes), "--target", targets, "--launches", "1", "--time-limit", "10ms")

    report = call("profile", bundle("digits"), *wanted, "--report", str(page))

    rows = {(one["target"], one["artifact"]): one for one in report["latency"]}
    assert len(rows) == len(recipes) * len(targets.split(","))
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


def test_a_python_runner_counts_within_three_parts_in_a_thousand(call: Call, bundle: Callable[[str], str]) -> None:
    wanted = ("--artifact", "tflite-int8", "--target", "pi5", "--launches", "1", "--time-limit", "10ms")

    first, second = (call("profile", bundle("digits"), *wanted)["latency"][0]["instructions"] for _ in range(2))

    assert first["n"] == second["n"] == 50
    assert first["value"] == pytest.approx(second["value"], rel=0.003)

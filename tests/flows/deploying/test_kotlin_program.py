"""`deploy --for kotlin`: compiled for a JVM and run there; Android itself is not in reach."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tests.flows.deploying.kotlin_compiler import kotlin_folder
from tests.flows.deploying.small_bundles import small_bundle, tflite_bundle
from tests.flows.deploying.test_c_program import LIBRARIES
from tests.standins.cache import required

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, TextInput
from edgekit.core.system.progress import Silent
from edgekit.flows.deploy import program_order
from edgekit.flows.run import run

PHOTO = ImageInput(24, 20, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25), resize=(28,))
LABELS = ('"}; exit(7) //', "h\u00e4 \U0001f642", "two")
SAID = """\
no file: IllegalStateException: the model does not load: Load model from missing failed:Load model missing failed. \
File doesn't exist
damaged: IllegalStateException: the model does not load: Load model from {damaged} failed:Protobuf parsing failed.
second: IllegalStateException: a process has one model open at a time: close the other
picture: {best}
array: true
size: IllegalArgumentException: 3 bytes are not a picture of 2 x 2 pixels
sound: IllegalArgumentException: the model takes no sound
shape: IllegalArgumentException: input 0 does not have the shape of the model
type: IllegalArgumentException: input 0 does not have the type of the model
count: IllegalArgumentException: the model takes 1 inputs, not 0
after wrong inputs: true
threads: 200
closed: IllegalStateException: the model is closed
opened again: true
"""


def deployed(bundle: Path, out: Path) -> Path:
    with program_order(bundle, language="kotlin", out=out) as order:
        order.run(Silent())
    return out


def called(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **LIBRARIES, "LD_LIBRARY_PATH": "build/jvm"}
    environment["PATH"] = f"{kotlin_folder()}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def self_tested(folder: Path) -> tuple[int, str, str]:
    """Exit code, output and errors of `make test`, which compiles what is not compiled yet."""
    done = called(folder, "make", "-s", "test", "KOTLINC=kotlinc -Werror", "CFLAGS=-Werror")
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_module_runs_on_a_jvm(tmp_path: Path) -> None:
    """Kotlin is compiled once: between models, only the library in C differs."""
    with required():
        kotlin_folder()
    expected = f"6 cases, all as expected (onnxruntime {onnxruntime.__version__})\n"
    bundle = small_bundle(tmp_path / "bundle", PHOTO, labels=LABELS)
    photo = deployed(bundle, tmp_path / "photo")
    shutil.copy(Path(__file__).with_name("Check.kt"), photo / "src/selfTest/kotlin")

    assert self_tested(photo) == (0, expected, "")
    check_model(photo, bundle, tmp_path)
    for name, other in {
        "sound": small_bundle(tmp_path / "b-sound", AudioInput(8000, 50)),
        "quantized.tflite": tflite_bundle(tmp_path / "b-quantized", "quantized.tflite"),
    }.items():
        folder = deployed(other, tmp_path / name)
        shutil.copytree(photo / "build/jvm/classes", folder / "build/jvm/classes")
        said = "2 cases, all as expected (litert)\n" if name.endswith("tflite") else expected
        # LiteRT says on standard error which accelerators it does not find.
        assert self_tested(folder)[:2] == (0, said), name
    check_wrong_cases(photo)


def check_model(folder: Path, bundle: Path, tmp_path: Path) -> None:
    """A picture gives what `run` gives, and whatever is wrong is an exception that leaves the model as it was."""
    colours = np.random.default_rng(2).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "photo.ppm")
    opaque = np.full((50, 40, 1), 255, np.uint8)
    (tmp_path / "pixels").write_bytes(np.concatenate([opaque, colours], axis=2).tobytes())
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no model")
    scores = run(bundle, input=[tmp_path / "photo.ppm"]).answers[0].scores
    best = ", ".join(f"{100 * one.probability:.2f} % {one.label}" for one in scores)
    model = folder / "src/main/assets/model.onnx"

    done = called(
        folder, "kotlin", "-cp", "build/jvm/classes", "edgekit.model.CheckKt", model, damaged, tmp_path / "pixels"
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == SAID.format(damaged=damaged, best=best)


def check_wrong_cases(folder: Path) -> None:
    """An expected output, then half of the example, that are not those of the model."""
    cases, example = folder / "src/selfTest/cases/cases.bin", folder / "src/selfTest/cases/example.ppm"
    good, picture = cases.read_bytes(), example.read_bytes()
    start = good.index(b"\n", good.index(b" 0:out:0")) + 1
    wrong = np.frombuffer(good, "<f4", 1, start) + 1

    cases.write_bytes(good[:start] + wrong.astype("<f4").tobytes() + good[start + 4 :])
    code, said, errors = self_tested(folder)
    assert (code, said) == (2, f"6 cases, NOT all as expected (onnxruntime {onnxruntime.__version__})\n")
    assert "case 0, output 0 differs by " in errors

    cases.write_bytes(good)
    middle = len(picture) // 2
    example.write_bytes(picture[:middle] + bytes(255 - one for one in picture[middle:]))
    code, said, errors = self_tested(folder)
    assert code == 2
    assert "the input made of the example differs by " in errors


def test_what_kotlin_cannot_do_is_refused_with_the_reason(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle", TextInput(("a",), 8))

    with pytest.raises(UserError, match="preprocessing of kind 'text' is not written in Kotlin yet"):
        deployed(bundle, tmp_path / "out")


def test_the_archive_for_android_is_that_of_the_format(tmp_path: Path) -> None:
    bundles = {
        "onnxruntime-android": small_bundle(tmp_path / "onnx"),
        "litert:litert": tflite_bundle(tmp_path / "tflite", "linear.tflite"),
    }
    for name, bundle in bundles.items():
        folder = deployed(bundle, tmp_path / name)

        assert name in (folder / "build.gradle.kts").read_text()
        assert name in (folder / "README.md").read_text()

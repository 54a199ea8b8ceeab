"""`deploy --for python`: one file that runs where edgekit is not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.flows.deploying.small_bundles import small_bundle

from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.core.spec.input_kinds import ArrayInput, AudioInput, ImageInput, Preprocessing, SeriesInput, TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.progress import Silent
from edgekit.flows.deploy import program_order
from edgekit.flows.run import run
from edgekit.runtime.portable.inputs import read_input as read_without_edgekit
from edgekit.runtime.preprocessing import read_input

# A process in which edgekit and what it needs beside numpy cannot be imported.
ALONE = """
import runpy, sys
for name in ("edgekit", "msgspec", "click", "rich", "platformdirs"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PHOTO = ImageInput(24, 20, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25), resize=(28,))
Program = Callable[..., subprocess.CompletedProcess[str]]


def deployed(bundle: Path, out: Path) -> Path:
    with program_order(bundle, language="python", out=out) as order:
        order.run(Silent())
    return out / "model.pyz"


def alone(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=program.parent, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "is_raw"),
    [(ArrayInput(), False), (PHOTO, False), (PHOTO, True), (AudioInput(8000, 50), False), (AudioInput(8000, 50), True)],
)
def test_the_program_runs_the_cases_of_its_bundle_without_edgekit(
    tmp_path: Path, how: Preprocessing, is_raw: bool
) -> None:
    program = deployed(small_bundle(tmp_path / "bundle", how, is_raw=is_raw), tmp_path / "out")

    done = alone(program, "--self-test")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("6 cases, all as expected (onnxruntime ")


@pytest.mark.slow
def test_it_gives_what_run_gives_for_a_photo(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle", PHOTO)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (50, 40, 3)).astype(np.uint8)).save(photo)

    done = alone(deployed(bundle, tmp_path / "out"), photo)

    scores = run(bundle, input=[photo]).answers[0].scores
    lines = [f"  {100 * one.probability:6.2f} %  {one.label}" for one in scores]
    assert done.stdout.splitlines() == [str(photo), *lines]


@pytest.mark.slow
def test_a_damaged_model_fails_its_self_test(tmp_path: Path) -> None:
    """The weights of another network, in the place of those that the cases are from."""
    program = deployed(small_bundle(tmp_path / "bundle"), tmp_path / "out")
    with zipfile.ZipFile(program) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32).tobytes()
    assert weights in files["model/model.onnx"]
    files["model/model.onnx"] = files["model/model.onnx"].replace(weights, weights[12:] + weights[:12])
    with zipfile.ZipFile(program, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)

    done = alone(program, "--self-test")

    assert done.returncode == 1
    assert "case 0, output 0 differs by" in done.stderr
    assert "NOT all as expected" in done.stdout


def test_an_artifact_that_is_not_its_bundle_is_refused(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle", is_wrong=True)

    with pytest.raises(ModelUnreadable, match="does not reproduce the cases"):
        deployed(bundle, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle", PHOTO)

    one, other = (deployed(bundle, tmp_path / name).read_bytes() for name in ("one", "other"))

    assert one == other


@pytest.mark.slow
def test_labels_cannot_move_the_cursor_or_write_a_link(tmp_path: Path) -> None:
    labels = ("\x1b[2J\x1b[H", "a\nb", 'c"; import os')
    bundle = small_bundle(tmp_path / "bundle", labels=labels, name="[net](http://evil.invalid)\n# Other")
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8), np.float32))

    program = deployed(bundle, tmp_path / "out")
    done = alone(program, tmp_path / "x.npy")

    assert len(done.stdout.splitlines()) == 4
    assert "\x1b" not in done.stdout
    assert 'c"; import os' in done.stdout
    assert "](" not in (tmp_path / "out" / "README.md").read_text().splitlines()[0].replace("\\]\\(", "")


@pytest.mark.slow
def test_errors_are_one_line_with_their_exit_code(tmp_path: Path) -> None:
    program = deployed(small_bundle(tmp_path / "bundle"), tmp_path / "out")

    for arguments, code in (([], 2), (["--nonsense"], 2), ([tmp_path / "missing.npy"], 2), ([program], 2)):
        done = alone(program, *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
        assert done.stderr.startswith("Error: ")


def test_a_machine_without_numpy_is_told_in_one_line(tmp_path: Path) -> None:
    program = deployed(small_bundle(tmp_path / "bundle"), tmp_path / "out")
    command = [sys.executable, "-c", ALONE.replace('"msgspec"', '"msgspec", "numpy"'), str(program), "--self-test"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert done.stderr.startswith("Error: it has no 'numpy' for Python 3.")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_machine_without_pillow_is_told_what_to_install(tmp_path: Path) -> None:
    program = deployed(small_bundle(tmp_path / "bundle", PHOTO), tmp_path / "out")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "photo.png")
    code = ALONE.replace('("edgekit",', '("PIL", "edgekit",')

    command = [sys.executable, "-c", code, str(program), str(tmp_path / "photo.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    said = "Error: images are read with Pillow, which is not installed: pip install pillow\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.slow
def test_watch_runs_each_file_of_a_folder_and_survives_a_bad_one(tmp_path: Path) -> None:
    program = deployed(small_bundle(tmp_path / "bundle"), tmp_path / "out")
    source, target = tmp_path / "from", tmp_path / "to"
    command = [sys.executable, "-c", ALONE, *map(str, (program, "--watch", source, target))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("watching")
        (source / "bad.npy").write_bytes(b"no array")
        np.save(source / ".part.npy", np.zeros((1, 8, 8), np.float32))
        (source / ".part.npy").rename(source / "good.npy")
        end = time.monotonic() + 20
        while len(list(target.glob("[!.]*.json"))) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        process.terminate()

    assert "classes" in json.loads((target / "good.npy.json").read_text())
    assert "ValueError" in json.loads((target / "bad.npy.json").read_text())["error"]
    assert list(source.iterdir()) == []


def spec_of(how: Preprocessing) -> ModelSpec:
    return ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 1)),), preprocessing=how)


def settings_of(how: Preprocessing) -> dict[str, object]:
    import msgspec

    shape = {"name": "x", "dtype": "float32", "shape": [0, 1]}
    return {"inputs": [shape], "is_raw": False, "preprocessing": msgspec.to_builtins(how)}


@pytest.mark.parametrize(
    "how",
    [
        *(
            ImageInput(9, 12, interpolation=one)
            for one in ("bilinear", "bicubic", "nearest", "box", "hamming", "lanczos")
        ),
        ImageInput(9, 12, resize=(20, 15), color="bgr", layout="nhwc", mean=(0.1, 0.2, 0.3)),
        ImageInput(9, 12, resize=(7,), divisor=1.0, invert=True),
        ImageInput(40, 50, 1, (0.5,), (0.25,), resize=(30,)),
    ],
)
def test_images_are_read_as_edgekit_reads_them(tmp_path: Path, how: ImageInput) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (33, 41, 3)).astype(np.uint8)).save(path)

    got = read_without_edgekit(path, settings_of(how))

    np.testing.assert_array_equal(got["x"], read_input(path, spec_of(how))["x"])


@pytest.mark.parametrize("length", [30, 100])
def test_sound_text_and_series_are_read_as_edgekit_reads_them(tmp_path: Path, length: int) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.arange(-30, 30, dtype="<i2").tobytes())
    (tmp_path / "a.txt").write_text("It's a CAT, isn't it?")
    (tmp_path / "a.csv").write_text("t,u,v\n1,2,3\n4,5,6\n7,8,9\n")
    ways: list[tuple[str, Preprocessing]] = [
        ("a.wav", AudioInput(8000, length)),
        ("a.txt", TextInput(("<pad>", "<unk>", "it's", "cat", ",", "?"), length // 20, end=5)),
        ("a.csv", SeriesInput(("v", "t"), 2)),
        ("a.csv", SeriesInput(("u",), 3)),
    ]

    for name, how in ways:
        got = read_without_edgekit(tmp_path / name, settings_of(how))
        np.testing.assert_array_equal(got["x"], read_input(tmp_path / name, spec_of(how))["x"])


def test_an_unknown_language_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'python'"), program_order(tmp_path, language="pyton", out="x"):
        pass

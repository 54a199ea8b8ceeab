"""`deploy --for c` and `--for cpp`: built with the compiler of this machine, run against the real libraries."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import ai_edge_litert
import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tests.flows.deploying.small_bundles import small_bundle, tflite_bundle

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import ArrayInput, AudioInput, ImageInput, Preprocessing, SeriesInput, TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.progress import Silent
from edgekit.devices.remote.array_records import packed
from edgekit.flows.deploy import program_order
from edgekit.flows.deploying.c_settings import c_string
from edgekit.flows.opening.artifacts import opened
from edgekit.flows.run import run
from edgekit.runtime.preprocessing import read_input

STRICT = "-O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover"
PHOTO = ImageInput(24, 20, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25), resize=(28,))
# Of ASan: the libraries keep what they allocate until the end.
LIBRARIES = {
    "ONNXRUNTIME_LIBRARY": str(next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.1*"))),
    "LITERT_LIBRARY": str(Path(next(iter(ai_edge_litert.__path__))) / "libLiteRt.so"),
    "ASAN_OPTIONS": "detect_leaks=0",
}
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C and C++ compiler: apt-get install g++")


def deployed(bundle: Path, out: Path, language: str = "c") -> Path:
    with program_order(bundle, language=language, out=out) as order:
        order.run(Silent())
    return out


def built(folder: Path, flags: str = STRICT) -> Path:
    done = subprocess.run(
        ["make", "-s", f"CFLAGS={flags}", f"CXXFLAGS={flags}"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "model"


def ran(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The program without Python: no variable and no folder of programs."""
    return subprocess.run([program, *arguments], env=LIBRARIES, capture_output=True, text=True, check=False, timeout=60)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("language", ["c", "cpp"])
@pytest.mark.parametrize("how", [ArrayInput(), PHOTO, AudioInput(8000, 50)], ids=["array", "image", "audio"])
def test_the_program_runs_the_cases_of_its_bundle(tmp_path: Path, how: Preprocessing, language: str) -> None:
    program = built(deployed(small_bundle(tmp_path / "bundle", how), tmp_path / "out", language))

    done = ran(program, "--self-test")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"6 cases, all as expected (onnxruntime {onnxruntime.__version__})\n"


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("file", ["linear.tflite", "two.tflite", "quantized.tflite"])
def test_it_runs_tflite_with_litert(tmp_path: Path, file: str) -> None:
    program = built(deployed(tflite_bundle(tmp_path / "bundle", file), tmp_path / "out"))

    done = ran(program, "--self-test")

    assert (done.returncode, done.stdout) == (0, "2 cases, all as expected (litert)\n"), done.stderr


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        *(ImageInput(9, 12, interpolation=one) for one in ("bicubic", "nearest", "box", "hamming", "lanczos")),
        ImageInput(90, 120, interpolation="bicubic"),
        ImageInput(9, 12, resize=(20, 15), color="bgr", layout="nhwc", mean=(0.1, 0.2, 0.3)),
        ImageInput(9, 12, resize=(7,), divisor=1.0, invert=True),
        ImageInput(40, 50, 1, (0.5,), (0.25,), resize=(30,)),
    ],
    ids=lambda how: f"{how.interpolation}-{how.height}x{how.width}x{how.channels}",
)
def test_every_way_of_preprocessing_gives_the_input_that_edgekit_makes(tmp_path: Path, how: ImageInput) -> None:
    """The example in the self-test is compared to 1e-5: one step of one pixel would show."""
    bundle = small_bundle(tmp_path / "bundle", how)
    program = built(deployed(bundle, tmp_path / "out"), "-O0")
    with opened(bundle) as found:
        spec = found.spec

    for height, width in (None, None), (7, 160), (30, 31), (5, 3):
        if height and width:
            give_example(program.parent, spec, height, width)
        done = ran(program, "--self-test")

        assert (done.returncode, done.stderr) == (0, ""), (height, width)


def give_example(folder: Path, spec: ModelSpec, height: int, width: int) -> None:
    """Another picture as the example: reduced, enlarged, or smaller than what is cut out of it."""
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "example.ppm")
    array = read_input(folder / "example.ppm", spec)["x"]
    (folder / "example.bin").write_bytes(packed({"0:in:0": array, "0:limit:0": np.array([1e-5 * np.abs(array).max()])}))


@needs_compiler
@pytest.mark.slow
def test_models_that_contain_their_preprocessing_take_pixels_and_samples(tmp_path: Path) -> None:
    ways: dict[str, Preprocessing] = {"photo": PHOTO, "sound": AudioInput(8000, 50)}
    for name, how in ways.items():
        bundle = small_bundle(tmp_path / name, how, is_raw=True)

        done = ran(built(deployed(bundle, tmp_path / f"{name}-out"), "-O0"), "--self-test")

        assert (done.returncode, done.stderr) == (0, "")


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("language", ["c", "cpp"])
def test_it_prints_what_run_prints(tmp_path: Path, language: str) -> None:
    bundle = small_bundle(tmp_path / "bundle", PHOTO)
    photo = tmp_path / "photo.ppm"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (50, 40, 3)).astype(np.uint8)).save(photo)

    done = ran(built(deployed(bundle, tmp_path / "out", language), "-O0"), photo)

    scores = run(bundle, input=[photo]).answers[0].scores
    assert done.stdout.splitlines() == [str(photo), *(f"  {100 * s.probability:6.2f} %  {s.label}" for s in scores)]


@needs_compiler
@pytest.mark.slow
def test_other_weights_fail_the_self_test(tmp_path: Path) -> None:
    program = built(deployed(small_bundle(tmp_path / "bundle"), tmp_path / "out"), "-O0")
    weights = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32).tobytes()
    model = program.parent / "model.onnx"
    model.write_bytes(model.read_bytes().replace(weights, weights[12:] + weights[:12]))

    done = ran(program, "--self-test")

    assert done.returncode == 1
    assert "case 0, output 0 differs by" in done.stderr
    assert "NOT all as expected" in done.stdout


@needs_compiler
@pytest.mark.slow
def test_broken_files_are_one_line_and_never_read_beyond_their_end(tmp_path: Path) -> None:
    """Every file that is an input, cut within its first 128 bytes and with bytes of them changed, under ASan."""
    ways: list[Preprocessing] = [PHOTO, AudioInput(8000, 50)]
    photo, sound = (
        built(deployed(small_bundle(tmp_path / f"b{place}", how), tmp_path / f"o{place}"))
        for place, how in enumerate(ways)
    )
    np.save(tmp_path / "x.npy", np.zeros(PHOTO.shape, np.float32))
    picture, signal = photo.parent / "example.ppm", sound.parent / "example.wav"
    wrong = 0
    for program, good in ((photo, tmp_path / "x.npy"), (photo, picture), (sound, signal)):
        content = good.read_bytes()
        broken = tmp_path / f"broken{good.suffix}"
        for place in range(0, 128, 16):
            for changed in (content[:place], content[:place] + b"\xff" + content[place + 1 :]):
                broken.write_bytes(changed)
                done = ran(program, broken)
                assert done.returncode in (0, 2), done.stderr
                assert len(done.stderr.splitlines()) == (done.returncode > 0), done.stderr
                wrong += done.returncode == 2

    assert wrong >= 24


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("language", ["c", "cpp"])
def test_labels_are_texts_and_never_code(tmp_path: Path, language: str) -> None:
    labels = ('"}; int main(void) { return 7; } //', "*/ ??/ \\", "\x1b[2Jh\u00e4\n#include </etc/passwd>")
    bundle = small_bundle(tmp_path / "bundle", labels=labels, name="*/ $(rm -rf) `x`")
    np.save(tmp_path / "x.npy", np.zeros((1, 8, 8), np.float32))

    done = ran(built(deployed(bundle, tmp_path / "out", language)), tmp_path / "x.npy")

    shown = [line[12:] for line in done.stdout.splitlines()[1:]]
    assert sorted(shown) == sorted([*labels[:2], "\ufffd[2Jh\u00e4\ufffd#include </etc/passwd>"])


def test_a_literal_is_plain_ascii_and_ends_where_it_should() -> None:
    assert c_string('a"\\?\n7\x00\u00e9') == '"a\\042\\134\\077\\0127\\000\\303\\251"'


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (TextInput(("a",), 8), "preprocessing of kind 'text' is not written in C yet"),
        (SeriesInput(("a",), 8), "preprocessing of kind 'series' is not written in C yet"),
        (ImageInput(8, 8, letterbox=114), "preprocessing with a letterbox is not written in C yet"),
        (ImageInput(8, 8, 4), "images of 4 channels, with 1 means, are not read in C yet"),
    ],
)
def test_what_c_cannot_do_is_refused_with_the_reason(tmp_path: Path, how: Preprocessing, reason: str) -> None:
    bundle = small_bundle(tmp_path / "bundle", how)

    with pytest.raises(UserError, match=reason):
        deployed(bundle, tmp_path / "out")

    assert not (tmp_path / "out").exists()


@needs_compiler
@pytest.mark.slow
def test_without_the_library_it_says_what_is_missing(tmp_path: Path) -> None:
    program = built(deployed(small_bundle(tmp_path / "bundle"), tmp_path / "out"), "-O0")

    done = subprocess.run([program, "--self-test"], env={}, capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert done.stderr.startswith("Error: ONNX Runtime does not load (")


@needs_compiler
@pytest.mark.slow
def test_wav_files_of_another_rate_are_refused(tmp_path: Path) -> None:
    program = built(deployed(small_bundle(tmp_path / "bundle", AudioInput(8000, 50)), tmp_path / "out"), "-O0")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\0\0" * 50)

    done = ran(program, tmp_path / "a.wav")

    assert (done.returncode, done.stderr) == (2, f"Error: '{tmp_path}/a.wav' must have 8000 Hz, 16 bit, 1 channel\n")

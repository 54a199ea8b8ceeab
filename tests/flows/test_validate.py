"""Weights are held against what their card says of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.core.bundle import CASES, SAMPLES, Artifact, Bundle, Manifest, write_manifest
from edgekit.core.errors import BundleUnreadable, EnvironmentFault, ModelUnreadable, UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Silent
from edgekit.core.verdict import Verdict
from edgekit.export.checking.cases import Case, save_cases
from edgekit.flows.export import export
from edgekit.flows.opening.source import RUN_FILE, SourceOptions
from edgekit.flows.train import train
from edgekit.flows.validate import is_trained, validate, validate_quality
from edgekit.report.rows import judged_on


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "xor", "regression"])
def test_shipped_weights_are_as_good_as_their_card_says(name: str) -> None:
    report = validate_quality(name)

    assert report.verdict is Verdict.PASS
    assert report.same_data
    assert report.quality.value == pytest.approx(report.card.value, rel=1e-3)


@pytest.mark.slow
def test_a_run_is_held_against_its_own_record(tmp_path: Path) -> None:
    train("xor", out=tmp_path / "run", overrides={"epochs": "1", "passes": "5", "restarts": "0"})

    report = validate_quality(str(tmp_path / "run"))

    assert is_trained(str(tmp_path / "run"))
    assert report.verdict is Verdict.PASS
    assert report.model == "xor"


def test_weights_that_are_not_shipped_name_the_way() -> None:
    with pytest.raises(EnvironmentFault) as problem:
        validate_quality("cifar-resnet8")

    assert problem.value.hint.endswith("then edgekit validate runs/cifar-resnet8")


def test_other_weights_than_those_of_the_card_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "xor.safetensors"
    other.write_bytes(b"other")
    monkeypatch.setattr("edgekit.train.weights.shipped_weights", lambda name: other)

    with pytest.raises(ModelUnreadable, match="does not match its model card"):
        validate_quality("xor")


@pytest.fixture
def bundle(nets: Path, digit_samples: Path, tmp_path: Path) -> Path:
    """A bundle of which only the first samples travel: 64 of the 180 held back."""
    options = SourceOptions(samples=digit_samples, calibration=60)
    export(f"{nets}:small", to="onnx-fp32", out=tmp_path / "a" / "b" / "digits-bundle", options=options)
    return tmp_path / "a" / "b" / "digits-bundle"


@pytest.mark.slow
def test_the_accuracy_of_a_bundle_is_that_of_all_samples_held_back_where_they_are_found(
    bundle: Path, digit_samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It printed 100 % of the 64 that travel, without saying so, where build had said 93.87 % of all.
    shutil.copy(digit_samples, tmp_path / "elsewhere.npz")
    np.savez(tmp_path / "other.npz", x=np.eye(64, dtype=np.float32).reshape(64, 1, 8, 8), label=np.arange(64) % 3)

    found = [validate(bundle).accuracy[0], validate(bundle, samples=tmp_path / "elsewhere.npz").accuracy[0]]
    monkeypatch.chdir(tmp_path)
    found.append(validate(bundle).accuracy[0])
    with pytest.raises(UserError, match=r"does not contain the samples that .* was evaluated on"):
        validate(bundle, samples=tmp_path / "other.npz")

    assert [one.quality.n for one in found] == [64, 180, 180]
    assert {one.drop.n for one in found} == {64}
    assert judged_on(validate(bundle)) == (
        "accuracy on all 180 held-back samples of digits.npz; the drop on 64 of the 180 held-back samples of digits.npz"
    )


DATA = Path(__file__).parents[1] / "runtime" / "data"
X, Y = TensorSpec("x", "float32", ("N", 3)), TensorSpec("y", "float32", ("N", 2))
SPEC = ModelSpec("linear", "other", (X,), (Y,), sizes={"N": (1,)})
WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]], dtype=np.float32)


def linear(folder: Path, recipes: Mapping[str, str], *, off: float = 0.0, cases: Sequence[Case] = ()) -> Path:
    """A bundle of files of `runtime/data` by their recipes, whose reference outputs are `off` by a constant."""
    folder.mkdir()
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = x @ WEIGHTS.T + np.array([0.5, -0.5], dtype=np.float32) + np.float32(off)
    Samples({"x": x}, expected={"y": y}).save(folder / SAMPLES)
    if cases:
        save_cases(folder / CASES, cases)
    artifacts = tuple(_copied(folder, recipe, name) for recipe, name in recipes.items())
    write_manifest(folder, Manifest(SPEC, artifacts, {}, ""))
    return folder


def _copied(folder: Path, recipe: str, name: str) -> Artifact:
    file = Path(shutil.copy(DATA / name, folder))
    kind, precision = recipe.split("-")[:2]
    return Artifact(recipe, name, kind, precision, file.stat().st_size, sha256_file(file), "0", (X,), (Y,))


class Steps(Silent):
    """Keeps the steps of a command."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, str]] = []

    def step(self, done: int, total: int, note: str = "") -> None:
        self.steps.append((done, total, note))


BOTH = {"onnx-fp32": "linear.onnx", "tflite-fp32": "linear.tflite"}


def test_every_artifact_is_validated_or_those_that_are_named(tmp_path: Path) -> None:
    path = linear(tmp_path / "net", BOTH)

    progress = Steps()
    report = validate(path, progress=progress)
    one = validate(path, artifact=["tflite"])

    assert [(check.artifact, check.where, check.case) for check in report.parity] == [
        ("onnx-fp32", "onnxruntime", "samples"),
        ("tflite-fp32", "litert", "samples"),
    ]
    assert [found.artifact for found in report.accuracy] == list(BOTH)
    assert [(outcome.target, outcome.verdict) for outcome in report.outcomes] == [("local", Verdict.PASS)]
    assert (report.verdict, report.command) == (Verdict.PASS, "validate")
    assert progress.steps == [(1, 2, "onnx-fp32"), (2, 2, "tflite-fp32")]
    assert {check.artifact for check in one.parity} == {"tflite-fp32"}


def test_an_artifact_that_returns_other_values_fails_the_bundle(tmp_path: Path) -> None:
    report = validate(linear(tmp_path / "net", BOTH, off=0.5))

    assert report.verdict is report.outcomes[0].verdict is Verdict.FAIL
    assert [check.value for check in report.parity] == [pytest.approx(0.5), pytest.approx(0.5)]


def test_the_cases_of_a_bundle_are_validated_as_well(tmp_path: Path) -> None:
    wrong = Case("N=1", {"N": 1}, {"x": np.zeros((1, 3), np.float32)}, {"y": np.ones((1, 2), np.float32)}, rows=1)

    report = validate(linear(tmp_path / "net", {"onnx-fp32": "linear.onnx"}, cases=[wrong]))

    assert [(check.case, check.verdict) for check in report.parity] == [
        ("samples", Verdict.PASS),
        ("N=1", Verdict.FAIL),
    ]


def test_damaged_cases_are_a_fault_of_the_bundle(tmp_path: Path) -> None:
    path = linear(tmp_path / "net", {"onnx-fp32": "linear.onnx"})
    (path / CASES).write_bytes(b"no archive")

    with pytest.raises(BundleUnreadable):
        validate(write_again(path))


def test_an_artifact_that_does_not_open_costs_its_own_figures_alone(tmp_path: Path) -> None:
    path = linear(tmp_path / "net", BOTH)
    (path / "linear.onnx").write_bytes(b"nothing")
    manifest = msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
    broken, other = manifest.artifacts
    broken = msgspec.structs.replace(broken, sha256=sha256_file(path / "linear.onnx"), size_bytes=7)
    write_manifest(path, msgspec.structs.replace(manifest, artifacts=(broken, other)))

    report = validate(path)

    assert {check.artifact for check in report.parity} == {"tflite-fp32"}
    assert report.verdict is Verdict.INCOMPLETE
    assert [one.artifact for one in report.missing] == ["onnx-fp32"]
    with pytest.raises(ModelUnreadable):
        validate(path, artifact=["onnx-fp32"])


def test_a_bare_file_is_held_against_the_samples_of_a_bundle_by_its_own_precision(tmp_path: Path) -> None:
    reference = linear(tmp_path / "net", BOTH)
    file = shutil.copy(DATA / "linear.onnx", tmp_path / "mine.onnx")

    (check,) = validate(file, reference=reference).parity
    (failed,) = validate(file, reference=linear(tmp_path / "off", BOTH, off=0.5)).parity

    assert (check.kind, check.verdict, failed.verdict) == ("difference", Verdict.PASS, Verdict.FAIL)


def test_a_bare_file_without_a_reference_and_an_empty_bundle_are_refused(tmp_path: Path) -> None:
    file = DATA / "linear.onnx"
    with pytest.raises(UserError, match=r"has no reference outputs to compare with\.$") as alone:
        validate(file)
    with pytest.raises(UserError, match="contains no artifact to validate") as empty:
        validate(linear(tmp_path / "net", {}))

    assert alone.value.hint == (
        f"edgekit validate {file} --reference BUNDLE, or --samples PATH with labels, for its metric"
    )
    assert empty.value.hint == f"edgekit inspect {tmp_path / 'net'}"


def test_a_bundle_without_reference_outputs_says_how_it_gets_them(tmp_path: Path) -> None:
    path = linear(tmp_path / "net", BOTH)
    (path / SAMPLES).unlink()
    with Bundle.open(write_again(path)), pytest.raises(UserError) as caught:
        validate(path)

    assert caught.value.hint == f"edgekit validate {path} --reference BUNDLE, or export it with --include-samples"


def write_again(path: Path) -> Path:
    document = msgspec.json.decode((path / "manifest.json").read_bytes())
    write_manifest(path, msgspec.convert({**document, "files": {}}, Manifest))
    return path


def test_inputs_of_other_names_are_told_on_both_sides(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'.*lookup\.onnx' has the inputs \['ids'\], its reference has \['x'\]\."):
        validate(DATA / "lookup.onnx", reference=linear(tmp_path / "net", BOTH))


def test_a_model_and_a_run_are_trained_and_a_bundle_is_not(tmp_path: Path) -> None:
    path = linear(tmp_path / "net", BOTH)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RUN_FILE).write_text("")

    assert [is_trained(one) for one in ("xor", str(tmp_path / "run"), str(path), "nothing")] == [
        True,
        True,
        False,
        False,
    ]

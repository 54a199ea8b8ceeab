"""What people read: the text of every command that prints no report."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli.arguments import source_name
from edgekit.core.reports.quality import QualityReport
from edgekit.core.reports.report import Estimate
from edgekit.core.reports.run import Answer, Curve, RunReport
from edgekit.core.reports.setup.doctor import DoctorReport, Finding, State
from edgekit.core.reports.setup.list import Item, ListReport
from edgekit.core.reports.train import TrainReport
from edgekit.core.system.progress import Progress
from edgekit.core.verdict import Verdict

Run = Callable[..., Any]


def test_a_bundle_is_described(edgekit: Run, made: Path) -> None:
    lines = edgekit("bundle", "inspect", "bundle").out.splitlines()

    assert lines[:4] == [
        "model   net",
        "task    classification",
        "input   x:float32[N,1,8,8]",
        "output  output:float32[N,3]",
    ]
    assert "labels: zero, one, two" in lines
    assert any(line.startswith("onnx-fp32  ") and "opset 18" in line for line in lines)


def test_a_whole_bundle_is_said_to_be_whole(edgekit: Run, made: Path) -> None:
    assert edgekit("bundle", "verify", "bundle").out.startswith("'bundle' is intact: 2 files, ")


def test_a_changed_bundle_ends_in_five(edgekit: Run, made: Path) -> None:
    shutil.copytree(made / "bundle", made / "copy")
    with (made / "copy" / "onnx-fp32.onnx").open("ab") as file:
        file.write(b"!")

    done = edgekit("bundle", "verify", "copy")

    assert done.code == 5
    assert "'onnx-fp32.onnx'" in done.err


def test_a_bundle_is_packed_under_the_name_of_its_model(edgekit: Run, made: Path) -> None:
    done = edgekit("bundle", "pack", "bundle")

    assert done.out.startswith("net.edgekit  ")
    assert edgekit("bundle", "verify", "net.edgekit").code == 0


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_packing_replaces_nothing_unasked(edgekit: Run, made: Path, more: tuple[str, ...]) -> None:
    (made / "net.edgekit").write_text("mine")

    done = edgekit("bundle", "pack", "bundle", *more)

    assert done.code == 2
    assert "--force" in done.err
    assert (made / "net.edgekit").read_text() == "mine"


def test_the_best_classes_are_printed_with_their_share(edgekit: Run, made: Path) -> None:
    lines = edgekit("run", "bundle", "--input", "sample:0").out.splitlines()

    assert lines[0] == "sample:0"
    shares = [float(line.split()[1]) for line in lines[1:]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (Answer("in", (), {"tokens": [[4, 3]]}, text="ein mann."), ["  ein mann."]),
        (Answer("in", (), {"image": [[[[0.5]]]]}, image=(28, 30)), ["  an image of 30 x 28 (--output FILE.png)"]),
        (
            Answer("in", (), {"y": [[1.5, 2.0]], "score": [0.25]}, curve=Curve("OT", 3600.0, (1.5, 2.0))),
            ["  time  OT", "  0 h   1.5", "  1 h   2", "  score  [0.25]"],
        ),
    ],
)
def test_an_answer_is_told_as_what_it_is(
    edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, lines: list[str]
) -> None:
    found = RunReport(model="net", artifact="onnx-fp32", target="local", provider="cpu", answers=(answer,))
    monkeypatch.setattr("edgekit.flows.run.run", lambda path, **order: found)

    assert edgekit("run", "bundle", "--input", "in").out.splitlines() == ["in", *lines]


def test_a_bare_file_answers_with_its_outputs(edgekit: Run, made: Path) -> None:
    done = edgekit("run", "bundle/onnx-fp32.onnx", "--input", "sample:0")

    assert done.code == 0
    assert "  output  [[" in done.out


def test_a_model_that_is_not_what_its_card_says_ends_in_one(edgekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    report = QualityReport(
        model="digits",
        source="digits",
        data="scikit-learn",
        same_data=True,
        metric="accuracy",
        quality=Estimate(0.5, 0.4, 0.6, 450),
        card=Estimate(0.99, 0.98, 0.995, 450),
        verdict=Verdict.FAIL,
        reason="same data: the difference is 0.49",
    )
    monkeypatch.setattr("edgekit.flows.validate.validate_quality", lambda source, **order: report)

    done = edgekit("validate", "digits")

    assert done.code == 1
    assert done.out.splitlines() == [
        "digits    accuracy  50.00 %  (40.00 % to 60.00 %, n = 450)",
        "its card  accuracy  99.00 %  (98.00 % to 99.50 %, n = 450)",
        "FAIL: same data: the difference is 0.49",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("digits --artifact onnx-fp32", "--artifact does not apply to 'digits'"),
        ("model.onnx --data .", "--data does not apply to 'model.onnx'"),
    ],
)
def test_options_of_another_kind_of_validation_are_refused(edgekit: Run, made: Path, arguments: str, said: str) -> None:
    done = edgekit("validate", *arguments.split())

    assert done.code == 2
    assert said in done.err


def test_a_report_is_written_in_the_form_of_its_suffix(edgekit: Run, made: Path) -> None:
    done = edgekit("validate", "bundle", "--report", "a.json", "--report", "a.md")

    assert done.out.endswith("Report: a.json\nReport: a.md\n")
    assert (made / "a.json").read_text().startswith("{")
    assert (made / "a.md").is_file()


def test_a_report_of_no_known_kind_is_refused_before_any_work(edgekit: Run, made: Path) -> None:
    done = edgekit("validate", "missing", "--report", "a.pdf")

    assert done.code == 2
    assert "'a.pdf' does not end in .json" in done.err


def test_a_broken_plug_in_stays_in_the_list_with_its_error(edgekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ListReport(
        kind="models", items=(Item("good", "works"), Item("bad", "breaks", "other:x", "ImportError: no"))
    )
    monkeypatch.setattr("edgekit.flows.list.listing", lambda kind: found)

    assert edgekit("list", "models").out == "good  works\nbad   breaks (ImportError: no)\n"


def test_models_are_a_row_each_that_fits_with_the_way_to_missing_weights(edgekit: Run) -> None:
    lines = edgekit("list", "models").out.splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["digits", "classification", "38.3", "k", "338", "k", "accuracy", "99.56", "%"]
    row = next(number for number, line in enumerate(lines) if line.startswith("sentiment-lstm"))
    assert lines[row + 1].startswith("  weights: train first (terms of rt_polarity")


def test_settings_are_written_as_in_a_file(edgekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_TARGET", "pi5")

    plain, origins = edgekit("config", "show"), edgekit("config", "show", "--origin", "--offline")

    assert ["target", '"pi5"'] in [line.split() for line in plain.out.splitlines()]
    assert "EDGEKIT_TARGET\n" in origins.out
    assert [line.split() for line in origins.out.splitlines() if "offline" in line] == [
        ["offline", "true", "--offline"]
    ]


def test_the_user_file_lies_in_the_folder_of_the_system(edgekit: Run, quiet_home: Path) -> None:
    file = quiet_home / ".config" / "edgekit" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("seed = 7")

    assert str(file) in edgekit("config", "show", "--origin").out


def _diagnosed(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr("edgekit.flows.doctor.diagnose", lambda settings, clean: DoctorReport(findings=findings))


def test_a_problem_of_the_machine_ends_in_three_with_the_command_that_mends_it(
    edgekit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _diagnosed(
        monkeypatch, Finding("a", State.OK, "absent", "get a"), Finding("numpy", State.PROBLEM, "too new", "mend it")
    )

    done = edgekit("doctor")

    assert done.code == 3
    assert done.out == "ok       a      absent (get a)\nPROBLEM  numpy  too new\nHint: mend it\n"


def test_a_warning_alone_is_no_failure(edgekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _diagnosed(monkeypatch, Finding("load", State.WARNING, "busy", "top"))

    assert edgekit("doctor").code == 0


def test_a_training_says_how_good_and_where(edgekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    quality = Estimate(0.991, 0.98, 0.995, 450)
    report = TrainReport(
        model="digits", run="runs/digits", metric="accuracy", quality=quality, floor=0.985, epochs=1, wall_s=12.0
    )

    class Trained:
        def run(self, progress: Progress) -> TrainReport:
            return report

    monkeypatch.setattr("edgekit.flows.train.train_order", lambda model, **order: nullcontext(Trained()))

    done = edgekit("train", "digits")

    assert done.out.splitlines()[0] == "digits: accuracy 99.10 % (98.00 % to 99.50 %, n = 450, floor 98.50 %)"
    assert done.out.splitlines()[-1] == "Run: runs/digits"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("digits", "digits"),
        ("net.py:Net", "Net"),
        ("a/net.py:make", "make"),
        ("runs/kws/", "kws"),
        ("model.onnx", "model"),
        (".", "model"),
    ],
)
def test_an_output_is_named_after_its_source(source: str, name: str) -> None:
    assert source_name(source) == name

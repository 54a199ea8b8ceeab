"""What `compare`, `check`, `history` and `explain` say to people, on devices whose times are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flows.scripted import Answer, Scripted, fake_model

from edgekit.core.job import Job
from edgekit.flows.opening import devices

Run = Callable[..., Any]


@pytest.fixture
def folder(quiet_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two models and a configuration; `b` takes twice as long as `a`."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    fake_model(quiet_home / "a.fake.json", offset=0)
    fake_model(quiet_home / "b.fake.json", offset=1)
    (quiet_home / "edgekit.toml").write_text(
        '[check]\ntarget = ["fake"]\nlaunches = 5\n[[check.models]]\nname = "net"\npath = "b.fake.json"\n'
        'baseline = "a.fake.json"\n'
    )
    use(monkeypatch, lambda number, job: (1e-3 if is_a(job) else 2e-3) * (1 + 0.002 * (number % 5)))
    return quiet_home


def is_a(job: Job) -> bool:
    return Path(job.artifact).name.startswith("a")


def use(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    monkeypatch.setattr(devices, "open_device", lambda name: Scripted(answer, values=40))


def steady(value: float) -> Answer:
    return lambda number, job: value * (1 + 0.002 * (number % 5))


def noise(number: int, job: Job) -> float:
    return 1e-3 * (1.0, 1.4, 0.8, 2.0, 1.1, 0.7, 1.6)[number % 7]


def test_compare_ends_as_its_verdict(edgekit: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slower = edgekit("compare", "a.fake.json", "b.fake.json", "--target", "fake", "--report", "c.md", "-q")
    faster = edgekit("compare", "b.fake.json", "a.fake.json", "--target", "fake")
    use(monkeypatch, noise)
    unclear = edgekit("compare", "a.fake.json", "b.fake.json", "--target", "fake")

    assert (slower.code, faster.code, unclear.code) == (1, 0, 4)
    assert "VERDICT: FAIL" in slower.out
    assert "VERDICT: INCONCLUSIVE" in unclear.out
    assert max(map(len, slower.out.splitlines())) <= 80
    assert slower.err == ""
    assert "**slower**" in (folder / "c.md").read_text(encoding="utf-8")


def test_check_prints_what_failed_and_adds_to_the_summary_of_the_step(
    edgekit: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))

    done = edgekit("check", "--report", "check.xml", "--report", "check.bencher.json", "-q")

    assert done.code == 1
    assert "FAIL" in done.out
    assert done.out.endswith("VERDICT: FAIL (1 of 2 checks failed)\nReport: check.xml\nReport: check.bencher.json\n")
    assert (folder / "summary.md").read_text(encoding="utf-8").startswith("before\n## ❌ edgekit check")
    assert 'failures="1"' in (folder / "check.xml").read_text()
    assert json.loads((folder / "check.bencher.json").read_text())


def test_in_github_actions_a_failure_is_annotated_at_its_line_and_nothing_else_is_a_command(
    edgekit: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.parent))
    monkeypatch.setenv("GITHUB_SHA", "c0ffee")
    text = (folder / "edgekit.toml").read_text().replace('name = "net"', 'name = "::error::owned"')
    (folder / "edgekit.toml").write_text(text)

    lines = edgekit("check", "-q", "--report", "check.json").out.splitlines()

    place = f"file={folder.name}/edgekit.toml,line=7,title=edgekit%3A %3A%3Aerror%3A%3Aowned/b.fake@fake"
    assert lines[0].startswith(f"::error {place}::not slower than a.fake.json: +100.4 %25 [")
    assert "1.00 ms before, 2.01 ms now on fake (+1.01 ms [" in lines[0]
    assert any("::error::owned" in line for line in lines[1:])
    assert not [line for line in lines[1:] if line.lstrip().startswith("::")]
    (failed,) = (one for one in json.loads((folder / "check.json").read_text())["results"] if one["verdict"] == "fail")
    assert (failed["line"], failed["change"]["unit"]) == (7, "s")


def test_a_noisy_check_prints_inconclusive_and_stays_green(
    edgekit: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, noise)

    done = edgekit("check")

    assert done.code == 0
    assert "INCONCLUSIVE  not slower than a.fake.json" in done.out


def test_options_take_the_place_of_the_file(edgekit: Run, folder: Path) -> None:
    done = edgekit("check", "--minimum-effect", "90%", "--no-record")

    assert done.code == 1
    assert not (folder / "edgekit-history.jsonl").exists()


def test_history_shows_blames_and_accepts(edgekit: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = edgekit("history", "show")
    for number in range(10):
        use(monkeypatch, steady(1.2e-3 if number >= 6 else 1e-3))
        monkeypatch.setenv("GITHUB_SHA", f"commit{number}")
        edgekit("check", "-q")

    shown, blamed = edgekit("history", "show"), edgekit("history", "blame")
    accepted = edgekit("history", "accept", "--why", "a larger input")
    after = edgekit("history", "show")

    assert "contains no runs yet" in empty.out
    assert "net/b.fake@fake  10    1.20 ms" in shown.out
    assert "net/b.fake@fake: +20.0 % since" in blamed.out
    assert "commit6; the last good run is" in blamed.out
    assert accepted.out == "accepted: net (a larger input)\n"
    assert (folder / "a.fake.json").read_bytes() == (folder / "b.fake.json").read_bytes()
    assert "net/b.fake@fake  1 " in after.out
    assert "accepted: net (a larger input)" in after.out


def test_a_steady_history_blames_nothing(edgekit: Run, folder: Path) -> None:
    edgekit("check", "-q")

    assert "No series became slower" in edgekit("history", "blame").out


def test_explain_says_that_there_is_nothing_to_explain(edgekit: Run, folder: Path) -> None:
    edgekit("profile", "a.fake.json", "--target", "fake", "--report", "report.json", "-q")

    done = edgekit("explain", "report.json")

    assert (done.code, done.out) == (0, "There is nothing to explain.\n")


def test_explain_names_cause_evidence_and_command(edgekit: Run, folder: Path) -> None:
    for name, target in (("slow", "fake@threads=1"), ("fast", "fake@threads=2")):
        model = "b.fake.json" if name == "slow" else "a.fake.json"
        (folder / "net.fake.json").write_bytes((folder / model).read_bytes())
        edgekit("profile", "net.fake.json", "--target", target, "--report", f"{name}.json", "-q")
    document = json.loads((folder / "fast.json").read_text())
    for launch in document["measurements"][0]["launches"]:
        launch["values"] = [value / 2 for value in launch["values"]]
    document["latency"][0]["quantiles"]["p50"]["value"] /= 2
    (folder / "fast.json").write_text(json.dumps(document))

    done = edgekit("explain", "slow.json", "fast.json")

    assert "net.fake on fake@threads=1: threads" in done.out
    assert "test it: edgekit profile net.fake.json --target fake@threads=1,fake@threads=2" in done.out

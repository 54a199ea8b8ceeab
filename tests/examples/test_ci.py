"""The example for CI and the GitHub Action do what they say, run as their users run them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.flows.scripted import fake_model

pytestmark = pytest.mark.slow


def environment(**more: str) -> dict[str, str]:
    """The caller's, with this interpreter's programs first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more}


@pytest.mark.timeout(1200)
def test_the_example_is_green_then_red_for_a_slow_layer_then_inconclusive_and_green(
    repository: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        ["bash", repository / "examples" / "ci" / "demo.sh", tmp_path / "team"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=1100,
    )

    assert done.returncode == 0, done.stderr
    unchanged, slow, noisy = done.stdout.split("ended with ")[:3]
    codes = re.findall(r"ended with (\d+)", done.stdout)
    assert codes == ["0", "1", "0"], done.stdout
    assert "VERDICT: pass" in unchanged
    assert re.search(
        r"FAIL\s+not slower than the baseline commit\s+\+\d+\.\d % \[.*confirmed by", " ".join(slow.split())
    )
    assert re.search(r"INCONCLUSIVE\s+not slower than the baseline commit\s+[+-]\d", noisy)
    # Latency for certain; memory too where the neighbours move it by a tenth of a percent.
    assert re.search(r"VERDICT: pass \([12] INCONCLUSIVE, policy 'pass'\)", noisy)
    comment = (tmp_path / "team" / "check.md").read_text()
    assert comment.startswith("## ❌ edgekit check: FAIL")
    assert "`not slower than the baseline commit`" in comment.partition("<details>")[0]


def step_of(action: Path) -> str:
    """The script of the step that checks, as it stands in the file."""
    found = re.search(r"run: \|\n((?: {8}.*\n?|\n)+)", action.read_text(encoding="utf-8"))
    assert found is not None
    return textwrap.dedent(found[1])


@pytest.mark.parametrize(
    ("budget", "code", "verdict"), [("size <= 1 MB", 0, "pass"), ("size <= 10 B", 1, "fail")], ids=["pass", "fail"]
)
def test_the_step_of_the_action_reports_and_ends_as_the_check_does(
    repository: Path, tmp_path: Path, budget: str, code: int, verdict: str
) -> None:
    fake_model(tmp_path / "net.fake.json")
    (tmp_path / "edgekit.toml").write_text(
        f'[check]\ntarget = ["fake"]\nbudgets = ["{budget}"]\n[[check.models]]\npath = "net.fake.json"\n'
    )
    files = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary.md"}
    told = {name: str(tmp_path / file) for name, file in files.items()}
    inputs = {"CONFIG": "edgekit.toml", "REPORT": "edgekit-check", "ARGUMENTS": "--launches 5"}

    done = subprocess.run(
        [
            shutil.which("bash") or "bash",
            "--noprofile",
            "--norc",
            "-eo",
            "pipefail",
            "-c",
            step_of(repository / "action.yml"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment(**told, **inputs),
        timeout=120,
    )

    assert done.returncode == code, done.stderr
    assert (tmp_path / "output").read_text().splitlines() == [f"exit-code={code}", f"verdict={verdict}"]
    assert "edgekit check" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "edgekit-check.json").read_text())["verdict"] == verdict
    assert (tmp_path / "edgekit-check.xml").is_file()


def test_every_check_table_of_the_examples_is_one(repository: Path) -> None:
    from edgekit.core.system.check_settings import completed, read_check

    found = read_check(repository / "examples" / "ci" / "edgekit.toml")

    assert (found.inconclusive, found.patience) == ("pass", 10)
    assert completed(found).models[0].path == "edgekit-built/net/now"

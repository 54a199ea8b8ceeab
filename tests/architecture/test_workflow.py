"""The workflow on GitHub runs what `.ci/run` runs, with pinned actions and the right to read only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit.core.system.installation import Origin
from edgekit.flows.writing.workflows import workflow_of


@pytest.fixture(scope="module")
def workflow(repository: Path) -> str:
    return (repository / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["ours", "example", "init"])
def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is(
    place: str, workflow: str, repository: Path
) -> None:
    example = repository / "examples" / "ci" / ".github" / "workflows" / "latency.yml"
    written = workflow_of("github", Origin("edgekit-onnx")).text
    text = {"ours": workflow, "example": example.read_text(encoding="utf-8"), "init": written}[place]

    # What the user replaces is the action of this repository.
    used = [line for line in re.findall(r"uses: (.+)$", text, re.MULTILINE) if line != "ORGANISATION/edgekit@COMMIT"]
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+(\.\d+)*", line)] == []


def test_the_token_of_a_run_can_read_only(workflow: str) -> None:
    assert re.findall(r"^permissions:\n((?:  .+\n)+)", workflow, re.MULTILINE) == ["  contents: read\n"]
    assert workflow.count("permissions:") == 1


@pytest.mark.parametrize("place", [".ci/run", ".github/workflows/ci.yml"])
def test_ci_runs_make_test(place: str, repository: Path) -> None:
    assert re.search(r"^\s*(- run: )?make test$", (repository / place).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_python_that_is_declared_and_both_systems_have_a_job(workflow: str, repository: Path) -> None:
    declared = re.findall(r"Python :: (3\.\d+)$", (repository / "setup.cfg").read_text(encoding="utf-8"), re.MULTILINE)

    assert re.findall(r'"(3\.\d+)"', workflow.partition("steps:")[0]) == declared
    assert set(re.findall(r"\b(ubuntu|macos)-\d", workflow)) == {"ubuntu", "macos"}


def test_what_make_test_depends_on_includes_lint(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^([\w-]+):((?:.*\n)(?:\t.*\n)*)", makefile, re.MULTILINE))

    assert {"install", "standins", "lint"} <= set(recipes["test"].splitlines()[0].split())
    assert all(tool in recipes["lint"] for tool in ("ruff format", "ruff check", "mypy", "lint-imports"))

"""The pytest plug-in in a pytest of its own, as its users run it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.flows.scripted import fake_model

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

TEST = """
import pytest

@pytest.mark.edgekit(budget="{budget}")
def test_latency(edgekit_profile):
    report = edgekit_profile("net.fake.json", time_limit_s=0.05)
    assert report.measurements
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a model whose calls take 2 ms at least."""
    pytester.syspathinsert()
    fake_model(pytester.path / "net.fake.json", delay_s=2e-3)
    return pytester


def write(run: pytest.Pytester, budget: str) -> None:
    run.makepyfile(TEST.format(budget=budget))


def ended(run: pytest.Pytester, *options: str) -> pytest.RunResult:
    return run.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:anyio", *options)


def test_a_budget_that_is_met_passes(run: pytest.Pytester) -> None:
    write(run, "latency.p50 <= 1 s")

    ended(run, "--edgekit-launches", "5").assert_outcomes(passed=1)


def test_a_budget_that_is_missed_fails_with_the_figure(run: pytest.Pytester) -> None:
    write(run, "latency.p50 <= 10 us")

    done = ended(run, "--edgekit-launches", "5")

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*'net.fake' on local: latency.p50 <= 10 us, got *"])


@pytest.mark.parametrize(
    ("policy", "outcome"), [("skip", {"skipped": 1}), ("pass", {"passed": 1}), ("fail", {"failed": 1})]
)
def test_a_budget_that_cannot_be_decided_follows_the_policy(
    run: pytest.Pytester, policy: str, outcome: dict[str, int]
) -> None:
    write(run, "latency.p50 <= 1 s")

    done = ended(run, "--edgekit-launches", "1", "--edgekit-inconclusive", policy, "-rs", "--edgekit-target", "fake")

    done.assert_outcomes(**outcome)
    if policy != "pass":
        done.stdout.fnmatch_lines(["*INCONCLUSIVE: 'net.fake' on fake*1 launches, 5 are needed*"])


def test_the_target_comes_from_the_option(run: pytest.Pytester) -> None:
    write(run, "latency.p50 <= 1 s")

    ended(run, "--edgekit-target", "fake").assert_outcomes(passed=1)


@pytest.mark.parametrize("budget", ["latncy.p50 <= 1 s", "accuracy >= 90 %"])
def test_a_budget_that_means_nothing_here_is_an_error(run: pytest.Pytester, budget: str) -> None:
    write(run, budget)

    done = ended(run, "--edgekit-target", "fake")

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*UserError*"])


def test_a_marker_without_a_budget_says_how_it_is_written(run: pytest.Pytester) -> None:
    run.makepyfile("import pytest\n@pytest.mark.edgekit\ndef test(edgekit_profile): edgekit_profile('net.fake.json')\n")

    done = ended(run)

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*The marker needs a budget: @pytest.mark.edgekit(budget=*"])


def test_it_refuses_to_measure_beside_other_tests(run: pytest.Pytester) -> None:
    write(run, "latency.p50 <= 1 s")

    done = ended(run, "-n", "1")

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*use -n 0 for these*"])


def test_the_marker_is_known_to_strict_markers(run: pytest.Pytester) -> None:
    write(run, "latency.p50 <= 1 s")

    ended(run, "--strict-markers", "--collect-only").assert_outcomes()
    ended(run, "--markers").stdout.fnmatch_lines(["@pytest.mark.edgekit(budget=*"])


def test_unused_it_imports_nothing_but_pytest() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import edgekit.pytest_plugin; "
        "new = set(sys.modules) - before; "
        "print(sorted(name for name in new if name.startswith('edgekit')), 'numpy' in new)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    version = ["edgekit", "edgekit.core", "edgekit.core.system", "edgekit.core.system.version"]
    assert done.stdout.strip() == f"{[*version, 'edgekit.pytest_plugin']} False"

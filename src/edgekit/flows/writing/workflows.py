"""Workflows of CI services that run `edgekit check`."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from edgekit.core.system.installation import DISTRIBUTION, Origin
from edgekit.core.system.version import VERSION

WHEELS: Final = "edgekit-wheel"
_EXTRAS: Final = "cpu,tflite"
_GITHUB: Final = """\
# Fails a pull request whose models miss a budget or a baseline of edgekit.toml.
name: edgekit
on: pull_request
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0
        with: {python-version: "3.12"}
      # A job starts without the history, which counts inconclusive runs in a row: cache it between runs.
      - uses: actions/cache@5a3ec84eff668545956fd18022155c47e93e2684 # v4.2.3
        with:
          path: edgekit-history.jsonl
          key: edgekit-history-${{ github.ref }}-${{ github.run_id }}
          restore-keys: edgekit-history-${{ github.ref }}-
      - run: pip install INSTALL
      - run: edgekit check --report edgekit-check.xml --report edgekit-check.md
      - uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2
        if: always()
        with: {name: edgekit-check, path: edgekit-check.*}
"""
_GITLAB: Final = """\
# Fails a merge request whose models miss a budget or a baseline of edgekit.toml.
edgekit:
  image: python:3.12
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  cache:
    key: edgekit-history-$CI_MERGE_REQUEST_IID
    paths: [edgekit-history.jsonl]
  script:
    - pip install INSTALL
    - edgekit check --report edgekit-check.xml --report edgekit-check.md --report edgekit-check.codequality.json
  artifacts:
    when: always
    reports:
      junit: edgekit-check.xml
      codequality: edgekit-check.codequality.json
    paths: [edgekit-check.md]
"""


class Workflow(NamedTuple):
    """Where a service reads its workflow, the text, and what is left to do by hand."""

    path: str
    text: str
    remaining: tuple[str, ...]


_GITHUB_PATH: Final = ".github/workflows/edgekit.yml"
_GITLAB_PATH: Final = "edgekit.gitlab-ci.yml"


def workflow_of(ci: str, source: Origin) -> Workflow:
    """The workflow of `github` or `gitlab`. It installs edgekit from where this installation came from.

    That is the commit of a repository that a job can reach, else a wheel that is committed next to the models.
    """
    address, remaining = _address(source), tuple[str, ...]()
    if address:
        install = f'"{DISTRIBUTION}[{_EXTRAS}] @ {address}"'
    else:
        wheel = f"{WHEELS}/{DISTRIBUTION.replace('-', '_')}-{VERSION}-py3-none-any.whl"
        made = shlex.join(["pip", "wheel", "--no-deps", "--wheel-dir", WHEELS, source.source])
        install = f'"./{wheel}[{_EXTRAS}]"'
        remaining = (f"edgekit is on no package index, so jobs install '{wheel}': commit it. To make it: {made}",)
    if ci == "github":
        return Workflow(_GITHUB_PATH, _GITHUB.replace("INSTALL", install), remaining)
    included = f"Add 'include: {_GITLAB_PATH}' to .gitlab-ci.yml."
    return Workflow(_GITLAB_PATH, _GITLAB.replace("INSTALL", install), (*remaining, included))


def _address(source: Origin) -> str:
    """`git+https://…@COMMIT` if edgekit came from there, or runs in a checkout whose commit is on its remote."""
    if " @ git+https://" in source.source:
        return source.source.partition(" @ ")[2]
    if not Path(source.source).is_dir():
        return ""
    remote = urlsplit(_git(source.source, "remote", "get-url", "origin"))
    commit = _git(source.source, "rev-parse", "HEAD")
    is_pushed = bool(_git(source.source, "branch", "--remotes", "--contains", "HEAD"))
    # Never the user and token that an address may contain.
    host = f"{remote.hostname}:{remote.port}" if remote.port else remote.hostname
    return f"git+https://{host}{remote.path}@{commit}" if remote.scheme == "https" and commit and is_pushed else ""


def _git(folder: str, *arguments: str) -> str:
    """What git prints; empty without git or such a repository."""
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

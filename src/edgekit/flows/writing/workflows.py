"""Workflows of CI services that run `edgekit check`."""

from __future__ import annotations

from typing import Final, NamedTuple

_INSTALL: Final = '"edgekit-onnx[cpu,tflite] @ git+https://github.com/ORGANISATION/edgekit@main"'
_REPLACE: Final = "Replace ORGANISATION in {} with where edgekit is: it is on no package index."
_GITHUB: Final = f"""\
# Fails a pull request whose models miss a budget of edgekit.toml. Replace ORGANISATION with where edgekit is.
name: edgekit
on: pull_request
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      # A job starts without the history, which counts inconclusive runs in a row: cache it between runs.
      - uses: actions/cache@v4
        with:
          path: edgekit-history.jsonl
          key: edgekit-history-${{{{ github.ref }}}}-${{{{ github.run_id }}}}
          restore-keys: edgekit-history-${{{{ github.ref }}}}-
      - run: pip install {_INSTALL}
      - run: edgekit check --report edgekit-check.xml --report edgekit-check.md
      - uses: actions/upload-artifact@v4
        if: always()
        with: {{name: edgekit-check, path: edgekit-check.*}}
"""
_GITLAB: Final = f"""\
# Fails a merge request whose models miss a budget of edgekit.toml. Replace ORGANISATION with where edgekit is.
edgekit:
  image: python:3.12
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  cache:
    key: edgekit-history-$CI_MERGE_REQUEST_IID
    paths: [edgekit-history.jsonl]
  script:
    - pip install {_INSTALL}
    - edgekit check --report edgekit-check.xml --report edgekit-check.md
  artifacts:
    when: always
    reports:
      junit: edgekit-check.xml
    paths: [edgekit-check.md]
"""


class Workflow(NamedTuple):
    """Where a service reads its workflow, the text, and what is left to do by hand."""

    path: str
    text: str
    remaining: tuple[str, ...]


_GITHUB_PATH: Final = ".github/workflows/edgekit.yml"
_GITLAB_PATH: Final = "edgekit.gitlab-ci.yml"
WORKFLOWS: Final = {
    "github": Workflow(_GITHUB_PATH, _GITHUB, (_REPLACE.format(_GITHUB_PATH),)),
    "gitlab": Workflow(
        _GITLAB_PATH, _GITLAB, (_REPLACE.format(_GITLAB_PATH), f"Add 'include: {_GITLAB_PATH}' to .gitlab-ci.yml.")
    ),
}

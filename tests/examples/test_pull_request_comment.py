"""The comment of the Action on a pull request, written to a server that behaves as GitHub's issue comments do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

REPOSITORY = "team/nets"


@dataclass
class Issues:
    """The comments of pull request 7 on a server, which only the token `writer` may write."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    status: int = 0
    address: str = ""

    def add(self, body: str, *, login: str = "github-actions[bot]", kind: str = "Bot") -> dict[str, Any]:
        self.comments.append({"id": len(self.comments) + 1, "body": body, "user": {"login": login, "type": kind}})
        return self.comments[-1]

    def reply(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        if self.status:
            return self.status, {"message": "planted"}
        url = urlsplit(path)
        if url.path == f"/repos/{REPOSITORY}/issues/7/comments" and method == "GET":
            query = {name: int(values[0]) for name, values in parse_qs(url.query).items()}
            size = min(query.get("per_page", 30), 100)
            start = (query.get("page", 1) - 1) * size
            return 200, self.comments[start : start + size]
        if token != "Bearer writer":
            return 403, {"message": "Resource not accessible by integration"}
        if url.path == f"/repos/{REPOSITORY}/issues/7/comments" and method == "POST":
            return (201, self.add(body["body"])) if len(body["body"]) <= 65536 else (422, {"message": "too long"})
        found = re.fullmatch(rf"/repos/{REPOSITORY}/issues/comments/(\d+)", url.path)
        if found and method == "PATCH":
            self.comments[int(found[1]) - 1]["body"] = body["body"]
            return 200, self.comments[int(found[1]) - 1]
        return 404, {"message": "Not Found"}


@pytest.fixture
def issues() -> Iterator[Issues]:
    state = Issues()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(text) if text else None
            code, found = state.reply(self.command, self.path, self.headers.get("Authorization", ""), body)
            data = json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = handle_one  # noqa: N815  names of http.server

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Job:
    """A job of the workflow: its folder, and the server."""

    script: Path
    folder: Path
    issues: Issues

    def comment(
        self, text: str, *, key: str = "edgekit.toml", token: str = "writer", head: str = REPOSITORY, pull: bool = True
    ) -> str:
        (self.folder / "check.md").write_text(text, encoding="utf-8")
        event = {"pull_request": {"number": 7, "head": {"repo": {"full_name": head}}}} if pull else {"ref": "main"}
        (self.folder / "event.json").write_text(json.dumps(event), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, self.script, "check.md", key],
            cwd=self.folder,
            env={
                "GITHUB_API_URL": self.issues.address,
                "GITHUB_REPOSITORY": REPOSITORY,
                "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_TOKEN": token,
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stderr == ""
        return done.stdout


@pytest.fixture
def job(repository: Path, tmp_path: Path, issues: Issues) -> Job:
    return Job(repository / ".ci" / "comment.py", tmp_path, issues)


def test_the_first_run_adds_a_comment_and_the_next_replaces_it(job: Job) -> None:
    for number in range(130):
        job.issues.add(f"remark {number}", login="someone", kind="User")

    job.comment("## ❌ edgekit check: FAIL\n")
    job.comment("## ✅ edgekit check: pass\n")

    (own,) = job.issues.comments[130:]
    assert own["body"].splitlines()[1] == "## ✅ edgekit check: pass"
    assert own["body"].startswith("<!-- edgekit check ")


def test_two_checks_have_a_comment_each(job: Job) -> None:
    for text in ("one", "two"):
        job.comment(f"{text} of a", key="a.toml")
        job.comment(f"{text} of b", key="b.toml")

    assert [one["body"].splitlines()[1] for one in job.issues.comments] == ["two of a", "two of b"]


def test_a_marker_that_a_person_copied_is_not_ours(job: Job) -> None:
    job.comment("first")
    copied = job.issues.comments.pop()["body"]
    job.issues.add(copied, login="someone", kind="User")

    job.comment("second")

    assert job.issues.comments[0]["body"] == copied
    assert job.issues.comments[1]["body"].endswith("second")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"head": "stranger/nets"}, "from a fork"),
        ({"token": "reader"}, "permissions: pull-requests: write"),
        ({"token": ""}, "there is no token"),
        ({"pull": False}, "no pull request"),
    ],
)
def test_without_the_right_to_write_a_notice_says_so_and_nothing_fails(
    job: Job, given: dict[str, Any], why: str
) -> None:
    said = job.comment("text", **given)

    assert said.startswith("::notice::edgekit comment: ")
    assert why in said
    assert "the job summary has the result" in said
    assert job.issues.comments == []


def test_a_server_that_fails_is_a_warning(job: Job) -> None:
    job.issues.status = 502

    assert job.comment("text").startswith("::warning::edgekit comment: GitHub replied 502")


def test_a_long_result_is_cut_to_what_github_takes(job: Job) -> None:
    job.comment("one line of a table\n" * 10_000)

    (own,) = job.issues.comments
    assert own["body"].rstrip().endswith("The rest is in the summary of the job.")

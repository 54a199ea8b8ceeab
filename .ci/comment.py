#!/usr/bin/env python3
"""Writes the result of a check as one comment of a pull request, which later runs replace.

usage: comment.py FILE.md KEY

KEY tells the comments of several checks apart; the Action gives the path of the configuration. A comment is found again
by a hidden marker at its start. It never changes the verdict: where there is no pull request, or the token can only
read, as for a pull request from a fork, a notice says so and the exit code is 0. Needs nothing but Python.

Environment: GITHUB_TOKEN with `pull-requests: write`, and what GitHub Actions sets: GITHUB_API_URL, GITHUB_REPOSITORY,
GITHUB_EVENT_PATH, GITHUB_EVENT_NAME.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = 100
# GitHub refuses comments of more than 65,536 characters.
LONGEST = 60_000
TIMEOUT_S = 30
READ_ONLY = (401, 403, 404)


def main(file: str, key: str, environ: Mapping[str, str] = os.environ) -> int:
    """Write the comment, or say why there is none."""
    event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    why = reason_against(event, Path(file), environ)
    if why:
        return say("notice", why)
    marker = f"<!-- edgekit check {hashlib.sha256(key.encode()).hexdigest()[:16]} -->"
    try:
        say("debug", write(event["pull_request"]["number"], marker, Path(file).read_text(encoding="utf-8"), environ))
    except urllib.error.HTTPError as err:
        if err.code in READ_ONLY:
            return say("notice", "the token can only read; 'permissions: pull-requests: write' lets it comment")
        return say("warning", f"GitHub replied {err.code}")
    except OSError as err:
        return say("warning", f"GitHub was not reached ({err})")
    return 0


def reason_against(event: Mapping[str, Any], file: Path, environ: Mapping[str, str]) -> str:
    """Why there can be no comment; empty if there can be one."""
    pull = event.get("pull_request")
    if not pull:
        return "this is no pull request"
    if not file.is_file():
        return f"the check wrote no '{file.name}'"
    source = (pull["head"].get("repo") or {}).get("full_name")
    if environ.get("GITHUB_EVENT_NAME") == "pull_request" and source != environ["GITHUB_REPOSITORY"]:
        return "the pull request is from a fork, whose token can only read"
    return "" if environ.get("GITHUB_TOKEN") else "there is no token"


def write(number: int, marker: str, text: str, environ: Mapping[str, str]) -> str:
    """Replace the comment that starts with `marker`, or add it."""
    issues = f"/repos/{environ['GITHUB_REPOSITORY']}/issues"
    body = {"body": f"{marker}\n{shortened(text)}"}
    for one in comments(f"{issues}/{number}/comments", environ):
        # Anyone can write the marker; only comments of a workflow are ours.
        if one["body"].startswith(marker) and one["user"]["type"] == "Bot":
            call("PATCH", f"{issues}/comments/{one['id']}", environ, body)
            return "comment replaced"
    call("POST", f"{issues}/{number}/comments", environ, body)
    return "comment added"


def comments(path: str, environ: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """All comments, oldest first, page by page."""
    page, found = 1, [{}] * PAGE
    while len(found) == PAGE:
        found = call("GET", f"{path}?per_page={PAGE}&page={page}", environ)
        yield from found
        page += 1


def call(method: str, path: str, environ: Mapping[str, str], body: object = None) -> Any:
    """What the API returns."""
    request = urllib.request.Request(  # noqa: S310  the address is the one that GitHub Actions sets
        environ["GITHUB_API_URL"] + path,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={
            "Authorization": f"Bearer {environ['GITHUB_TOKEN']}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310  as above
        return json.load(reply)


def shortened(text: str) -> str:
    """At most what GitHub takes, cut at a line."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST].rpartition(chr(10))[0]}\n\nThe rest is in the summary of the job.\n"


def say(level: str, text: str) -> int:
    """A line in the log of the job; its summary has the result in any case."""
    flat = " ".join(text.split()).replace("%", "%25")
    more = "" if level == "debug" else "; the job summary has the result"
    sys.stdout.write(f"::{level}::edgekit comment: {flat}{more}\n")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

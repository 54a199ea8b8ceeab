"""edgekit on one network: one command, its verdict per recipe, its wall time and its largest process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.zoo.net import Net

ROOT = Path(__file__).resolve().parents[2]


class Outcome(NamedTuple):
    """What edgekit said of one recipe; `path` is its file, if there is one."""

    verdict: str
    made: str = ""
    detail: str = ""
    path: Path | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0


Ask = Callable[..., dict[str, Any]]


def exported(
    net: Net, folder: Path, recipes: Sequence[str], limit_s: float, warm: Ask | None = None
) -> dict[str, Outcome]:
    """Every recipe in one command; an error of the whole command is one of each recipe.

    `warm` runs the command in a process that has run others; without it, in a fresh one.
    """
    out = folder / "bundle"
    shutil.rmtree(out, ignore_errors=True)
    words = [
        "export",
        f"{folder}/net.py:net",
        "--samples",
        "samples.npz",
        "--to",
        ",".join(recipes),
        "--out",
        str(out),
        "--json",
    ]
    for text in net.inputs:
        words += ["--input", text]
    for text in net.sizes:
        words += ["--sizes", text]
    if warm is None:
        code, text, seconds, peak = measured([sys.executable, "-m", "edgekit", *words, "--quiet"], folder, limit_s)
    else:
        answer = warm(folder=str(folder), words=[*words, "--quiet"])
        code, text = answer.get("code", -1), answer.get("text", answer.get("error", ""))
        seconds, peak = answer.get("seconds", 0.0), 0.0
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        document = {"error": {"message": f"exit {code} without a document", "exit_code": code}}
    if "artifacts" in document:
        found = read(document, recipes, out)
    else:
        found = dict.fromkeys(recipes, _stopped(document.get("error", {})))
    return {name: one._replace(seconds=seconds, peak_mb=peak) for name, one in found.items()}


def _stopped(error: Mapping[str, Any]) -> Outcome:
    """What an error says: refused, or broken."""
    message = f"{error.get('code', '')} {error.get('message', '')}".strip()
    return Outcome("refused" if error.get("exit_code") in (1, 2, 3) else "broke", detail=message[:400])


def read(document: Mapping[str, Any], recipes: Sequence[str], out: Path) -> dict[str, Outcome]:
    """The verdict of each recipe from the report of an export."""
    made = {one["recipe"]: one for one in document["artifacts"]}
    failures = {one.get("recipe"): one for one in document.get("failures", ())}
    found = {}
    for recipe in recipes:
        artifact = made.get(recipe) or next((one for name, one in made.items() if is_of(name, recipe)), None)
        if artifact is None:
            failed = failures.get(recipe) or next(
                (one for name, one in failures.items() if is_of(str(name), recipe)), {}
            )
            found[recipe] = _stopped(failed)
            continue
        checks = [one for one in document["parity"] if one["artifact"] == artifact["recipe"]]
        bad = [one for one in checks if one["verdict"] == "fail"]
        detail = _described(max(bad, key=_distance)) if bad else ""
        path = out / artifact["file"]
        found[recipe] = Outcome("fail" if bad else "pass", artifact["recipe"], detail, path if path.is_file() else None)
    return found


def is_of(name: str, recipe: str) -> bool:
    """Whether a recipe is what an alias such as `onnx-int8` became."""
    return name.startswith(f"{recipe}-")


def _distance(check: Mapping[str, Any]) -> float:
    value, limit = check["value"], check["limit"]
    if value is None or not limit:
        return 0.0
    return float(value / limit if check["kind"] == "difference" else limit - value)


def _described(check: Mapping[str, Any]) -> str:
    value = "none" if check["value"] is None else f"{check['value']:.3g}"
    noise = "" if check["sqnr_db"] is None else f", {check['sqnr_db']:.1f} dB"
    reason = f", {check['reason']}" if check["reason"] else ""
    limit = "none" if check["limit"] is None else f"{check['limit']:.3g}"
    return f"{check['case']}/{check['output']}/{check['kind']} {value}, limit {limit}{noise}{reason}"


def measured(command: Sequence[str], folder: Path, limit_s: float) -> tuple[int, str, float, float]:
    """Exit code, standard output, wall seconds and the memory of the largest process in MB."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    cache = {"EDGEKIT_CACHE": str(folder / "cache")}  # empty, unless the one who calls keeps one
    variables = {**cache, **os.environ, "PYTHONPATH": paths, "EDGEKIT_OFFLINE": "1"}
    begun = time.perf_counter()
    with (folder / "stdout.txt").open("wb") as output, (folder / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            ["timeout", "--kill-after=10", str(int(limit_s)), *command],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=errors,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = (folder / "stdout.txt").read_text(encoding="utf-8", errors="replace")
    return process.returncode, text, time.perf_counter() - begun, usage.ru_maxrss / 1024

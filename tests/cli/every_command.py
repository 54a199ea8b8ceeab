"""Every command as a row: what is typed, what comes out, where it is stopped."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli.commands.bundle import InspectDocument, PackDocument, VerifyDocument
from edgekit.cli.commands.completion import CompletionDocument
from edgekit.cli.commands.config import SettingsDocument
from edgekit.cli.output import ErrorDocument
from edgekit.core.reports.bisection import Bisection
from edgekit.core.reports.check import CheckReport
from edgekit.core.reports.comparison import ComparisonReport
from edgekit.core.reports.explanation import Explanation
from edgekit.core.reports.graph import GraphDiff
from edgekit.core.reports.report import Report
from edgekit.core.reports.run import RunReport
from edgekit.core.reports.train import TrainReport
from edgekit.core.reports.tuning import TuneReport
from edgekit.flows.devices import DeviceChange, DeviceChecks, DeviceList
from edgekit.flows.doctor import Diagnosis
from edgekit.flows.history import AcceptDocument, HistoryDocument
from edgekit.flows.list import Listing
from edgekit.flows.order import Plan

Run = Callable[..., Any]
COLUMNS = 80


@dataclass(frozen=True)
class Row:
    """One command: arguments that end with one of `codes` in the folder `made`, and what `--json` prints then.

    `plan` is what it prints with `--dry-run` when it acts. `stage` is the line on stderr after which it is
    interrupted while it works, and `said` what it says then. A command that is over before a person can press a key
    is interrupted in the function `stops_at`, which never ends for that purpose. `before` is a command to run first.
    `keeps` is the folder of what was done so far, for a command that can go on from there.
    """

    path: str
    arguments: str
    document: type
    plan: type | None = None
    stage: str = ""
    stops_at: str = "edgekit.cli.common.Call.answer"
    said: str = "Interrupted."
    slow: bool = False
    codes: tuple[int, ...] = (0,)
    before: str = ""
    keeps: str = ""

    def words(self, *more: str) -> list[str]:
        return [*self.path.split(), *shlex.split(self.arguments), *more]


_NET = "net.py:net --samples samples.npz --to onnx-fp32"
_ADD = "devices add pi5 --ssh pi@pi5.invalid"
# No machine has a name in .invalid; commands that reach one are tested with the stand-ins of devices.
_UNREACHABLE: dict[str, Any] = {"codes": (3,), "before": _ADD, "stops_at": "edgekit.flows.devices.open_shell"}
TABLE = [
    Row("build", f"{_NET} --launches 1 --time-limit 10ms --out built", Report, Plan, "profile", slow=True),
    Row(
        "train",
        "digits --set epochs=1 --out run",
        TrainReport,
        Plan,
        "train digits",
        said="--resume",
        keeps="made/run/",
        slow=True,
    ),
    Row("export", f"{_NET} --out exported", Report, Plan, "export and parity", slow=True),
    Row("validate", "bundle", Report),
    Row("bisect", "bundle onnx-fp32 onnx-fp32", Bisection),
    Row("run", "bundle --input sample:0", RunReport),
    Row("profile", "bundle --launches 1 --time-limit 10ms --batch 1,2 --operators", Report, Plan),
    Row("tune", "bundle --time-limit 1ms", TuneReport, Plan, "tuning on local", slow=True),
    Row(
        "compare",
        "bundle bundle --launches 5 --time-limit 1ms --minimum-effect 80%",
        ComparisonReport,
        Plan,
        slow=True,
    ),
    Row("check", "--launches 5 --time-limit 10ms", CheckReport, Plan, "check bundle"),
    Row("history show", "", HistoryDocument),
    Row("history blame", "", HistoryDocument),
    Row("history accept", "--why 'a larger input'", AcceptDocument, Plan, stops_at="edgekit.flows.history.append"),
    Row(
        "explain",
        "report.json",
        Explanation,
        before="profile bundle --launches 5 --time-limit 1ms --report report.json",
    ),
    Row("bundle inspect", "bundle", InspectDocument),
    Row("bundle diff", "bundle onnx-fp32 onnx-fp32", GraphDiff),
    Row("bundle verify", "bundle", VerifyDocument),
    Row("bundle pack", "bundle --out packed.edgekit", PackDocument, PackDocument, stops_at="zipfile.ZipFile.writestr"),
    Row("devices list", "", DeviceList),
    Row("devices add", "pi5 --ssh pi@pi5.invalid", DeviceChange, Plan, stops_at="edgekit.devices.inventory.add"),
    Row("devices check", "pi5", DeviceChecks, **_UNREACHABLE),
    Row("devices prepare", "pi5", ErrorDocument, Plan, **_UNREACHABLE),
    Row("devices clean", "pi5", ErrorDocument, Plan, **_UNREACHABLE),
    Row("devices remove", "pi5", DeviceChange, Plan, stops_at="edgekit.devices.inventory.remove", before=_ADD),
    Row("tools install", "onnx2tf", ErrorDocument, Plan, codes=(3,), stops_at="edgekit.flows.tools.InstallOrder.run"),
    Row("list", "recipes", Listing),
    Row("doctor", "", Diagnosis, codes=(0, 3)),
    Row("config show", "--origin", SettingsDocument),
    Row("completion", "bash", CompletionDocument),
]


def params(rows: Iterable[Row]) -> list[Any]:
    return [pytest.param(row, id=row.path, marks=[pytest.mark.slow] if row.slow else []) for row in rows]


EVERY = params(TABLE)
ACTING = params(row for row in TABLE if row.plan)
ANSWERING = params(row for row in TABLE if row.document is not ErrorDocument)
STOPPED_BY_CI = params(row for row in TABLE if row.path in ("build", "bundle pack"))
PAGES = [pytest.param(row, id=row.path) for row in TABLE]


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below `folder`, with size and time of change."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """The same without folders, which change when something comes and goes in them."""
    return {path: facts for path, facts in listing(folder).items() if not Path(path).is_dir()}

"""Every command as a row: what is typed, what comes out, where it is stopped."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekit.core.reports.bisect import BisectReport
from edgekit.core.reports.bundle import (
    BundleDiffReport,
    InspectReport,
    PackReport,
    SbomReport,
    SignReport,
    VerifyReport,
)
from edgekit.core.reports.check import CheckReport
from edgekit.core.reports.comparison import ComparisonReport
from edgekit.core.reports.deploy import DeployReport
from edgekit.core.reports.error import ErrorReport
from edgekit.core.reports.explain import ExplainReport
from edgekit.core.reports.history import AcceptReport, HistoryReport
from edgekit.core.reports.kept import ExportReport, ImportReport, PruneReport, RunsReport
from edgekit.core.reports.kept_pages import SeriesReport
from edgekit.core.reports.plan import PlanReport
from edgekit.core.reports.report import Report
from edgekit.core.reports.run import RunReport
from edgekit.core.reports.setup.completion import CompletionReport
from edgekit.core.reports.setup.config import ConfigReport
from edgekit.core.reports.setup.devices import DeviceChangeReport, DeviceCheckReport, DeviceListReport
from edgekit.core.reports.setup.doctor import DoctorReport
from edgekit.core.reports.setup.fleets import FleetKeysReport
from edgekit.core.reports.setup.init import InitReport
from edgekit.core.reports.setup.list import ListReport
from edgekit.core.reports.sweep import SweepReport
from edgekit.core.reports.train import TrainReport
from edgekit.core.reports.tuning import TuneReport

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
_KEPT = "profile bundle --launches 1 --time-limit 1ms --record"
_ADD = "devices add pi5 --ssh pi@pi5.invalid"
# No machine has a name in .invalid; commands that reach one are tested with the stand-ins of devices.
_UNREACHABLE: dict[str, Any] = {"codes": (3,), "before": _ADD, "stops_at": "edgekit.flows.devices.open_shell"}
TABLE = [
    Row("build", f"{_NET} --launches 1 --time-limit 10ms --out built", Report, PlanReport, "profile", slow=True),
    Row(
        "train",
        "digits --set epochs=1 --out run",
        TrainReport,
        PlanReport,
        "train digits",
        said="--resume",
        keeps="made/run/",
        slow=True,
    ),
    Row("export", f"{_NET} --out exported", Report, PlanReport, "export and parity", slow=True),
    Row("validate", "bundle", Report),
    Row("bisect", "bundle onnx-fp32 onnx-fp32", BisectReport),
    Row("run", "bundle --input sample:0", RunReport),
    Row("profile", "bundle --launches 1 --time-limit 10ms --batch 1,2 --operators", Report, PlanReport),
    Row("tune", "bundle --time-limit 1ms", TuneReport, PlanReport, "tuning on local", slow=True),
    Row(
        "compare",
        "bundle bundle --launches 5 --time-limit 1ms --minimum-effect 80%",
        ComparisonReport,
        PlanReport,
        slow=True,
    ),
    Row("sweep", "sweep.toml", SweepReport, PlanReport, "measure 1 combination on local", slow=True),
    Row("check", "--launches 5 --time-limit 10ms", CheckReport, PlanReport, "check bundle"),
    Row("init", "--ci github --force", InitReport, PlanReport, stops_at="edgekit.flows.init.write_new"),
    Row("history show", "", HistoryReport),
    Row("history blame", "", HistoryReport),
    Row(
        "history compare",
        "1 1 --minimum-effect 80%",
        ComparisonReport,
        before=f"{_KEPT} --launches 5",
        codes=(0, 4),
    ),
    Row("history list", "--limit 5", RunsReport, before=_KEPT),
    Row("history plot", "net --limit 5", SeriesReport, before=_KEPT),
    Row(
        "history export",
        "runs.csv",
        ExportReport,
        before=_KEPT,
        stops_at="edgekit.flows.keeping.run_tables.write_runs",
    ),
    Row(
        "history import",
        "report.json",
        ImportReport,
        PlanReport,
        before=f"{_KEPT} --report report.json",
        stops_at="edgekit.flows.history.ImportOrder.run",
    ),
    Row(
        "history prune",
        "--keep 1",
        PruneReport,
        PlanReport,
        before=_KEPT,
        stops_at="edgekit.flows.keeping.runs.PruneOrder.run",
    ),
    Row("history accept", "--why 'a larger input'", AcceptReport, PlanReport, stops_at="edgekit.flows.history.append"),
    # No machine has this address, which is for documentation.
    Row(
        "serve",
        "--host 192.0.2.1 --token-file token",
        ErrorReport,
        codes=(3,),
        before=_KEPT,
        stops_at="edgekit.flows.serve.serve_site",
    ),
    # Networks without keys, which are refused: fleets that run are tested in tests/devices/fleet.
    Row(
        "fleet serve",
        "--host 192.0.2.1",
        ErrorReport,
        codes=(2,),
        stops_at="edgekit.flows.fleet.hosts.serve_fleet",
    ),
    Row(
        "fleet join",
        "192.0.2.1 --devices fake",
        ErrorReport,
        codes=(2,),
        stops_at="edgekit.flows.fleet.hosts.join_fleet",
    ),
    Row("fleet list", "192.0.2.1", ErrorReport, codes=(2,), stops_at="edgekit.flows.fleet.hosts.list_fleet"),
    Row("fleet keys", "fleet.pem", FleetKeysReport, stops_at="edgekit.flows.fleet.hosts.make_keys"),
    Row(
        "explain",
        "report.json",
        ExplainReport,
        before="profile bundle --launches 5 --time-limit 1ms --report report.json",
    ),
    Row("inspect", "bundle", InspectReport),
    Row("bundle inspect", "bundle", InspectReport),
    Row("bundle diff", "bundle onnx-fp32 onnx-fp32", BundleDiffReport),
    Row("bundle verify", "bundle", VerifyReport),
    Row("bundle pack", "bundle --out packed.edgekit", PackReport, PackReport, stops_at="zipfile.ZipFile.writestr"),
    Row("bundle sbom", "bundle", SbomReport, SbomReport, stops_at="edgekit.core.system.documents.write"),
    Row(
        "bundle sign",
        "packed.edgekit --key key",
        SignReport,
        SignReport,
        before="bundle pack bundle --out packed.edgekit",
        stops_at="edgekit.flows.signing.bundle_signatures.sign",
    ),
    Row(
        "deploy",
        "bundle --for python --out program",
        DeployReport,
        PlanReport,
        stops_at="edgekit.flows.deploying.python_program.write_zipapp",
    ),
    Row("devices list", "", DeviceListReport),
    Row(
        "devices add",
        "pi5 --ssh pi@pi5.invalid",
        DeviceChangeReport,
        PlanReport,
        stops_at="edgekit.devices.inventory.add",
    ),
    Row("devices check", "pi5", DeviceCheckReport, **_UNREACHABLE),
    Row("devices prepare", "pi5", ErrorReport, PlanReport, **_UNREACHABLE),
    Row("devices clean", "pi5", ErrorReport, PlanReport, **_UNREACHABLE),
    Row(
        "devices remove",
        "pi5",
        DeviceChangeReport,
        PlanReport,
        stops_at="edgekit.devices.inventory.remove",
        before=_ADD,
    ),
    Row(
        "tools install", "onnx2tf", ErrorReport, PlanReport, codes=(3,), stops_at="edgekit.flows.tools.InstallOrder.run"
    ),
    Row("list", "recipes", ListReport),
    Row("doctor", "", DoctorReport, codes=(0, 3)),
    Row("config show", "--origin", ConfigReport),
    Row("completion", "bash", CompletionReport),
]


def params(rows: Iterable[Row]) -> list[Any]:
    return [pytest.param(row, id=row.path, marks=[pytest.mark.slow] if row.slow else []) for row in rows]


EVERY = params(TABLE)
ACTING = params(row for row in TABLE if row.plan)
ANSWERING = params(row for row in TABLE if row.document is not ErrorReport)
STOPPED_BY_CI = params(row for row in TABLE if row.path in ("build", "bundle pack"))
PAGES = [pytest.param(row, id=row.path) for row in TABLE]


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below `folder`, with size and time of change."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """The same without folders, which change when something comes and goes in them."""
    return {path: facts for path, facts in listing(folder).items() if not Path(path).is_dir()}

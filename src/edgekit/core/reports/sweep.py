"""The document of `edgekit sweep`: every combination with its latency, and what backend versions cost."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import Interrupted
from edgekit.core.facts import Facts
from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Latency, Missing
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict

# 1: first version. 2: `models`, and the median of each launch.
SWEEP_SCHEMA: Final = 2


class SweptModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model of a sweep, by its name in the file, with those of its artifacts that were measured."""

    model: str
    spec: ModelSpec
    artifacts: tuple[Artifact, ...]


class SweptCombination(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model and artifact on one target, with `batch` samples per call, in one version of a backend.

    An empty `engine` is the version that is installed. `earlier` of the `launches` are from earlier runs, and `medians`
    has the median of each, in seconds. `key` is that of its lines in the results. `latency` is null if its outputs
    failed parity (`is_wrong`).
    """

    model: str
    artifact: str
    target: str
    batch: int
    engine: str
    key: str
    launches: int
    earlier: int
    latency: Latency | None
    medians: tuple[float, ...] = ()
    is_wrong: bool = False


class VersionVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two backend versions on one model, launched alternately: `compared` has the versions as A and B.

    What it says is corrected for the number of verdicts (Holm): `compared.says` is faster or slower only if it holds
    among all of them.
    """

    model: str
    artifact: str
    batch: int
    compared: Compared


class SweepReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every combination, and the verdicts: fail if a version is slower or wrong, else incomplete if one is missing.

    `results` is the file with all launches, `launched` of which are from this run. `alpha` is the probability that any
    of the verdicts says faster or slower of versions that are equally fast. `facts` are those of devices, by name.
    """

    created: str
    file: str
    results: str
    minimum_effect: float
    alpha: float
    launched: int
    combinations: tuple[SweptCombination, ...]
    verdicts: tuple[VersionVerdict, ...]
    verdict: Verdict
    missing: tuple[Missing, ...] = ()
    models: tuple[SweptModel, ...] = ()
    facts: dict[str, Facts] = {}
    tools: dict[str, str] = {}
    reproduction: Reproduction | None = None
    command: str = "sweep"
    schema_version: int = SWEEP_SCHEMA

    @property
    def exit_code(self) -> int:
        """That of the verdict; 130 after Ctrl-C."""
        stopped = any(one.kind == "interrupted" for one in self.missing)
        return Interrupted.exit_code if stopped else self.verdict.exit_code

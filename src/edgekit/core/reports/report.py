"""Report: measurements, checks and the facts of the devices. Its JSON is the source of every rendering."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from edgekit.core.budget import DROP
from edgekit.core.bundle import Artifact
from edgekit.core.errors import ConversionFailed, EdgekitError, Interrupted
from edgekit.core.facts import Facts
from edgekit.core.job import OperatorTime
from edgekit.core.measurement import PARTS, Measurement, Trust
from edgekit.core.reports.explain import Cause
from edgekit.core.reports.pictured_samples import Pictures
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.reports.sustained import Sustained
from edgekit.core.samples import SplitFacts
from edgekit.core.spec.metric import metric_unit
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict, worst

# 1: first version. 2: reports contain their reproduction. 3: what a build was made from. 4: real-time factors, and
# pictures of samples. 5: the phases of decoders, with their tokens per second. 6: calls from end to end.
REPORT_SCHEMA: Final = 6


def is_report(path: str | Path) -> bool:
    """Whether a file name is that of a report: `.json`, other than the `.fake.json` of the fake backend's models."""
    return str(path).endswith(".json") and not str(path).endswith(".fake.json")


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value in SI units with its 95 % interval; `n` is the number of values, or of launches for a latency.

    `value` is null if it is unknown, with the reason. `low` or `high` may then still bound it. Of an undecided budget,
    the reason says what would decide it.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str = ""


class ParityCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output of one artifact against PyTorch on one case, e.g. batch 5 at length 32.

    `kind` is `difference` (`value` is the largest absolute difference, `limit` its bound), `sqnr` (in dB, at least
    the limit), `agreement` (top-1 ratio, at least the limit), `range` (the smallest share of its int8 values that a
    quantized tensor uses), `share` (of the work that is quantized), `drop` (of the metric, at most the limit of
    `--max-drop`) or `overflow` (the number of operators whose values float16 does not hold). A part of an output with a
    scale of its own is named by its slice. A check that could not be judged is inconclusive, with the reason. `sample`
    is the row, of `samples`, that differs most. `cosine` is the cosine similarity of the two outputs, `top1` the share
    of rows with the same largest value, if rows have several values.
    """

    artifact: str
    where: str
    case: str
    output: str
    kind: str
    value: float | None
    limit: float
    verdict: Verdict
    max_abs: float | None = None
    mean_abs: float | None = None
    sqnr_db: float | None = None
    sample: int | None = None
    samples: int = 0
    reason: str = ""
    cosine: float | None = None
    top1: float | None = None

    @property
    def unit(self) -> str:
        """The unit of `value` and `limit`."""
        return {"difference": "1", "sqnr": "dB", "drop": "points", "overflow": "1"}.get(self.kind, "ratio")


class Accuracy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The quality of one artifact on evaluation samples, and its drop against PyTorch, paired by sample.

    `drop` is positive if the artifact is worse. `detectable` is the smallest drop that this many samples can show.
    """

    artifact: str
    where: str
    metric: str
    quality: Estimate
    reference: Estimate
    drop: Estimate
    detectable: float | None = None

    @property
    def relative_drop(self) -> float | None:
        """The drop that `--max-drop` limits: absolute for a share, relative to that of PyTorch for an error."""
        if self.drop.value is None or metric_unit(self.metric) == "ratio":
            return self.drop.value
        return self.drop.value / self.reference.value if self.reference.value else None


class RecipeFailure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recipe that could not be made while others were: the class of the error, its message, and the next command.

    `code` is the reason in `core/refusals.py` if it is known not to work. `exit_code` is that of the error alone.
    """

    recipe: str
    kind: str
    message: str
    hint: str = ""
    code: str = ""
    exit_code: int = ConversionFailed.exit_code


class EndToEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whole calls, from a file to a prediction, and their parts: p50 and p95 of each, with intervals over launches.

    `whole` are quantiles of the sums of the parts, call by call. Quantiles of the parts do not add up to them: what
    is rare in each part may be frequent in the sums, and a call with a slow part rarely has a second one.
    """

    whole: dict[str, Estimate]
    preprocess: dict[str, Estimate]
    inference: dict[str, Estimate]
    postprocess: dict[str, Estimate]

    @property
    def columns(self) -> dict[str, dict[str, Estimate]]:
        """The quantiles by the name of the part, in the order of a call, and last those of the whole."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {**parts, "end to end": self.whole}


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Statistics of one measurement: quantiles by name (`p50`, `p90`), each with its interval over launches.

    `instructions` are those of one inference, counted by an emulator instead of a latency. `throughput` is in samples
    per second, `energy` in joules per call. `real_time_factor` is the median latency of a call as a share of the time
    that the sound in it lasts. `phase` is that of a decoder, as in `Measurement`, and `token_rate` its tokens per
    second. `end_to_end` are calls from a file to a prediction, if they were requested.
    """

    target: str
    artifact: str
    sizes: dict[str, int]
    quantiles: dict[str, Estimate]
    load: Estimate
    first_run: Estimate
    memory: Estimate
    trust: Trust
    backend: str = ""
    engine: str = ""
    provider: str = ""
    instructions: Estimate = Estimate(None)
    throughput: Estimate = Estimate(None)
    energy: Estimate = Estimate(None)
    real_time_factor: Estimate = Estimate(None)
    phase: str = ""
    token_rate: Estimate = Estimate(None)
    end_to_end: EndToEnd | None = None


class Operators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operators of one artifact as the backend ran them, in order; empty if it does not report them."""

    target: str
    artifact: str
    sizes: dict[str, int]
    times: tuple[OperatorTime, ...]

    @property
    def seconds(self) -> float:
        """What the operators take together."""
        return sum(one.seconds for one in self.times)

    def share_of_median(self, latency: Iterable[Latency]) -> float | None:
        """The operators together as a share of the median latency, which was measured without a profiler."""
        where = self.target, self.artifact, self.sizes
        row = next((one for one in latency if (one.target, one.artifact, one.sizes) == where), None)
        middle = row.quantiles["p50"].value if row and "p50" in row.quantiles else None
        return self.seconds / middle if middle and self.times else None


class Missing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An artifact that was not measured on a target, or not completely, and why.

    `kind` is `unable` (the device cannot run it, which leaves a report complete if it ran another artifact), `refused`
    (a launch failed), `away` (no response, or another user holds the device) or `interrupted` (Ctrl-C). `launches` of
    it had ended by then.
    """

    artifact: str
    target: str
    kind: str
    reason: str
    hint: str = ""
    batch: int = 1
    launches: int = 0

    @property
    def is_open(self) -> bool:
        """Whether another run can add it."""
        return self.kind != "unable"


class BudgetCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One budget judged for one artifact on one target; `excess` is how far the value exceeds the limit, in SI."""

    budget: str
    artifact: str
    target: str
    metric: str
    unit: str
    limit: float
    estimate: Estimate
    verdict: Verdict
    excess: float | None = None

    @property
    def display_unit(self) -> str:
        """The unit in which value and excess are printed."""
        return "points" if self.unit == "ratio" and self.metric.endswith(DROP) else self.unit


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The verdict on one target: the chosen artifact, or why none was chosen."""

    target: str
    verdict: Verdict
    chosen: str | None = None
    reason: str = ""


class Epoch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One epoch of training. `metric` is the validation score, null without a validation split."""

    epoch: int
    attempt: int
    loss: float
    learning_rate: float
    metric: float | None
    wall_s: float


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a model was trained: every epoch in order, and the quality of the kept weights on the test split.

    `command` repeats the training, except for its folders; `wall_s` is the time of all epochs in seconds.
    """

    metric: str
    quality: Estimate
    floor: float | None
    epochs: tuple[Epoch, ...]
    command: str
    data: str
    seed: int
    wall_s: float


class BuildOrigin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a build was made from: the source and the options other than the defaults, as typed.

    `digests` are the sha256 of each file and folder: of code by its path in the folder of the source, of what an option
    names by the option. A folder has that of the names and contents in it, one of data sets that of names and sizes.
    """

    source: str
    options: dict[str, str] = {}
    digests: dict[str, str] = {}


class Report(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All results of one command. `stages` are wall times in seconds, in order.

    `facts` are those of each target before the first launch, `facts_after` those after the last one. `causes` explain
    unusual times; `unexplained` are observations without a cause. `training` is that of the weights, if edgekit trained
    them. `failures` are the recipes that could not be made; the verdict is then fail. `missing` was not measured.
    `origin` is that of a build, and `pictures` shows samples of it that are images. `input` is what calls from end to
    end began with.
    """

    command: str
    created: str
    spec: ModelSpec | None = None
    bundle: str = ""
    split: SplitFacts | None = None
    artifacts: tuple[Artifact, ...] = ()
    failures: tuple[RecipeFailure, ...] = ()
    parity: tuple[ParityCheck, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    latency: tuple[Latency, ...] = ()
    operators: tuple[Operators, ...] = ()
    sustained: tuple[Sustained, ...] = ()
    budgets: tuple[BudgetCheck, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    causes: tuple[Cause, ...] = ()
    unexplained: tuple[str, ...] = ()
    training: Training | None = None
    missing: tuple[Missing, ...] = ()
    facts: dict[str, Facts] = {}
    facts_after: dict[str, Facts] = {}
    tools: dict[str, str] = {}
    stages: dict[str, float] = {}
    warnings: tuple[str, ...] = ()
    verdict: Verdict = Verdict.PASS
    seed: int = 0
    reproduction: Reproduction | None = None
    origin: BuildOrigin | None = None
    pictures: Pictures | None = None
    input: str = ""
    schema_version: int = REPORT_SCHEMA

    @property
    def exit_code(self) -> int:
        """That of the verdict; that of a failed conversion if all that was made passes, 130 after Ctrl-C."""
        if any(one.kind == "interrupted" for one in self.missing):
            return Interrupted.exit_code
        judged = worst([parity_verdict(self.parity), *(one.verdict for one in self.outcomes)])
        if not self.failures or judged is Verdict.FAIL:
            return self.verdict.exit_code
        is_bug = any(one.exit_code == EdgekitError.exit_code for one in self.failures)
        return EdgekitError.exit_code if is_bug else ConversionFailed.exit_code

    def parity_of(self, artifact: str) -> Verdict:
        """The verdict of all parity checks of this artifact."""
        return parity_verdict(check for check in self.parity if check.artifact == artifact)


def parity_verdict(checks: Iterable[ParityCheck]) -> Verdict:
    """Fail if any check failed, inconclusive if an output of an artifact was judged by none, else pass.

    Checks that are inconclusive were not judged: the output has no values there, or the reference is unstable.
    """
    judged: dict[tuple[str, str], bool] = {}
    for check in checks:
        if check.verdict is Verdict.FAIL:
            return Verdict.FAIL
        key = check.artifact, check.output.partition("[...")[0]
        judged[key] = judged.get(key, False) or check.verdict is Verdict.PASS
    return Verdict.PASS if all(judged.values()) else Verdict.INCONCLUSIVE


class Placed(Protocol):
    """A row of a report about one artifact on one target."""

    @property
    def artifact(self) -> str:
        """The recipe."""

    @property
    def target(self) -> str:
        """The target as text."""


PlacedRow = TypeVar("PlacedRow", bound=Placed)


def cell(rows: Iterable[PlacedRow], artifact: str, target: object) -> tuple[PlacedRow, ...]:
    """The rows about one artifact on one target, in order: several if several sizes were measured."""
    where = artifact, str(target)
    return tuple(row for row in rows if (row.artifact, row.target) == where)

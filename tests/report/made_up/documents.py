"""Documents of the commands that have no report: plain, and with texts that try to be more than texts."""

from __future__ import annotations

import msgspec
from tests.report.made_up.factory import make_report
from tests.report.made_up.variants import HOSTILE

from edgekit.core.measurement import Launch, Measurement, Trust
from edgekit.core.reports.bisect import Aligned, BisectReport, RefusedOperator
from edgekit.core.reports.check import Change, Checked, CheckReport
from edgekit.core.reports.comparison import Compared, ComparisonReport, FileDifferences, OutputDifference
from edgekit.core.reports.report import Estimate, Latency, Missing
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.reports.sweep import SweepReport, SweptCombination, VersionVerdict
from edgekit.core.reports.tuning import Candidate, TuneReport
from edgekit.core.verdict import Verdict

Other = BisectReport | CheckReport | ComparisonReport | SweepReport | TuneReport
CREATED = "2026-03-02T09:41:00+00:00"


def reproduction(text: str = "digits") -> Reproduction:
    return Reproduction(arguments=("compare", text), commit="c0ffee", is_dirty=False, environment={"system": text})


def comparison(text: str = "onnx-int8") -> ComparisonReport:
    """B is slower on one target, and unknown on another one."""
    launches = tuple(Launch(place, (1e-3, 1.1e-3, 1.05e-3), (2e-3,)) for place in range(4))
    pair = Compared(
        f"pi5 {text}", f"{text} a", f"{text} b", Estimate(1.051, 1.042, 1.06, 8), 0.011, "slower", (text,),
        (1e-3,) * 8, (1.051e-3,) * 8, 2,
    )  # fmt: skip
    unknown = msgspec.structs.replace(pair, target="emulated", ratio=Estimate(None, reason=text), says="inconclusive")
    files = FileDifferences(
        size_a_bytes=155_000, size_b_bytes=44_700, operators_a={"Conv": 3, text: 1}, operators_b={"Conv": 2},
        outputs=(OutputDifference(text, 0.3, 47.0, 40.0, 1.0, 16),), reason=text,
    )  # fmt: skip
    sides = [Measurement(one.target, name, "latency", "s", launches) for one in (pair, unknown) for name in "ab"]
    return ComparisonReport(
        created=CREATED, a=f"{text} A", b=f"{text} B", minimum_effect=0.03, pairs=(pair, unknown),
        verdict=Verdict.FAIL, measurements=tuple(sides), files=files, tools={text: text},
        reproduction=reproduction(text),
    )  # fmt: skip


def checked(text: str = "digits") -> CheckReport:
    """Two models, of which one fails, with a figure that has a baseline."""
    change = Change("bytes", Estimate(155e3), Estimate(44.7e3), Estimate(-110.3e3))
    results = tuple(
        Checked(
            model=text, artifact=text, target=text, kind="budget", check=f"{text} {verdict.value}", verdict=verdict,
            metric="size", message=text, in_a_row=2, change=change,
        )
        for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)
    )  # fmt: skip
    report = make_report()
    other = msgspec.structs.replace(report, spec=None, bundle=text)
    return CheckReport(
        created=CREATED, config=text, commit=text, policy="pass", results=results, verdict=Verdict.FAIL,
        reports=(report, other), comparisons=comparison(text).pairs, warnings=(text,), tools={text: text},
        reproduction=reproduction(text),
    )  # fmt: skip


def tuned(text: str = "threads") -> TuneReport:
    """Three candidates, of which two are tied, and one that was refused."""

    def candidate(name: str, value: float, **more: object) -> Candidate:
        fields = {"launches": 8, "memory": Estimate(5e7), "size_bytes": 45_900, "drop": 0.001} | more
        latency = Estimate(value, 0.9 * value, 1.1 * value, 8)
        return msgspec.convert(
            {"artifact": name, "backend": text, "options": {text: text}, "latency": latency, **fields}, Candidate
        )

    best = candidate(f"{text} a", 1e-5, is_tied=True, is_efficient=True)
    refused = candidate(f"{text} d", 1e-5, refused=text)
    candidates = (best, candidate(f"{text} b", 1.1e-5, is_tied=True), candidate(f"{text} c", 4e-5), refused)
    return TuneReport(
        bundle=text, target=f"local/{text}", device=text, candidates=candidates, chosen=best, launches=24,
        exhaustive=64, file=text, warnings=(text,), created=CREATED, tools={text: text},
        reproduction=reproduction(text),
    )  # fmt: skip


def swept(text: str = "kws") -> SweepReport:
    """Two models on two targets in two versions; one is slower, one has wrong outputs, one was not measured."""

    def combination(model: str, target: str, engine: str, p50: float | None) -> SweptCombination:
        median = {"p50": Estimate(p50, 0.98 * p50, 1.02 * p50, 5), "p90": Estimate(1.2 * p50)} if p50 else {}
        figures = (Estimate(0.02), Estimate(0.005), Estimate(5e7))
        latency = Latency(target, text, {}, median, *figures, Trust("B"), engine=engine)
        return SweptCombination(
            model=model, artifact=text, target=target, batch=1, engine=engine, key=text, launches=5, earlier=2,
            latency=latency if p50 else None, is_wrong=p50 is None,
        )  # fmt: skip

    a, b, target = f"{text} 1.25", f"{text} 1.26", f"local@threads={text}"
    combinations = (
        combination(f"{text} a", target, a, 1e-3), combination(f"{text} a", target, b, 1.2e-3),
        combination(f"{text} b", target, a, 2e-3), combination(f"{text} b", target, b, None),
        combination(f"{text} a", f"pi5 {text}", "", 9e-3),
    )  # fmt: skip
    slower = Compared(
        target, a, b, Estimate(1.2, 1.18, 1.22, 5), 0.01, "slower", (text,), (1e-3,) * 5, (1.2e-3,) * 5
    )  # fmt: skip
    return SweepReport(
        created=CREATED, file=f"{text}.toml", results=f"{text}.jsonl", minimum_effect=0.03, alpha=0.05, launched=15,
        combinations=combinations,
        verdicts=(VersionVerdict(model=f"{text} a", artifact=text, batch=1, compared=slower),), verdict=Verdict.FAIL,
        missing=(Missing(text, f"pi5 {text}", "away", text, text),), tools={text: text},
        reproduction=reproduction(text),
    )  # fmt: skip


def bisected(text: str = "conv") -> BisectReport:
    """The third tensor is out of tolerance; an input is exact."""
    errors = (0.0, 1e-7, 0.5, 0.04)
    aligned = tuple(
        Aligned(
            f"{text} {place}", f"{text} b{place}", text, f"{text} b", text, error, error, "sqnr", 40.0, 20.0,
            error < 0.1, error, (text,),
        )
        for place, error in enumerate(errors)
    )  # fmt: skip
    return BisectReport(
        path=text, a=f"{text} A", b=f"{text} B", case=text, runs=4, aligned=aligned, first=2, most=3,
        missing=(text,), narrow={text: 0.05}, only_a=1, created=CREATED, tools={text: text},
        reproduction=reproduction(text),
    )  # fmt: skip


def refused(text: str = "view") -> BisectReport:
    """One side does not run: nothing is aligned."""
    stop = RefusedOperator(text, text, text, text, (text,))
    return BisectReport(path=text, a=text, b=text, case=text, runs=1, aligned=(), refused=stop)


DOCUMENTS = {make.__name__: make for make in (comparison, checked, tuned, swept, bisected, refused)}
EVERY = {f"{name} {kind}": (make, text) for name, make in DOCUMENTS.items() for kind, text in
         (("plain", ""), ("hostile", HOSTILE))}  # fmt: skip


def every(name: str) -> Other:
    """The document called `name` in `EVERY`."""
    make, text = EVERY[name]
    return make(text) if text else make()

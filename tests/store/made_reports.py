"""Reports as commands make them, with figures that a test chooses."""

from __future__ import annotations

from edgekit.core.bundle import Artifact
from edgekit.core.facts import Facts
from edgekit.core.measurement import Launch, Measurement, Trust
from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.reports.comparison import Compared, ComparisonReport
from edgekit.core.reports.report import BudgetCheck, Estimate, Latency, Outcome, Report
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.reports.sweep import SweepReport, SweptCombination, SweptModel, VersionVerdict
from edgekit.core.reports.tuning import Candidate, TuneReport
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.verdict import Verdict


def when(day: int) -> str:
    """A time of its own for each day from 2026-01-01 on, as reports write it."""
    return f"2026-{1 + day // 28:02}-{1 + day % 28:02}T12:00:00+00:00"


def profiled(day: int = 0, *, model: str = "kws", target: str = "pi5", p50_s: float = 3e-3, branch: str = "") -> Report:
    """A report of `profile`: one artifact, three launches, one budget that passes."""
    values = (p50_s - 1e-5, p50_s, p50_s + 1e-5)
    launches = tuple(Launch(order, (value,) * 5, (2 * value,)) for order, value in enumerate(values))
    inputs = (TensorSpec("x", "float32", ("N", 4)),)
    return Report(
        command="profile",
        created=when(day),
        spec=ModelSpec(model, "classification", inputs, (TensorSpec("y", "float32", ("N", 2)),)),
        bundle=f"{model}-bundle",
        artifacts=(Artifact("onnx-fp32", "m.onnx", "onnx", "fp32", 1234, "a" * 64, "b" * 64, inputs, ()),),
        measurements=(Measurement(target, "onnx-fp32", "latency", "s", launches, {"N": 1}),),
        latency=(
            Latency(
                target,
                "onnx-fp32",
                {"N": 1},
                {"p50": Estimate(p50_s, p50_s * 0.99, p50_s * 1.01, 3), "p90": Estimate(p50_s * 1.2)},
                Estimate(0.02),
                Estimate(0.005),
                Estimate(3e6),
                Trust("B"),
                engine="onnxruntime 1.25",
                provider="cpu",
            ),
        ),
        budgets=(
            BudgetCheck(
                "latency.p50 <= 5 ms", "onnx-fp32", target, "latency", "s", 5e-3, Estimate(p50_s), Verdict.PASS
            ),
        ),
        outcomes=(Outcome(target, Verdict.PASS, "onnx-fp32"),),
        facts={target: Facts("Linux", "aarch64", "Cortex-A76", 4, memory_bytes=2**32, engines={"onnxruntime": "1.25"})},
        tools={"edgekit": "0.1.0"},
        reproduction=Reproduction(commit=f"{day:040x}", branch=branch),
    )


def checked(day: int = 0) -> CheckReport:
    """A report of `check` on two models, of which one misses its baseline."""
    missed = Checked(
        model="vad",
        artifact="onnx-fp32",
        target="pi5",
        kind="baseline",
        check="latency",
        verdict=Verdict.FAIL,
        unit="1",
        estimate=Estimate(1.2),
    )
    return CheckReport(
        created=when(day),
        config="edgekit.toml",
        commit=f"{day:040x}",
        policy="pass",
        results=(missed,),
        verdict=Verdict.FAIL,
        reports=(profiled(day), profiled(day, model="vad", p50_s=1e-3)),
    )


def compared(day: int = 0) -> ComparisonReport:
    """A report of `compare` in which B is slower."""
    ratio = Estimate(1.1, 1.09, 1.11, 5)
    pair = Compared("pi5", "a.onnx", "b.onnx", ratio, 0.01, "slower", (), (1.0e-3, 1.2e-3), (1.1e-3, 1.3e-3))
    return ComparisonReport(
        created=when(day), a="a.onnx", b="b.onnx", minimum_effect=0.03, pairs=(pair,), verdict=Verdict.FAIL
    )


def tuned(day: int = 0) -> TuneReport:
    """A report of `tune` with one candidate, which is chosen."""
    best = Candidate(
        artifact="onnx-int8",
        backend="onnxruntime",
        options={"threads": "2"},
        launches=4,
        latency=Estimate(2e-3, 1.9e-3, 2.1e-3, 4),
        memory=Estimate(4e6),
        size_bytes=900,
    )
    return TuneReport(
        bundle="kws-bundle",
        target="pi5",
        device="pi5",
        candidates=(best,),
        chosen=best,
        launches=4,
        exhaustive=40,
        created=when(day),
    )


def swept(
    day: int = 0, *, model: str = "kws", p50_s: float = 3e-3, engines: tuple[str, ...] = ("1.25", "1.26")
) -> SweepReport:
    """A report of `sweep`: a model on two threads in versions of ONNX Runtime, of which the last one is 10 % slower."""
    of, target = profiled(day, model=model), "local@threads=2"
    medians = {engine: (p50_s * 1.1 if engine == engines[-1] else p50_s,) * 3 for engine in engines}
    combinations = tuple(
        SweptCombination(
            model=f"nets/{model}",
            artifact="onnx-fp32",
            target=target,
            batch=1,
            engine=f"onnxruntime=={engine}",
            key=engine,
            launches=3,
            earlier=0,
            latency=Latency(
                target,
                "onnx-fp32",
                {"N": 1},
                {"p50": Estimate(medians[engine][0], 2.9e-3, 3.4e-3, 3), "p90": Estimate(4e-3)},
                Estimate(0.02),
                Estimate(0.005),
                Estimate(3e6),
                Trust("B"),
                engine=f"onnxruntime {engine}",
                provider="cpu",
            ),
            medians=medians[engine],
        )
        for engine in engines
    )
    pair = Compared(
        target,
        f"onnxruntime=={engines[0]}",
        f"onnxruntime=={engines[-1]}",
        Estimate(1.1, 1.09, 1.11, 3),
        0.01,
        "slower",
        (),
        medians[engines[0]],
        medians[engines[-1]],
        sizes={"N": 1},
    )
    return SweepReport(
        created=when(day),
        file="sweep.toml",
        results="sweep.jsonl",
        minimum_effect=0.03,
        alpha=0.05,
        launched=6,
        combinations=combinations,
        verdicts=(VersionVerdict(model=f"nets/{model}", artifact="onnx-fp32", batch=1, compared=pair),),
        verdict=Verdict.FAIL,
        models=(SweptModel(model=f"nets/{model}", spec=of.spec, artifacts=of.artifacts),) if of.spec else (),
        facts={"local": of.facts["pi5"]},
        reproduction=of.reproduction,
    )

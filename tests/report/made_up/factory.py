"""Reports with the shape of real ones: 4 artifacts, 2 targets, 6 launches of about 300 values, from a seed."""

from __future__ import annotations

from functools import cache

import numpy as np

from edgekit.core.bundle import Artifact, Signature
from edgekit.core.facts import Facts
from edgekit.core.measurement import Launch, Measurement, Trust
from edgekit.core.reports.report import (
    Accuracy,
    BudgetCheck,
    Estimate,
    Latency,
    Outcome,
    ParityCheck,
    Report,
)
from edgekit.core.samples import SplitFacts
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.statistics.intervals import launch_interval, launch_quantiles, paired_drop, wilson
from edgekit.core.verdict import Verdict

INPUT = TensorSpec("x", "float32", ("N", 1, 8, 8), 0.0, 1.0)
OUTPUT = TensorSpec("logits", "float32", ("N", 10))
LOCAL, PI = "local", "pi5/onnxruntime@threads=4"
SAMPLES = 360
# Recipe: size in bytes, typical latency on LOCAL and PI in seconds, correct of SAMPLES (the reference has 356).
ARTIFACTS = {
    "onnx-fp32": (233_812, 118e-6, 402e-6, 356),
    "onnx-int8-static-u8s8": (66_418, 71e-6, 251e-6, 355),
    "tflite-fp32": (230_164, 162e-6, 488e-6, 356),
    "tflite-int8-static": (61_304, 94e-6, 197e-6, 354),
}
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@cache
def make_report(*, budget_s: float = 300e-6, launches: int = 6, seed: int = 0) -> Report:
    rng = np.random.default_rng(seed)
    measurements = tuple(
        _measurement(rng, target, name, figures[1 + place], launches)
        for place, target in enumerate((LOCAL, PI))
        for name, figures in ARTIFACTS.items()
    )
    latency = tuple(map(_latency, measurements))
    budgets = tuple(check for entry in latency for check in _budgets(entry, budget_s))
    outcomes = tuple(_outcome(target, budgets, latency) for target in (LOCAL, PI))
    return Report(
        command="build",
        created="2026-03-02T09:41:00+00:00",
        spec=ModelSpec("digits", "classification", (INPUT,), (OUTPUT,), "8x8 digits", metric=Metric("accuracy", 0.985)),
        bundle="out/digits",
        split=SplitFacts("scikit-learn digits", 1797, 300, SAMPLES, seed, "c" * 64, "e" * 64, labelled=True),
        artifacts=tuple(map(_artifact, ARTIFACTS)),
        parity=tuple(check for name in ARTIFACTS for check in _parity(rng, name)),
        accuracy=tuple(map(_accuracy, ARTIFACTS)),
        measurements=measurements,
        latency=latency,
        budgets=budgets,
        outcomes=outcomes,
        facts={LOCAL: _facts_local(), PI: _facts_pi()},
        tools={"edgekit": "0.1.0", "torch": "2.13.0", "onnxruntime": "1.31.1", "ai-edge-litert": "2.1.6"},
        stages={"load": 2.41, "export": 21.7, "validate": 3.2, "profile": 18.9},
        warnings=("ai-edge-quantizer left 'conv_transpose' in float32.",),
        verdict=max((one.verdict for one in outcomes), key=[Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL].index),
        seed=seed,
    )


def _measurement(rng: np.random.Generator, target: str, name: str, typical_s: float, launches: int) -> Measurement:
    spread = 0.004 if target == LOCAL else 0.03
    made = []
    for order in range(launches):
        level = typical_s * np.exp(rng.normal(0, spread))
        values = level * np.exp(np.abs(rng.normal(0, 0.03, int(rng.integers(300, 321)))))
        values[rng.integers(0, len(values), 3)] *= rng.uniform(1.5, 4, 3)
        warmups = level * (1 + 3 * np.exp(-np.arange(12) / 3)) * np.exp(np.abs(rng.normal(0, 0.05, 12)))
        disturbed = target == PI and order == 3
        made.append(
            Launch(
                order,
                tuple(map(float, values)),
                tuple(map(float, warmups)),
                float(rng.uniform(4e-3, 5e-3)),
                float(level * 20),
                int(rng.integers(31_000_000, 33_000_000)),
                disturbed,
                ("0.14 involuntary context switches per call",) if disturbed else (),
            )
        )
    return Measurement(target, name, "latency", "s", tuple(made), {"N": 1})


def _latency(measurement: Measurement) -> Latency:
    on_pi = measurement.target == PI
    return Latency(
        measurement.target,
        measurement.artifact,
        measurement.sizes,
        {name: estimate_of(measurement, quantile) for name, quantile in QUANTILES.items()},
        _over([launch.load_s for launch in measurement.launches]),
        _over([launch.first_run_s for launch in measurement.launches]),
        _over([launch.peak_memory_bytes for launch in measurement.launches]),
        Trust("B", ("1 of 6 launches were disturbed",), "Stop other work on the device.") if on_pi else Trust("A"),
        "onnxruntime" if measurement.artifact.startswith("onnx") else "litert",
        "onnxruntime 1.31.1" if measurement.artifact.startswith("onnx") else "litert 2.1.6",
        "cpu",
    )


def estimate_of(measurement: Measurement, quantile: float) -> Estimate:
    values = launch_quantiles(measurement.launch_values, quantile)
    if values is None:
        return Estimate(None, reason=f"{len(measurement.launches)} launches, 5 are needed")
    return _over(values)


def _over(values: object) -> Estimate:
    found = launch_interval(list(values))  # type: ignore[call-overload]  # any sequence of floats
    return Estimate(found.value, found.low, found.high, found.n)


def _budgets(latency: Latency, limit_s: float) -> list[BudgetCheck]:
    p90 = latency.quantiles["p90"]
    size = ARTIFACTS[latency.artifact][0]
    drop = _accuracy(latency.artifact).drop
    return [
        check(f"latency.p90 <= {limit_s * 1e6:g} us", latency, "latency", "s", limit_s, p90),
        check("size <= 100 kB", latency, "size", "bytes", 100e3, Estimate(size, size, size, 1)),
        check("accuracy.drop <= 2 pt", latency, "accuracy.drop", "ratio", 0.02, drop),
    ]


def check(text: str, latency: Latency, metric: str, unit: str, limit: float, found: Estimate) -> BudgetCheck:
    verdict, excess = Verdict.INCONCLUSIVE, None
    if found.value is not None and found.low is not None and found.high is not None:
        excess = found.value - limit
        verdict = Verdict.PASS if found.high <= limit else Verdict.FAIL if found.low > limit else verdict
    return BudgetCheck(text, latency.artifact, latency.target, metric, unit, limit, found, verdict, excess)


def _outcome(target: str, budgets: tuple[BudgetCheck, ...], latency: tuple[Latency, ...]) -> Outcome:
    passing = [
        entry
        for entry in latency
        if entry.target == target
        and all(
            one.verdict is Verdict.PASS for one in budgets if (one.target, one.artifact) == (target, entry.artifact)
        )
    ]
    if passing:
        fastest = min(passing, key=lambda entry: entry.quantiles["p50"].value or np.inf)
        return Outcome(target, Verdict.PASS, fastest.artifact)
    return Outcome(target, Verdict.FAIL, None, "no artifact meets every budget; the closest is 'tflite-int8-static'")


def _artifact(name: str) -> Artifact:
    is_onnx = name.startswith("onnx")
    return Artifact(
        recipe=name,
        file=f"{name}.{name.split('-', maxsplit=1)[0]}",
        format=name.split("-", maxsplit=1)[0],
        precision=name.split("-")[1],
        size_bytes=ARTIFACTS[name][0],
        sha256="ab12" * 16,
        id="cd34" * 16,
        inputs=(INPUT,),
        outputs=(OUTPUT,),
        opset=18 if is_onnx else None,
        layout="NCHW" if is_onnx else "NHWC",
        signatures=() if is_onnx else (Signature("serving_default", {"N": 1}), Signature("n8", {"N": 8})),
        record={
            "recipe": name,
            "options": {"per_channel": True, "calibration": {"method": "minmax", "samples": 300}},
            "tools": {"onnxruntime": "1.31.1"} if is_onnx else {"litert-torch": "0.10.0"},
        },
        warnings=("2 of 5 Conv weights saturate.",) if name.endswith("u8s8") else (),
    )


def _parity(rng: np.random.Generator, name: str) -> list[ParityCheck]:
    is_int8 = "int8" in name
    where = "onnxruntime" if name.startswith("onnx") else "litert"
    checks = []
    for batch in (1, 2, 5):
        off, sqnr = float(rng.uniform(1e-6, 9e-6)), float(rng.uniform(27, 38))
        kind, value, limit = ("sqnr", sqnr, 20.0) if is_int8 else ("difference", off, 1.7e-3)
        checks.append(
            ParityCheck(
                name, where, f"batch {batch}", "logits", kind, value, limit, Verdict.PASS,
                off, off / 4, sqnr, 7, 32,
            )
        )  # fmt: skip
    if is_int8:
        agreement = 357 / 360
        checks.append(
            ParityCheck(
                name, where, "all samples", "logits", "agreement", agreement, 0.98, Verdict.PASS, sample=7, samples=360
            )
        )
    return checks


def _accuracy(name: str) -> Accuracy:
    right = ARTIFACTS[name][3]
    reference, own = np.arange(SAMPLES) < 356, np.arange(SAMPLES) < right
    drop = paired_drop(reference, own)
    return Accuracy(
        name,
        "onnxruntime" if name.startswith("onnx") else "litert",
        "accuracy",
        _share(right),
        _share(356),
        Estimate(drop.value, drop.low, drop.high, drop.n),
        drop.detectable,
    )


def _share(right: int) -> Estimate:
    found = wilson(right, SAMPLES)
    return Estimate(found.value, found.low, found.high, found.n)


def _facts_local() -> Facts:
    return Facts(
        system="Linux 6.1.0 x86_64",
        architecture="x86_64",
        cpu="Intel Xeon @ 2.80GHz",
        cores=2,
        features=("x86_64", "avx2", "avx512_vnni"),
        memory_bytes=25_276_502_016,
        load=0.42,
        engines={"onnxruntime": "1.31.1", "litert": "2.1.6"},
        missing={
            "governor": "no cpufreq in this guest",
            "clock_hz": "no cpufreq in this guest",
            "temperature_c": "no thermal zone",
            "throttled": "no thermal_throttle counters",
        },
    )


def _facts_pi() -> Facts:
    return Facts(
        system="Raspberry Pi OS 12, Linux 6.6.31 aarch64",
        architecture="aarch64",
        cpu="Cortex-A76",
        cores=4,
        features=("aarch64", "asimddp", "fphp"),
        memory_bytes=8_324_055_040,
        governor="performance",
        clock_hz=2.4e9,
        temperature_c=51.6,
        throttled=False,
        load=0.08,
        engines={"onnxruntime": "1.31.1"},
    )

"""Every figure that has a goal, in the order of the table."""

from __future__ import annotations

from typing import Final

from benchmarks.figures.figure import Benchmark, Figure

# One line a benchmark: a figure may share one with others.
NIGHTS: Final = Benchmark("benchmarks.gate.nights {data}/latency_series", 3)
OUTBREAKS: Final = Benchmark("benchmarks.gate.outbreaks {data}/latency_series", 0.2)
COMPARISONS: Final = Benchmark("benchmarks.gate.campaign", 20)
TWO_THREADS: Final = Benchmark(
    "benchmarks.gate.campaign --target local@threads=2 --rows benchmarks/gate/rows-2-threads.jsonl", 20
)
TUNING: Final = Benchmark("benchmarks.tuning.campaign --data {data}", 240)
ARTIFACTS: Final = Benchmark("benchmarks.figures.artifact_speed", 5)
STEADY: Final = Benchmark("benchmarks.simulations.warmups", 0.5)
HARD_KINDS: Final = Benchmark("benchmarks.simulations hard", 0.5)
PROFILE_COST: Final = Benchmark("benchmarks.profile_cost", 5)
OVERHEAD: Final = Benchmark("benchmarks.runtime_overhead", 1)
STARTUP: Final = Benchmark("benchmarks.startup", 0.5)
INSTALL_SIZE: Final = Benchmark("benchmarks.install_size", 2)
EXPORT_TIME: Final = Benchmark("benchmarks.export_time", 10)
ZOO_TIMES: Final = Benchmark("benchmarks.zoo.times unet bert crnn-ctc keypoints-simcc timm-vit bilstm-tagger", 20)
TRAINING: Final = Benchmark("benchmarks.train_overhead --data {data}", 3)
DEPLOYED: Final = Benchmark("benchmarks.deploy_start", 1)
FLEET_LAUNCH: Final = Benchmark("benchmarks.fleet.remote_hosts overhead", 0.5)
FLEET_SCALE: Final = Benchmark("benchmarks.fleet.remote_hosts scale", 1)
FLEET_SWEEP: Final = Benchmark("benchmarks.fleet.remote_hosts sweep", 3)
DEVICES: Final = Benchmark("benchmarks.fleet.several_devices", 3)
DASHBOARD: Final = Benchmark("benchmarks.dashboard", 2)
SUITE: Final = Benchmark("benchmarks.figures.suite_time", 20)

_ALL: Final = (
    Figure("gate.false_alarms", "false alarms of the gate in 1,000 quiet nights", 0.7, "", NIGHTS),
    Figure("gate.found_3", "steps of +3 % that the gate finds", 60, "%", NIGHTS, is_least=True),
    Figure("gate.found_5", "steps of +5 % that the gate finds", 92, "%", NIGHTS, is_least=True),
    Figure("gate.found_10", "steps of +10 % that the gate finds", 98.5, "%", NIGHTS, is_least=True),
    Figure("gate.measurements", "measurements of the gate a night", 1.1, "", NIGHTS),
    Figure(
        "gate.one_event",
        "nights of 20 in which a real regression on several devices is one event `code`",
        20,
        "",
        OUTBREAKS,
        is_least=True,
    ),
    Figure("compare.false", "false verdicts of `compare` in 100 comparisons of equal models", 1, "", COMPARISONS),
    Figure("compare.found", "regressions of 5 % that `compare` finds, of 40", 40, "", COMPARISONS, is_least=True),
    Figure(
        "compare.found_2_threads",
        "the same with two threads next to a busy process, of 20",
        19,
        "",
        TWO_THREADS,
        is_least=True,
    ),
    Figure("warmup.found", "warm-ups whose end is found within a tenth, worst of 4 kinds", 95, "%", STEADY, True),
    Figure(
        "interval.slow_launches",
        "95 % intervals of 5 launches that cover the truth where 3 of 10 launches are 15 % slower",
        93,
        "%",
        HARD_KINDS,
        is_least=True,
    ),
    Figure(
        "precision.cost",
        "`profile --precision 1%` against calls in one process, geometric mean of 3 nets",
        4.0,
        "x",
        PROFILE_COST,
    ),
    Figure("choice.changes", "two runs of `build` on a noisy machine that choose different artifacts", 5, "%", None),
    Figure("arrivals.loadgen", "difference from the SingleStream percentile of MLPerf LoadGen", 3, "%", None),
    Figure("tune.near_best", "models of 7 for which `tune` is within 5 % of the best", 7, "", TUNING, is_least=True),
    Figure("tune.launches", "launches of `tune` against measuring everything, the largest share", 30, "%", TUNING),
    Figure("tune.least_gain", "gain over the default, the least of 7 models", 1.0, "x", TUNING, is_least=True),
    Figure("tune.gain", "gain over the default, geometric mean of 7 models", 1.82, "x", TUNING, is_least=True),
    Figure(
        "artifact.fp32_slowest", "latency of `onnx-fp32` against the plain script's, worst net", 1.0, "x", ARTIFACTS
    ),
    Figure("artifact.fp32_gain", "how much faster, geometric mean over nets", 1.05, "x", ARTIFACTS, is_least=True),
    Figure(
        "artifact.int8_slowest", "latency of `onnx-int8` against the plain script's, worst net", 1.0, "x", ARTIFACTS
    ),
    Figure("artifact.int8_gain", "how much faster, geometric mean over nets", 1.05, "x", ARTIFACTS, is_least=True),
    Figure("call.run", "`Session.run` beyond the call of ONNX Runtime", 1.0, "µs", OVERHEAD),
    Figure("call.bind", "a call of `Session.bind`", 4.3, "µs", OVERHEAD),
    Figure("call.litert", "`Session.run` of a `.tflite`", 2.5, "µs", OVERHEAD),
    Figure("call.lock", "what keeps threads apart in LiteRT", 0.3, "µs", OVERHEAD),
    Figure("call.predict", "`predict` beyond its parts", 10, "µs", OVERHEAD),
    Figure("call.large", "`Session.run` of a call above 100 µs against ONNX Runtime", 1.02, "x", OVERHEAD),
    Figure("memory.api", "peak memory of `edgekit.load` beyond a bare script", 4, "MB", OVERHEAD),
    Figure("memory.run", "peak memory of `edgekit run` beyond a bare script", 15, "MB", OVERHEAD),
    Figure("process.run", "CPU time of `edgekit run` against a bare script", 1.25, "x", OVERHEAD),
    Figure("start.help", "`edgekit --help` against `python -c pass`, whole processes", 6.0, "x", STARTUP),
    Figure(
        "start.deployed", "a deployed C program against the bare runner, upper end of the interval", 1.1, "x", DEPLOYED
    ),
    Figure("install.size", "installation with the extra `cpu`, without byte code", 125, "MB", INSTALL_SIZE),
    Figure("install.packages", "packages of an installation with the extra `cpu`", 13, "", INSTALL_SIZE),
    Figure("export.time", "`export` of 4 artifacts against plain scripts, slower of 2 nets", 1.0, "x", EXPORT_TIME),
    Figure("export.peak", "largest process of `export` against the scripts', `mobilenetv2`", 1.0, "x", EXPORT_TIME),
    Figure("export.time_zoo", "`export` against plain scripts, median over networks of the zoo", 1.0, "x", ZOO_TIMES),
    Figure("train.overhead", "an epoch of `mnist` against a plain loop of PyTorch", 1.05, "x", TRAINING),
    Figure("fleet.launch", "a launch through a fleet beyond one without", 20, "ms", FLEET_LAUNCH),
    Figure(
        "fleet.scale", "launches of four hosts against four times those of one", 90, "%", FLEET_SCALE, is_least=True
    ),
    Figure("fleet.repeated", "launches repeated after a host and the scheduler were killed", 0, "", FLEET_SWEEP),
    Figure("devices.four", "`profile` on four devices against one", 1.15, "x", DEVICES),
    Figure("dashboard.page", "slowest page of the dashboard with 100,000 runs", 0.3, "s", DASHBOARD),
    Figure("tests.fast", "`make test-fast` on two cores", 60, "s", SUITE),
    Figure("tests.all", "`make test` on two cores", 12, "min", SUITE),
    Figure("tests.failed_busy", "tests that fail at a load of 10", 0, "", None),
)
FIGURES: Final = {figure.key: figure for figure in _ALL}

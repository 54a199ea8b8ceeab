"""Reports of every kind: passed, failed, undecided, emulated, without latency, with hostile names, and so on."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.report.made_up.factory import LOCAL, PI, make_report

from edgekit.core.facts import Facts
from edgekit.core.job import OperatorTime
from edgekit.core.measurement import Trust
from edgekit.core.reports.explain import Cause
from edgekit.core.reports.report import (
    EndToEnd,
    Epoch,
    Estimate,
    Latency,
    Operators,
    Outcome,
    ParityCheck,
    RecipeFailure,
    Report,
    Training,
)
from edgekit.core.reports.sustained import Sustained, SustainedPoint
from edgekit.core.verdict import Verdict

HOSTILE = '<script>alert(1)</script>"`|&\x1b[31m\u202e\n**@everyone**'
WITHHELD = "tflite-int8-static"
replace = msgspec.structs.replace


def passed() -> Report:
    return make_report()


def failed() -> Report:
    """No artifact is fast enough anywhere."""
    return make_report(budget_s=1e-6)


def undecided() -> Report:
    """The interval of the chosen artifact straddles its limit on the second target."""
    report = make_report(budget_s=262e-6)
    outcome = Outcome(PI, Verdict.INCONCLUSIVE, None, "no artifact meets every budget")
    return replace(report, outcomes=(report.outcomes[0], outcome), verdict=Verdict.INCONCLUSIVE)


def parity_failed() -> Report:
    """One artifact is wrong everywhere; its times are still in the document, as an untidy flow might leave them."""
    report = make_report()
    bad = ParityCheck(
        WITHHELD,
        "litert",
        "batch 5",
        "logits",
        "sqnr",
        3.1,
        20.0,
        Verdict.FAIL,
        4.2,
        1.1,
        3.1,
        7,
        32,
        "one row differs",
    )
    outcomes = tuple(replace(one, verdict=Verdict.FAIL) for one in report.outcomes)
    return replace(report, parity=(*report.parity, bad), outcomes=outcomes, verdict=Verdict.FAIL)


def parity_failed_there() -> Report:
    """One artifact is wrong on the second target only."""
    report = parity_failed()
    return replace(
        report, parity=tuple(replace(one, where=PI) if one.verdict is Verdict.FAIL else one for one in report.parity)
    )


def emulated() -> Report:
    """The second target is an emulator."""
    report = make_report()
    return replace(
        report,
        measurements=tuple(replace(one, emulated=one.target == PI) for one in report.measurements),
        latency=tuple(_emulated(one) if one.target == PI else one for one in report.latency),
        facts=report.facts | {PI: replace(report.facts[PI], emulated=True)},
    )


def counted() -> Report:
    """The second target is an emulator that counts instructions."""
    report = emulated()
    counts = Estimate(467_729.0, n=10)
    return replace(
        report, latency=tuple(replace(one, instructions=counts) if one.target == PI else one for one in report.latency)
    )


def few_launches() -> Report:
    """Three launches support no quantile at all."""
    report = make_report()
    none = Estimate(None, reason="3 launches, 5 are needed")
    return replace(
        report,
        measurements=tuple(replace(one, launches=one.launches[:3]) for one in report.measurements),
        latency=tuple(replace(one, quantiles={"p50": none}) for one in report.latency),
        budgets=(),
    )


def validated() -> Report:
    """What `validate` finds out: no latency, no budgets."""
    report = make_report()
    return replace(
        report,
        command="validate",
        measurements=(),
        latency=(),
        budgets=(),
        facts={},
        stages={},
        outcomes=(Outcome(LOCAL, Verdict.PASS),),
    )


def bare() -> Report:
    """What `profile` finds out of a bare model file: no spec, no parity, no accuracy."""
    report = make_report()
    return replace(
        report, command="profile", spec=None, bundle="net.onnx", parity=(), accuracy=(), budgets=(), split=None
    )


def unlabelled() -> Report:
    """Samples without labels have no accuracy, with the reason."""
    report = make_report()
    none = Estimate(None, reason="the samples have no labels")
    return replace(
        report,
        accuracy=tuple(
            replace(one, quality=none, reference=none, drop=none, detectable=None) for one in report.accuracy
        ),
        budgets=tuple(one for one in report.budgets if one.metric != "accuracy.drop"),
    )


def regression() -> Report:
    """A model whose quality is an error."""
    report = make_report()
    figure = Estimate(0.0312, 0.0301, 0.0324, 360)
    return replace(
        report,
        accuracy=tuple(
            replace(one, metric="mae", quality=figure, reference=figure, drop=Estimate(-0.0004, -0.0011, 0.0003, 360))
            for one in report.accuracy
        ),
        budgets=(),
    )


def several_sizes() -> Report:
    """Every artifact was measured at two batch sizes."""
    report = make_report()
    eight = {"N": 8}
    return replace(
        report,
        measurements=(*report.measurements, *(replace(one, sizes=eight) for one in report.measurements)),
        latency=(*report.latency, *(replace(one, sizes=eight) for one in report.latency)),
    )


def many() -> Report:
    """More artifacts than colours, with long names, on targets with long names."""
    report = make_report()
    names = {
        one.recipe: f"{one.recipe}-of-a-network-with-a-rather-long-name-{place}"
        for place, one in enumerate(report.artifacts)
    }
    renamed = _renamed(report, names)
    extra = [_renamed(report, {one.recipe: f"{one.recipe}-{place}" for one in report.artifacts}) for place in range(3)]
    parts = {
        part: tuple(entry for one in (renamed, *extra) for entry in getattr(one, part))
        for part in ("artifacts", "parity", "accuracy", "measurements", "latency", "budgets")
    }
    return replace(renamed, **parts)


def hostile() -> Report:
    """Every text that comes from outside tries to be something else."""
    report = make_report()
    renamed = _renamed(report, {one.recipe: f"{one.recipe}{HOSTILE}" for one in report.artifacts})
    assert renamed.spec is not None
    return replace(
        renamed,
        command=HOSTILE,
        created=HOSTILE,
        bundle=HOSTILE,
        spec=replace(renamed.spec, name=HOSTILE, summary=HOSTILE),
        warnings=(HOSTILE,),
        tools={HOSTILE: HOSTILE},
        stages={HOSTILE: 1.0},
        facts={LOCAL: Facts(system=HOSTILE, cpu=HOSTILE, missing={HOSTILE: HOSTILE}, engines={HOSTILE: HOSTILE})},
        outcomes=tuple(replace(one, reason=HOSTILE, chosen=f"onnx-fp32{HOSTILE}") for one in renamed.outcomes),
        budgets=tuple(replace(one, budget=HOSTILE, target=f"{one.target}{HOSTILE}") for one in renamed.budgets),
        parity=tuple(
            replace(one, where=HOSTILE, case=HOSTILE, output=HOSTILE, reason=HOSTILE, verdict=Verdict.INCONCLUSIVE)
            for one in renamed.parity
        ),
        accuracy=tuple(replace(one, metric=HOSTILE) for one in renamed.accuracy),
        latency=tuple(
            replace(
                one, trust=Trust(HOSTILE, (HOSTILE,), HOSTILE), engine=HOSTILE, provider=HOSTILE, sizes={HOSTILE: 1}
            )
            for one in renamed.latency
        ),
    )


def deep(text: str = "layers too small") -> Report:
    """With operators, sustained load, energy and causes; one target has told nothing."""
    report = make_report()
    times = tuple(OperatorTime(f"{text}{place}", "Conv" if place % 2 else text, "cpu", 1e-6) for place in range(5))
    points = tuple(
        SustainedPoint(10.0 * place, 1e-4 * (1 + place / 50), 9, 40.0 + place, 2e9, place > 7) for place in range(16)
    )
    loads = (
        Sustained(LOCAL, "onnx-fp32", {"N": 1}, points, 0.25, 0.2, 0.3),
        Sustained(PI, text, {}, points[:1], reason=text),
    )
    return replace(
        report,
        operators=(Operators(LOCAL, "onnx-fp32", {"N": 1}, times), Operators(PI, "onnx-fp32", {"N": 1}, ())),
        sustained=loads,
        causes=(Cause(text, "onnx-fp32", LOCAL, text, (text, text), text),),
        unexplained=(text,),
        latency=tuple(
            replace(one, energy=Estimate(2e-4, 1e-4, 3e-4, 6), throughput=Estimate(1e4)) for one in report.latency
        ),
    )


def hostile_depths() -> Report:
    """Every text of operators, load and causes tries to be more than a text."""
    return deep(HOSTILE)


def trained(name: str = "digits") -> Report:
    """A training of two attempts, and nothing else."""
    epochs = tuple(
        Epoch(epoch, attempt, 2.0 / epoch**2, 1e-3 / epoch, 0.9 + epoch / 1000, 1.5 * epoch)
        for attempt in (0, 1)
        for epoch in range(1, 13)
    )
    quality = Estimate(0.991, 0.98, 0.995, 450)
    training = Training(
        metric="accuracy", quality=quality, floor=0.985, epochs=epochs, command=name, data=name, seed=0, wall_s=36.0
    )
    return replace(empty(), command="train", training=training, spec=make_report().spec)


def hostile_training() -> Report:
    """Its texts try to be more than texts, and it has one epoch without a metric."""
    report = trained(HOSTILE)
    assert report.training is not None
    one = replace(report.training.epochs[0], metric=None)
    return replace(report, training=replace(report.training, epochs=(one,)))


def not_made(text: str = "the converter crashed") -> Report:
    """Two recipes could not be made, for one reason; everything else passes."""
    failures = tuple(
        RecipeFailure(name, "ConversionFailed", text, "edgekit doctor") for name in ("onnx-fp16", "tflite-fp16")
    )
    return replace(make_report(), failures=failures, verdict=Verdict.FAIL)


def hostile_failure() -> Report:
    """The reason tries to be more than a text."""
    return not_made(HOSTILE)


def whole_calls() -> Report:
    """Calls from a file to a prediction on this machine; one artifact has no p95, and the file tries to be a script."""
    report = make_report()
    seen, none = Estimate(0.0031, 0.0030, 0.0032, 6), Estimate(None, reason="n too small")
    whole = EndToEnd(*({"p50": seen, "p95": none if part == 0 else seen} for part in range(4)))
    latency = tuple(replace(one, end_to_end=whole) if one.target == LOCAL else one for one in report.latency)
    return replace(report, latency=latency, input=HOSTILE)


def empty() -> Report:
    return Report(command="export", created="")


VARIANTS = {
    make.__name__: make
    for make in (
        passed,
        failed,
        undecided,
        parity_failed,
        parity_failed_there,
        emulated,
        counted,
        few_launches,
        validated,
        bare,
        unlabelled,
        regression,
        several_sizes,
        many,
        hostile,
        deep,
        hostile_depths,
        trained,
        hostile_training,
        not_made,
        hostile_failure,
        whole_calls,
        empty,
    )
}


def _emulated(latency: Latency) -> Latency:
    return replace(
        latency, quantiles={}, trust=Trust("E", ("emulated: not the latency of a device",), "Use the device.")
    )


def _renamed(report: Report, names: dict[str, str]) -> Report:
    """The report with other artifact names."""

    def other(entries: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(replace(entry, artifact=names[entry.artifact]) for entry in entries)

    return replace(
        report,
        artifacts=tuple(replace(one, recipe=names[one.recipe]) for one in report.artifacts),
        parity=other(report.parity),
        accuracy=other(report.accuracy),
        measurements=other(report.measurements),
        latency=other(report.latency),
        budgets=other(report.budgets),
        outcomes=tuple(replace(one, chosen=names.get(one.chosen or "", one.chosen)) for one in report.outcomes),
    )

"""The model card of a bundle: measured numbers only."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.bundle import Manifest
from edgekit.core.reports.report import Accuracy, Estimate, ParityCheck, parity_verdict
from edgekit.core.spec.metric import drop_unit, metric_unit
from edgekit.core.units import format_value
from edgekit.export.checking.parity import WHOLE

_USE = """\
## Use
```sh
edgekit run BUNDLE --input FILE                                # this folder, or the .edgekit file of it
edgekit deploy BUNDLE --for python --out program               # a program that needs no edgekit; also c, cpp, js
edgekit deploy BUNDLE --to DEVICE                              # installed on a device of 'edgekit devices list'
```

In Python: `edgekit.load("BUNDLE").run({"INPUT": array})`, or `onnxruntime` and LiteRT with the files above."""


def model_card(manifest: Manifest, parity: Sequence[ParityCheck], accuracy: Sequence[Accuracy]) -> str:
    """README.md of a bundle, in Markdown."""
    spec = manifest.spec
    parts = [
        f"# {spec.name}",
        spec.summary or f"A {spec.task} model.",
        f"**{spec.caveat}**" if spec.caveat else "",
        _tensors(manifest),
        _artifacts(manifest, parity, accuracy),
        _outputs(parity),
        _kept(manifest),
        _data(manifest),
        _USE,
        f"Made by edgekit {manifest.tools.get('edgekit', '')}{f' on {manifest.created}' if manifest.created else ''}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _tensors(manifest: Manifest) -> str:
    rows = [("input", tensor) for tensor in manifest.spec.inputs] + [
        ("output", tensor) for tensor in manifest.spec.outputs
    ]
    states = [f"| state | `{output}` continues as `{name}` |" for output, name in manifest.spec.states.items()]
    return "\n".join(["| | tensor |", "|---|---|", *(f"| {kind} | `{tensor}` |" for kind, tensor in rows), *states])


def _artifacts(manifest: Manifest, parity: Sequence[ParityCheck], accuracy: Sequence[Accuracy]) -> str:
    quality = {row.artifact: row for row in accuracy}
    metric = next((row.metric for row in accuracy), "accuracy")
    head = [
        f"| artifact | size | parity with PyTorch | {metric} | drop | smallest detectable drop |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(
        [*head, *(_row(artifact.recipe, artifact.size_bytes, parity, quality) for artifact in manifest.artifacts)]
    )


def _row(recipe: str, size_bytes: int, parity: Sequence[ParityCheck], measured: dict[str, Accuracy]) -> str:
    verdict = parity_verdict(check for check in parity if check.artifact == recipe)
    row = measured.get(recipe)
    quality = " | ".join(_quality(row)) if row else "– | – | –"
    return f"| `{recipe}` | {format_value(size_bytes, 'bytes')} | {verdict} | {quality} |"


def _quality(row: Accuracy) -> tuple[str, str, str]:
    """Quality, drop, and the least drop that the samples show."""
    unit = drop_unit(row.metric)
    return (
        _estimate(row.quality, metric_unit(row.metric)),
        _estimate(row.drop, unit),
        format_value(row.detectable, unit),
    )


def _outputs(parity: Sequence[ParityCheck]) -> str:
    """How far every output is from PyTorch's, over all samples."""
    whole = [check for check in parity if check.case == WHOLE and check.max_abs is not None]
    if not whole:
        return ""
    head = [
        "| artifact | output | largest difference | mean | SQNR | cosine | top-1 |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join(["Against PyTorch, on all samples:", "", *head, *map(_output, whole)])


def _output(check: ParityCheck) -> str:
    figures = (
        _figure(check.max_abs, "1"),
        _figure(check.mean_abs, "1"),
        _figure(check.sqnr_db, "dB"),
        "–" if check.cosine is None else f"{check.cosine:.6f}",
        _figure(check.top1, "ratio"),
    )
    return f"| `{check.artifact}` | `{check.output}` | {' | '.join(figures)} |"


def _figure(value: float | None, unit: str) -> str:
    return "–" if value is None else format_value(value, unit)


def _kept(manifest: Manifest) -> str:
    """What stays float of artifacts that were mended."""
    lines = []
    for artifact in manifest.artifacts:
        for one in artifact.record.get("float_tensors", ()):
            without = one.get("drop_without")
            drop = "" if without is None else f"; without it, the drop is {100 * without:.2f} pt"
            place = f" of `{one['module']}`" if one.get("module") else ""
            added = f"int8 adds {100 * one['added']:.2g} % of error there"
            lines.append(f"- `{artifact.recipe}` keeps `{one['tensor']}`{place} in float32: {added}{drop}.")
    return "\n".join(lines)


def _estimate(estimate: Estimate, unit: str) -> str:
    if estimate.value is None:
        return f"not measured: {estimate.reason}"
    if estimate.low is None or estimate.high is None:
        return format_value(estimate.value, unit)
    interval = f"{format_value(estimate.low, unit)} to {format_value(estimate.high, unit)}"
    return f"{format_value(estimate.value, unit)} (95 %: {interval}, n = {estimate.n})"


def _data(manifest: Manifest) -> str:
    split = manifest.split
    if split is None:
        return ""
    return (
        f"Samples: {split.source}. Calibrated on {split.calibration}, evaluated on {split.evaluation} others "
        f"(seed {split.seed})."
    )

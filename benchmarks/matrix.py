"""Makes docs/matrix.md: every reference model in every recipe, passed with figures or refused by a code.

python benchmarks/matrix.py                        regenerate the page from the rows that are there
python benchmarks/matrix.py --data DIR [MODEL ...] measure what is missing, a row a line; may be stopped at any time
python benchmarks/matrix.py --data DIR --again MODEL ...   measure these models anew
... --runs DIR                                     take a model without shipped weights from its run, DIR/MODEL
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgekit.core.errors import ConversionFailed, EdgekitError, EnvironmentFault, Refused
from edgekit.core.recipe import Recipe, parse_recipes
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Samples, Split
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.verdict import Verdict
from edgekit.export.conversion import export_artifacts
from edgekit.export.messages import ModuleRef
from edgekit.export.request import ExportRequest, ExportResult
from edgekit.flows.opening.states import at_beginning
from edgekit.runtime.facts import read_facts
from edgekit.train.model import ReferenceModel
from edgekit.train.registry import MODELS
from edgekit.train.training_run import read_run
from edgekit.train.weights import shipped_weights

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE, ROWS, ONNX_ROWS = (
    ROOT / "docs" / "matrix.md",
    Path(__file__).with_name("matrix.jsonl"),
    Path(__file__).with_name("onnx_suite.json"),
)
FORMATS: Final = {
    "onnx": (
        "fp32",
        "fp16",
        "int8",
        "int8-static-u8s8",
        "int8-static-u8s7",
        "int8-static-s8s8",
        "int8-dynamic",
        "int4-weights",
        "int2",
    ),
    "tflite": ("fp32", "fp16", "int8", "int8-static", "int8-full", "int8-dynamic", "int4-weights", "int2", "int16"),
}
# Networks without trained weights are judged on fewer samples: what they answer means nothing.
FEW: Final = 500
PICTURES: Final = 64
CALIBRATION: Final = 128
_NAMED: Final = re.compile(r"'((?:onnx|tflite)-[\w-]+)'")


class Row(msgspec.Struct, frozen=True):
    """One model in one recipe. `made` is what an alias became; `code` is that of a refusal; `drop` is in ratio."""

    model: str
    recipe: str
    verdict: str
    made: str = ""
    code: str = ""
    reason: str = ""
    trained: bool = False
    samples: int = 0
    kind: str = ""
    value: float | None = None
    limit: float | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    size_bytes: int = 0
    float_bytes: int = 0
    quantized_share: float | None = None
    metric: str = ""
    quality: float | None = None
    drop: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0
    schema_version: int = 1


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args(arguments)
    if given.data or given.models:
        measure(given.models or list(MODELS), given.data, given.runs, again=given.again)
    from benchmarks.matrix_page import page

    PAGE.write_text(page(read_rows()), encoding="utf-8")


def read_rows() -> list[Row]:
    """The rows so far; of several for one cell the last counts."""
    lines = ROWS.read_bytes().splitlines() if ROWS.is_file() else []
    found = [msgspec.json.decode(line, type=Row) for line in lines]
    return list({(row.model, row.recipe): row for row in found}.values())


def measure(models: Iterable[str], data: Path | None, runs: Path | None, *, again: bool) -> None:
    """Append a row for every recipe of these models that has none."""
    for name in models:
        known = {row.recipe for row in read_rows() if row.model == name and row.verdict != "error"}
        missing = [one for one in recipes() if again or one not in known]
        if not missing:
            continue
        for row in rows_of(name, missing, data, runs):
            with ROWS.open("ab") as stream:
                stream.write(msgspec.json.encode(row) + b"\n")
            print(row.model, row.recipe, row.verdict, row.code or row.value, flush=True)


def recipes() -> list[str]:
    """Every recipe that is asked for."""
    return [f"{kind}-{rest}" for kind, rests in FORMATS.items() for rest in rests]


def rows_of(name: str, asked: Sequence[str], data: Path | None, runs: Path | None) -> Iterator[Row]:
    """Rows of one model: those refused by name, then the rest in one export, less whatever it refuses."""
    model, weights = trained_model(name, runs)
    trained = weights is not None
    left: dict[str, Recipe] = {}
    for text in asked:
        try:
            left[text] = parse_recipes(text)[0]
        except Refused as err:
            yield Row(name, text, "refused", code=err.code, trained=trained)
    split = samples_of(model, trained, data)
    while left:
        try:
            with temporary_folder("edgekit-matrix-") as folder:
                result = export_artifacts(
                    request_of(model, weights, split, ordered(left).values()), Path(folder), cache=CACHE
                )
                yield from made_rows(name, trained, left, result, Path(folder))
            return
        except EdgekitError as err:
            text = _culprit(err, left)
            verdict, code = ("refused", err.code) if isinstance(err, Refused) else ("error", type(err).__name__)
            yield Row(name, text, verdict, code=code, reason=err.message.splitlines()[0], trained=trained)
            left.pop(text)


def trained_model(name: str, runs: Path | None) -> tuple[ReferenceModel, Path | None]:
    """The model with its shipped weights, those of its run, or none."""
    model: ReferenceModel = MODELS.get(name)
    if runs is None or shipped_weights(name) is not None or not (runs / name).is_dir():
        return model, shipped_weights(name)
    run = read_run(runs / name)
    return replace(model, spec=run.spec), runs / name / run.weights


CACHE: Final = Path(tempfile.gettempdir()) / "edgekit-matrix"


def _culprit(err: EdgekitError, left: dict[str, Recipe]) -> str:
    """The recipe whose name the message has; a failure without one is of the first that is left."""
    named = _NAMED.search(err.message)
    if named and named[1] in left:
        return named[1]
    if not isinstance(err, (Refused, ConversionFailed)):
        raise err
    return next(iter(left))


def samples_of(model: ReferenceModel, trained: bool, data: Path | None) -> Split:
    """Samples of the network's own data set, all of its test split for a trained one."""
    try:
        dataset = model.data(data)
    except EnvironmentFault:
        return pictures(model.spec, data)
    order = np.sort(np.random.default_rng(0).permutation(len(dataset.train))[:CALIBRATION])
    test = dataset.test if trained else dataset.test.take(slice(0, FEW))
    return Split(at_beginning(dataset.train.take(order), model.spec), at_beginning(test, model.spec))


def pictures(spec: ModelSpec, data: Path | None) -> Split:
    """Pictures of CIFAR-10, enlarged, for networks whose own data may not be passed on."""
    dataset = MODELS.get("cifar-resnet8").data(data)
    (wanted,) = spec.inputs
    height, width = (int(size) for size in wanted.shape[-2:])

    def enlarged(samples: Samples, count: int) -> Samples:
        array = next(iter(samples.take(slice(0, count)).inputs.values()))
        rows = np.arange(height) * array.shape[-2] // height
        columns = np.arange(width) * array.shape[-1] // width
        return Samples({wanted.name: array[..., rows, :][..., columns].astype(np.float32)})

    return Split(enlarged(dataset.train, CALIBRATION), enlarged(dataset.test, PICTURES))


def request_of(model: ReferenceModel, weights: Path | None, split: Split, wanted: Iterable[Recipe]) -> ExportRequest:
    """What `edgekit export` asks for."""
    # Which class an untrained network prefers means nothing, and near ties are all it has.
    spec = model.spec if weights else msgspec.structs.replace(model.spec, task="other")
    return ExportRequest(
        module=ModuleRef(model.location, str(weights or untrained(model))),
        spec=spec,
        recipes=tuple(wanted),
        calibration=split.calibration,
        evaluation=split.evaluation,
        cpu_features=frozenset(read_facts().features),
        timeout_s=1800,
    )


def untrained(model: ReferenceModel) -> Path:
    """Weights of an untrained network with random batch-norm values: as they begin, its signals fade to nothing."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = model.build()
    for layer in network.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0, 0.1)
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{model.spec.name}.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return path


def made_rows(name: str, trained: bool, left: dict[str, Recipe], result: ExportResult, folder: Path) -> Iterator[Row]:
    """A row for every recipe that was asked for, from the artifact that it became."""
    made = {one.recipe: one for one in result.artifacts}
    for place, (text, recipe) in enumerate(ordered(left).items()):
        artifact = result.artifacts[place] if recipe.is_alias else made[recipe.name]
        checks = [check for check in result.parity if check.artifact == artifact.recipe]
        quality = next((one for one in result.accuracy if one.artifact == artifact.recipe), None)
        yield Row(
            name,
            text,
            "pass" if all(check.verdict is Verdict.PASS for check in checks) else "fail",
            made=artifact.recipe,
            reason=next((f"{check.case}: {check.reason}" for check in checks if check.verdict is not Verdict.PASS), ""),
            trained=trained,
            samples=len(result.evaluation),
            size_bytes=artifact.size_bytes,
            float_bytes=made[f"{artifact.format}-fp32"].size_bytes if f"{artifact.format}-fp32" in made else 0,
            quantized_share=quantized_share(folder / artifact.file),
            **figures(checks),
            **accuracy(quality),
        )


def ordered(left: dict[str, Recipe]) -> dict[str, Recipe]:
    """Aliases first: in the result an artifact stands where it was first asked for."""
    return dict(sorted(left.items(), key=lambda item: not item[1].is_alias))


def figures(checks: Sequence[ParityCheck]) -> dict[str, Any]:
    """The check that is nearest to its limit, with the least signal over noise and the agreement of all samples."""
    shown = [check for check in checks if check.kind not in ("range", "share") or check.verdict is not Verdict.PASS]
    judged = [check for check in shown if check.kind != "agreement" and check.value is not None]
    worst = max(judged, key=_nearness, default=None)
    clear = [check.sqnr_db for check in checks if check.case == "samples" and check.sqnr_db is not None]
    agreed = [check.value for check in checks if check.kind == "agreement" and check.case == "samples"]
    return {
        "kind": worst.kind if worst else "agreement" if agreed else "equal",
        "value": worst.value if worst else None,
        "limit": worst.limit if worst else None,
        "sqnr_db": min(clear, default=None),
        "agreement": min((value for value in agreed if value is not None), default=None),
    }


def _nearness(check: ParityCheck) -> float:
    assert check.value is not None
    return check.value / check.limit if check.kind == "difference" else check.limit - check.value


def accuracy(found: Accuracy | None) -> dict[str, Any]:
    """Quality and drop, where the samples are labelled."""
    if found is None or found.drop.value is None:
        return {}
    drop = found.drop
    return {
        "metric": found.metric,
        "quality": found.quality.value,
        "drop": drop.value,
        "low": drop.low,
        "high": drop.high,
        "count": drop.n,
    }


def quantized_share(path: Path) -> float | None:
    """The share of a file's weights, by their size in float32, that it holds in 8 bits or fewer."""
    counts = _onnx_weights(path) if path.suffix == ".onnx" else _tflite_weights(path)
    whole, small = 0, 0
    for elements, is_small in counts:
        whole += elements
        small += elements if is_small else 0
    return small / whole if whole else None


def _onnx_weights(path: Path) -> Iterator[tuple[int, bool]]:
    """Elements of every weight; scales and zero points are none, and a 4-bit block holds two in a byte."""
    import onnx

    model = onnx.load(str(path))
    packed = {node.input[1] for node in model.graph.node if node.op_type == "MatMulNBits"}
    aside = {
        name
        for node in model.graph.node
        if "Linear" in node.op_type or node.op_type in ("MatMulNBits", "MatMulInteger", "DynamicQuantizeLSTM")
        for name in node.input[1:]
        if "scale" in name or "zero_point" in name
    }
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if tensor.name in aside or tensor.data_type == onnx.TensorProto.INT64:
            continue
        is_small = tensor.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT32)
        yield array.size * (2 if tensor.name in packed else 1), is_small


def _tflite_weights(path: Path) -> Iterator[tuple[int, bool]]:
    """Elements of every constant that is a number; int64 and the shapes of int32 vectors are none."""
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import read_model

    model = read_model(str(path))
    seen = set()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data) or tensor.buffer in seen:
                continue
            seen.add(tensor.buffer)
            elements = int(np.prod(tensor.shape)) if tensor.shape is not None and len(tensor.shape) else 1
            kind = _TFLITE.get(tensor.type)
            if kind is not None and not (kind == "int32" and not _is_quantized(tensor)):
                yield elements, kind != "float"


_TFLITE: Final = {0: "float", 1: "float", 2: "int32", 9: "int8", 3: "uint8", 17: "int4"}


def _is_quantized(tensor: Any) -> bool:
    scale = tensor.quantization.scale if tensor.quantization is not None else None
    return scale is not None and len(scale) > 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])

"""Twenty faults, planted one at a time in five networks of the zoo: `edgekit validate` has to find each.

python -m benchmarks.zoo.faults [NAME ...]     run all, or those of some networks, and keep what was found

The reference is a bundle of the right network. A fault is planted in the module, which is then exported the plain way,
or in the weights of the TFLite file of the bundle. Each network also goes through without a fault, and has to pass.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from benchmarks.zoo.ours import measured
from benchmarks.zoo.prepared import load, prepare
from benchmarks.zoo.rows import FAULTS, Fault, add_fault

import edgekit
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.verdict import Verdict

Alter = Callable[[Any], None]


class Planted(NamedTuple):
    """A fault of one network; `alter` changes the module, or the constants of a TFLite file, in place."""

    net: str
    fault: str
    format: str
    alter: Alter


def weight(path: str, change: Callable[[Any], None]) -> Alter:
    """A fault in one parameter or buffer of the module."""

    def alter(module: Any) -> None:
        import torch

        with torch.no_grad():
            change(module.get_parameter(path) if path in dict(module.named_parameters()) else module.get_buffer(path))

    return alter


def setting(path: str, name: str, value: Any) -> Alter:
    """A fault in one setting of a layer."""
    return lambda module: setattr(module.get_submodule(path), name, value)


def replaced(path: str, make: Callable[[Any], Any]) -> Alter:
    """Another layer in the place of one."""

    def alter(module: Any) -> None:
        parent, _, name = path.rpartition(".")
        owner = module.get_submodule(parent)
        owner._modules[name] = make(owner._modules[name])

    return alter


def answering(change: Callable[[Any], Any]) -> Alter:
    """A fault in what the module returns."""

    def alter(module: Any) -> None:
        right = module.forward
        module.forward = lambda x: change(right(x))

    return alter


def asked(**changes: Callable[[Any], Any]) -> Alter:
    """A fault in what the module is given."""

    def alter(module: Any) -> None:
        right = module.forward

        def forward(input_ids: Any, attention_mask: Any) -> Any:
            feed = {"input_ids": input_ids, "attention_mask": attention_mask}
            return right(**{name: changes.get(name, lambda same: same)(value) for name, value in feed.items()})

        module.forward = forward

    return alter


def swap(tensor: Any) -> None:
    """The first two channels change places."""
    tensor[[0, 1]] = tensor[[1, 0]]


def shifted_padding(layer: Any) -> Any:
    """The padding of a convolution, one row and column too far to one side."""
    import torch

    inner = layer
    inner.padding = (0, 0)
    return torch.nn.Sequential(torch.nn.ZeroPad2d((0, 2, 0, 2)), inner)


def _layer(name: str, *given: Any) -> Callable[[Any], Any]:
    def make(_: Any) -> Any:
        import torch

        return getattr(torch.nn, name)(*given)

    return make


def largest(change: Callable[[np.ndarray], None]) -> Alter:
    """A fault in the largest float constant of a TFLite file."""

    def alter(arrays: Any) -> None:
        change(max(arrays, key=lambda array: array.size))

    return alter


def _scaled(array: np.ndarray) -> None:
    array *= 1.01


def _turned(array: np.ndarray) -> None:
    flat = array.reshape(-1)
    flat[int(np.abs(flat).argmax())] *= -1


def _coarse(array: np.ndarray) -> None:
    step = np.abs(array).max() / 127
    array[:] = np.round(array / step) * step


def _rolled(array: np.ndarray) -> None:
    array[:] = np.roll(array, 1)


PLANTED: Final = (
    Planted("yolo-parts", "padding off by one", "onnx", replaced("pyramid.p3.0.0", shifted_padding)),
    Planted("yolo-parts", "anchors of another stride", "onnx", weight("strides", lambda t: t[0, :2].mul_(2))),
    Planted("yolo-parts", "two classes swapped", "onnx", weight("scores.0.1.weight", swap)),
    Planted("yolo-parts", "weights scaled by 1.01", "tflite", largest(_scaled)),
    Planted("masked-transformer", "mask is ignored", "onnx", asked(attention_mask=lambda mask: mask * 0 + 1)),
    Planted("masked-transformer", "epsilon 1e-3 for 1e-5", "onnx", setting("blocks.0.before", "eps", 1e-3)),
    Planted("masked-transformer", "SiLU for GELU", "onnx", replaced("blocks.1.mlp.1", _layer("SiLU"))),
    Planted("masked-transformer", "weights in 8 bits", "tflite", largest(_coarse)),
    Planted("unet", "ReLU6 for ReLU", "onnx", replaced("a.body.2", _layer("ReLU6"))),
    Planted("unet", "statistics of a batch norm lost", "onnx", weight("c.body.1.running_var", lambda t: t.fill_(1))),
    Planted("unet", "mean for maximum", "onnx", replaced("pool", _layer("AvgPool2d", 2))),
    Planted("unet", "output scaled by 1.001", "onnx", answering(lambda found: found * 1.001)),
    Planted("unet", "one weight of the other sign", "tflite", largest(_turned)),
    Planted("speaker-lstm", "two gates swapped", "onnx", weight("rnn.weight_hh_l0", lambda t: t.copy_(t.roll(64, 0)))),
    Planted("speaker-lstm", "a bias lost", "onnx", weight("rnn.bias_ih_l2", lambda t: t.zero_())),
    Planted("speaker-lstm", "weights one place further", "tflite", largest(_rolled)),
    Planted("crnn-ctc", "time and batch order reversed", "onnx", answering(lambda found: found.flip(0))),
    Planted("crnn-ctc", "softmax over time", "onnx", answering(lambda found: found.exp().log_softmax(0))),
    Planted("crnn-ctc", "limit of 1 for 20", "onnx", setting("body.2", "max_val", 1.0)),
    Planted("crnn-ctc", "last frame cut", "onnx", weight("rnn.weight_ih_l0_reverse", lambda t: t[:, -1].zero_())),
)


def run(names: Sequence[str] = ()) -> Iterator[Fault]:
    """What validation says of every fault, and of the five networks without one."""
    with temporary_folder("edgekit-faults-") as folder:
        for net in names or dict.fromkeys(one.net for one in PLANTED):
            place = Path(folder) / net
            prepare(net, 0, place)
            words = [
                "export",
                "net.py:net",
                "--samples",
                "samples.npz",
                "--to",
                "onnx-fp32,tflite-fp32",
                "--out",
                "bundle",
            ]
            measured([sys.executable, "-m", "edgekit", *words], place, 600)
            yield found(Planted(net, "", "onnx", lambda module: None), place)
            for one in PLANTED:
                if one.net == net:
                    yield found(one, place)


def found(one: Planted, folder: Path) -> Fault:
    """Plant one fault, validate, and say whether it was found."""
    path = folder / f"altered.{one.format}"
    if one.format == "onnx":
        module = load(one.net, 0, str(folder))
        one.alter(module)
        _exported(module, path, folder)
    else:
        _patched(folder / "bundle" / "tflite-fp32.tflite", path, one.alter)
    report = edgekit.validate(path, reference=folder / "bundle")
    bad = [check for check in report.parity if check.verdict is Verdict.FAIL]
    clear = [check.sqnr_db for check in bad if check.sqnr_db is not None]
    return Fault(one.net, one.fault, one.format, report.verdict.exit_code, bool(bad), min(clear, default=None))


def _exported(module: Any, path: Path, folder: Path) -> None:
    """The altered module as an ONNX file with the names of the bundle."""
    import torch

    manifest = json.loads((folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    artifact = next(one for one in manifest["artifacts"] if one["recipe"] == "onnx-fp32")
    with np.load(folder / "samples.npz") as stored:
        feed = {name: torch.from_numpy(stored[name][:2]) for name in stored.files}
    shapes = {name: {0: torch.export.Dim("N")} for name in feed}
    with torch.no_grad():
        torch.onnx.export(
            module,
            (),
            str(path),
            kwargs=feed,
            dynamic_shapes=shapes,
            dynamo=True,
            opset_version=18,
            external_data=False,
            verbose=False,
            output_names=[one["name"] for one in artifact["outputs"]],
        )


def _patched(source: Path, path: Path, alter: Alter) -> None:
    """A TFLite file with its float constants altered."""
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as files

    model = files.read_model(str(source))
    stored = [buffer for buffer in _constants(model) if buffer.data is not None and len(buffer.data) > 64]
    arrays = [np.frombuffer(bytes(buffer.data), np.float32).copy() for buffer in stored]
    alter(arrays)
    for buffer, array in zip(stored, arrays, strict=True):
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    files.write_model(model, str(path))


def _constants(model: Any) -> list[Any]:
    """The buffers of float32 tensors, each once."""
    places = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors if tensor.type == 0}
    return [model.buffers[place] for place in sorted(places)]


if __name__ == "__main__":
    for row in run(sys.argv[1:]):
        print(row, flush=True)
        add_fault(row, FAULTS)

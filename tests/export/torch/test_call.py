"""A module is called by its inputs' names, its outputs get names, and its operators are seen."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.messages import ModuleRef
from edgekit.export.torch.call import call_arguments, operators_of, run_module
from edgekit.export.torch.flattening import flatten
from edgekit.export.torch.module import load_module

NETS = Path(__file__).parents[1] / "nets"
Pair = namedtuple("Pair", ["scores", "boxes"])
ONE = torch.ones(1)


def spec_of(inputs: str, outputs: str = "") -> ModelSpec:
    parse = TensorSpec.parse
    return ModelSpec("net", "other", tuple(map(parse, inputs.split())), tuple(map(parse, outputs.split())))


def net(factory: str) -> nn.Module:
    module: nn.Module = load_module(ModuleRef(f"{NETS / 'good.py'}:{factory}"))
    return module


class KeywordOnly(nn.Module):
    def forward(self, *, x: Tensor, scale: float = 2.0) -> Tensor:
        return x * scale


class Anything(nn.Module):
    def forward(self, x: Tensor, **others: Tensor) -> Tensor:
        return x - others["z"]


class Waiting(nn.Module):
    """As networks of transformers are: every input has a default, and anything else is taken."""

    def forward(self, pixels: Tensor | None = None, mask: Tensor | None = None, **others: object) -> Tensor:
        assert pixels is not None
        return pixels * 2


class Listed(nn.Module):
    def forward(self, *tensors: Tensor) -> Tensor:
        return tensors[0] - tensors[1]


class FromDictionary(nn.Module):
    def forward(self, features: dict[str, Tensor]) -> Tensor:
        return features["x"] - features["z"]


class WithState(nn.Module):
    def forward(self, x: Tensor, state: tuple[Tensor, Tensor], scale: float = 1.0) -> Tensor:
        return x * scale - state[0] + state[1]


class Optional(nn.Module):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x if mask is None else x - mask


@pytest.mark.parametrize(
    ("module", "names", "arguments"),
    [
        (KeywordOnly(), "x", ("x",)),
        (Anything(), "x z", ("x", "z")),
        (Listed(), "x z", ("", "")),
        (FromDictionary(), "x z", ("features.x", "features.z")),
        (FromDictionary(), "features.x features.z", ("features.x", "features.z")),
        (WithState(), "x h c", ("x", "state.0", "state.1")),
        (WithState(), "x state.0 state.1", ("x", "state.0", "state.1")),
        (Optional(), "x", ("x",)),
        (Optional(), "a b", ("", "")),
        (Optional(), "x other", ("", "")),
    ],
)
def test_inputs_find_their_arguments(module: nn.Module, names: str, arguments: tuple[str, ...]) -> None:
    spec = spec_of(" ".join(f"{name}:float32[N,2]" for name in names.split()))

    assert call_arguments(module, spec) == arguments
    assert run_module(module, spec, {tensor.name: np.ones((3, 2), np.float32) for tensor in spec.inputs})


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (ONE, ["output"]),
        ((ONE, ONE), ["output_0", "output_1"]),
        ([ONE, None, ONE], ["output_0", "output_2"]),
        ({"logits": ONE, "hidden": ONE}, ["logits", "hidden"]),
        ({"logits": ONE, "states": (ONE, ONE)}, ["logits", "states_0", "states_1"]),
        ((ONE, (ONE, ONE)), ["output_0", "output_1_0", "output_1_1"]),
        (Pair(ONE, ONE), ["scores", "boxes"]),
        ({"a b": ONE}, ["output_a_b"]),
    ],
)
def test_outputs_are_named_by_keys_or_by_place(result: object, names: list[str]) -> None:
    assert list(flatten(result)) == names


@pytest.mark.parametrize("result", ["yes", (ONE, {3}), {"a": "text"}, (), None, 3])
def test_a_result_that_is_no_tensor_is_refused(result: object) -> None:
    with pytest.raises(UserError, match="The module returns"):
        flatten(result)


def test_inputs_go_by_keyword_where_the_names_are_those_of_forward() -> None:
    spec = spec_of("left:float32[N,8] right:float32[N,4]")
    feed: Feed = {"left": np.ones((2, 8), np.float32), "right": np.ones((2, 4), np.float32)}

    outputs = run_module(net("Two"), spec, feed)

    assert {name: array.shape for name, array in outputs.items()} == {"logits": (2, 3), "hidden": (2, 16)}


def test_a_single_input_of_another_name_is_what_the_first_parameter_waits_for() -> None:
    outputs = run_module(Waiting(), spec_of("image:float32[N,1]"), {"image": np.ones((1, 1), np.float32)})

    assert next(iter(outputs.values())).tolist() == [[2.0]]
    assert call_arguments(Waiting(), spec_of("pixels:float32[N,1]")) == ("pixels",)


def test_inputs_go_by_position_where_the_names_are_others() -> None:
    assert call_arguments(net("Cnn"), spec_of("image:float32[N,1,8,8]")) == ("",)


def test_the_spec_may_rename_the_outputs() -> None:
    spec = spec_of("x:float32[N,6]", "scores:float32[N,4] best:int64[N]")

    outputs = run_module(net("Chosen"), spec, {"x": np.ones((3, 6), np.float32)})

    assert list(outputs) == ["scores", "best"]
    assert outputs["best"].dtype == np.int64


def test_the_spec_cannot_name_more_outputs_than_there_are() -> None:
    spec = spec_of("x:float32[N,6]", "scores:float32[N,4]")

    with pytest.raises(UserError, match=r"returns 2 outputs \(output_0, output_1\); the spec has 1"):
        run_module(net("Chosen"), spec, {"x": np.ones((3, 6), np.float32)})


def test_an_output_with_the_name_of_an_input_gets_another() -> None:
    class Echo(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"x": x + 1}

    assert list(run_module(Echo(), spec_of("x:float32[N]"), {"x": np.ones(2, np.float32)})) == ["x_out"]


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), "image=image.transpose(0, 3, 1, 2))"),
        (np.zeros((1, 8, 8, 3), np.uint8), "image=image.transpose(0, 3, 1, 2).astype('float32') / 255)"),
        (np.zeros((1, 3, 8, 8), np.uint8), "image=image.astype('float32') / 255)"),
    ],
    ids=["channels last", "pixels with channels last", "pixels"],
)
def test_a_call_that_fails_on_images_as_files_have_them_says_how_to_save_them(images: np.ndarray, advice: str) -> None:
    spec = ModelSpec("net", "other", (TensorSpec("image", str(images.dtype), ("N", *images.shape[1:])),))

    with pytest.raises(UserError) as caught:
        run_module(nn.Conv2d(3, 4, 3), spec, {"image": images})

    assert caught.value.message.endswith(f"numpy.savez(FILE, {advice}")


def test_a_failing_call_names_shapes_error_and_line() -> None:
    narrow = load_module(ModuleRef(f"{NETS / 'faulty.py'}:Narrow"))

    with pytest.raises(UserError, match=r"fails on x float32\[2, 5\]: RuntimeError: .*\(.*faulty.py:\d+\)"):
        run_module(narrow, spec_of("x:float32[N,5]"), {"x": np.ones((2, 5), np.float32)})


@pytest.mark.parametrize(
    ("factory", "inputs", "expected"),
    [
        ("Cnn", "x:float32[2,1,8,8]", {"Conv", "Gemm"}),
        ("Recurrent", "x:float32[2,5,6]", {"LSTM", "Gemm"}),
        ("Attention", "x:float32[2,5,8]", {"Softmax*MatMul", "Gemm"}),
        ("Generator", "z:float32[2,6]", {"ConvTranspose", "Gemm"}),
        ("Tokens", "tokens:int64[2,5]", {"Gather", "Gemm"}),
    ],
)
def test_operators_that_decide_the_quantization_are_seen(factory: str, inputs: str, expected: set[str]) -> None:
    torch.backends.mha.set_fastpath_enabled(False)
    spec = spec_of(inputs)
    feed: Feed = {tensor.name: np.ones(tensor.concrete({}), tensor.dtype) for tensor in spec.inputs}

    assert operators_of(net(factory), spec, feed) == expected


class HandMade(nn.Module):
    """Attention out of a softmax and two products, with a dropout between."""

    def forward(self, x: Tensor) -> Tensor:
        weights = nn.functional.dropout(torch.softmax(x @ x.transpose(1, 2), -1), training=False)
        return weights @ x


class Scores(nn.Module):
    """A product and a softmax at its end: no attention."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x @ x.transpose(1, 2), -1)


@pytest.mark.parametrize(("module", "is_attention"), [(HandMade(), True), (Scores(), False)])
def test_attention_is_a_softmax_that_multiplies(module: nn.Module, is_attention: bool) -> None:
    feed: Feed = {"x": np.ones((2, 3, 4), np.float32)}

    assert ("Softmax*MatMul" in operators_of(module, spec_of("x:float32[2,3,4]"), feed)) is is_attention

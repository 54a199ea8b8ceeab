"""Promises of core/recipe.py."""

from __future__ import annotations

import pytest

from edgekit.core.errors import UserError
from edgekit.core.recipe import (
    ALIASES,
    DEFAULT_RECIPES,
    LOG_SPECTRUM,
    RECIPES,
    REFUSED,
    STRINGS,
    Recipe,
    matches,
    parse_recipes,
)

VNNI = frozenset({"x86_64", "avx512_vnni"})
OLD_X86 = frozenset({"x86_64", "avx2"})
ARM = frozenset({"aarch64", "asimddp"})
CNN = frozenset({"Conv", "Relu", "Gemm"})
LSTM = frozenset({"LSTM", "Gemm"})
GRU = frozenset({"GRU", "Gemm"})


@pytest.mark.parametrize("name", [*RECIPES, *ALIASES])
def test_every_known_recipe_is_parsed_to_its_name(name: str) -> None:
    assert Recipe.parse(name).name == name


@pytest.mark.parametrize(
    ("name", "operators", "features", "resolved"),
    [
        ("onnx-int8", CNN, VNNI, "onnx-int8-static-u8s8"),
        ("onnx-int8", CNN, frozenset({"x86_64", "avx_vnni"}), "onnx-int8-static-u8s8"),
        ("onnx-int8", CNN, OLD_X86, "onnx-int8-static-u8s7"),
        ("onnx-int8", CNN, ARM, "onnx-int8-static-s8s8"),
        ("onnx-int8", LSTM, VNNI, "onnx-int8-dynamic"),
        ("onnx-int8", LSTM, OLD_X86, "onnx-int8-dynamic-u8s7"),
        ("onnx-int8", frozenset({"Conv", "Softmax*MatMul"}), ARM, "onnx-int8-dynamic"),
        ("onnx-int8-static", CNN, VNNI, "onnx-int8-static-u8s8"),
        ("tflite-int8", CNN, VNNI, "tflite-int8-static"),
        ("tflite-int8", LSTM, ARM, "tflite-int8-dynamic"),
    ],
)
def test_an_alias_becomes_what_suits_graph_and_target(
    name: str, operators: frozenset[str], features: frozenset[str], resolved: str
) -> None:
    assert Recipe.parse(name).resolve(operators, features).name == resolved


@pytest.mark.parametrize("name", RECIPES)
def test_a_resolved_recipe_stays_as_it_is(name: str) -> None:
    recipe = Recipe.parse(name)

    assert not recipe.is_alias
    assert recipe.resolve(CNN, ARM) == recipe


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("operators", [CNN, GRU], ids=["CNN", "GRU"])
@pytest.mark.parametrize("features", [VNNI, OLD_X86, ARM], ids=["vnni", "x86", "arm"])
def test_every_alias_becomes_a_recipe_that_it_covers(
    alias: str, operators: frozenset[str], features: frozenset[str]
) -> None:
    resolved = Recipe.parse(alias).resolve(operators, features)

    assert resolved.name in RECIPES
    assert matches(alias, resolved.name)


@pytest.mark.parametrize(
    "name", ["tflite-int8-static", "tflite-int8-full", "onnx-int8-static", "onnx-int8-static-s8s8"]
)
def test_static_int8_is_refused_for_an_lstm(name: str) -> None:
    with pytest.raises(
        UserError, match=r"is refused: static int8 leaves an LSTM an SQNR of 2\.1 to 11\.5 dB"
    ) as caught:
        Recipe.parse(name).resolve(LSTM, VNNI)

    assert caught.value.hint == f"--to {name.partition('-')[0]}-int8-dynamic"


@pytest.mark.parametrize("name", [name for refused in REFUSED for name in (refused, f"{refused}-static")])
def test_a_recipe_known_not_to_work_is_refused_with_reason_and_replacement(name: str) -> None:
    with pytest.raises(UserError, match=f"Recipe '{name}' is refused: ") as caught:
        Recipe.parse(name)

    replacement = caught.value.hint.removeprefix("--to ")
    assert Recipe.parse(replacement).name == replacement


@pytest.mark.parametrize(
    ("name", "offer"),
    [
        ("onnx-fp23", "Did you mean 'onnx-fp32'?"),
        ("ONNX-INT8", "Did you mean 'onnx-int8'?"),
        ("tflite-int8-statc", "Did you mean 'tflite-int8-static'?"),
        ("zzz", "Known: onnx-fp16, "),
    ],
)
def test_an_unknown_recipe_offers_the_nearest(name: str, offer: str) -> None:
    with pytest.raises(UserError) as caught:
        Recipe.parse(name)

    assert caught.value.message.startswith(f"Unknown recipe '{name}'. {offer}")
    assert caught.value.hint == "edgekit list recipes"


@pytest.mark.parametrize("name", RECIPES)
def test_only_static_and_full_int8_need_calibration(name: str) -> None:
    assert Recipe.parse(name).needs_calibration == ("static" in name or "full" in name)


@pytest.mark.parametrize("texts", ["onnx-fp32, onnx-int8,onnx-fp32", ["onnx-fp32", "onnx-int8,onnx-fp32"]])
def test_recipes_are_read_once_and_in_order(texts: str | list[str]) -> None:
    assert [recipe.name for recipe in parse_recipes(texts)] == ["onnx-fp32", "onnx-int8"]


@pytest.mark.parametrize("texts", ["", " , ", []])
def test_no_recipe_at_all_is_a_usage_error(texts: str | list[str]) -> None:
    with pytest.raises(UserError, match="No recipe given"):
        parse_recipes(texts)


def test_the_default_recipes_are_known() -> None:
    assert [recipe.name for recipe in parse_recipes(DEFAULT_RECIPES)] == list(DEFAULT_RECIPES)


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("onnx-int8", "onnx-int8-static-u8s8", True),
        ("onnx-int8-static", "onnx-int8-static-u8s8", True),
        ("onnx-int8-static-u8s8", "onnx-int8-static-u8s8", True),
        ("onnx-int8-static", "onnx-int8-dynamic", False),
        ("onnx-int8", "tflite-int8-static", False),
        ("onnx-fp3", "onnx-fp32", False),
    ],
)
def test_a_name_covers_whole_parts_only(pattern: str, name: str, covered: bool) -> None:
    assert matches(pattern, name) is covered


@pytest.mark.parametrize(
    ("name", "operators"),
    [("onnx-int8", {STRINGS}), ("onnx-fp16", {STRINGS}), ("tflite-int8-full", {LOG_SPECTRUM})],
)
def test_what_a_graph_does_not_allow_is_refused(name: str, operators: set[str]) -> None:
    with pytest.raises(UserError, match=name):
        Recipe.parse(name).resolve(frozenset(operators), frozenset())


def test_text_is_exported_in_float32() -> None:
    assert Recipe.parse("onnx-fp32").resolve(frozenset({STRINGS}), frozenset()).name == "onnx-fp32"

"""A factory is named with literal arguments, and nothing of the text is evaluated."""

from __future__ import annotations

import pytest

from edgekit.core.errors import UserError
from edgekit.export.factory_call import FactoryCall, is_factory, parse_factory


@pytest.mark.parametrize(
    ("text", "call", "name"),
    [
        ("net.py:Net", FactoryCall("net.py", "Net"), "Net"),
        ("my nets/a:b.py:make(width=2)", FactoryCall("my nets/a:b.py", "make", (), {"width": 2}), "make"),
        (
            "torchvision.models:mobilenet_v3_small(weights='DEFAULT')",
            FactoryCall("torchvision.models", "mobilenet_v3_small", (), {"weights": "DEFAULT"}),
            "mobilenet_v3_small",
        ),
        (
            "timm:create_model('mobilenetv4_conv_small', pretrained=True)",
            FactoryCall("timm", "create_model", ("mobilenetv4_conv_small",), {"pretrained": True}),
            "mobilenetv4_conv_small",
        ),
        (
            "transformers:AutoModel.from_pretrained('./some dir:1/')",
            FactoryCall("transformers", "AutoModel.from_pretrained", ("./some dir:1/",)),
            "some-dir-1",
        ),
        ("a.b:f([1, -2.5], {'k': None})", FactoryCall("a.b", "f", ([1, -2.5], {"k": None})), "f"),
    ],
)
def test_a_factory_is_a_place_a_name_and_literals(text: str, call: FactoryCall, name: str) -> None:
    assert is_factory(text)
    assert parse_factory(text) == call == parse_factory(str(call))
    assert call.name == name


@pytest.mark.parametrize(
    "text",
    [
        "net.py:",
        "net.py:make(width=size)",
        "net.py:make(open('x'))",
        "net.py:make(*[1])",
        "net.py:make(**{'a': 1})",
        "net.py:make(f'{1}')",
        "net.py:make()()",
        "net.py:makers[0]",
        "net.py:make(1) + 1",
        "net.py:__import__('os').system('ls')",
        "net.py:lambda: 1",
        "net.py:(",
        "net.py:make\x00",
        f"net.py:{'(' * 3000}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_factory(text)

    assert len(caught.value.message) < 400
    assert caught.value.hint


@pytest.mark.parametrize("text", ["digits", "runs/kws", "model.onnx", "./a/b", "runs/a:b", ""])
def test_other_sources_are_no_factories(text: str) -> None:
    assert not is_factory(text)

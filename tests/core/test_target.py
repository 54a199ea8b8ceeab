"""Promises of core/target.py."""

from __future__ import annotations

import contextlib
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.errors import UserError
from edgekit.core.target import (
    BACKEND_OPTIONS,
    OPTION_NAMES,
    OPTION_VALUES,
    SIGNATURE,
    Target,
    parse_targets,
    refuse_unknown_options,
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("local", Target("local")),
        (" local ", Target("local")),
        ("pi5/onnxruntime", Target("pi5", "onnxruntime")),
        (
            "pi5/onnxruntime@threads=4@provider=cpu",
            Target("pi5", "onnxruntime", (("provider", "cpu"), ("threads", "4"))),
        ),
        ("phone/ort-web", Target("phone", "ort-web")),
        ("my-pi.lan@threads=2", Target("my-pi.lan", "", (("threads", "2"),))),
    ],
)
def test_a_target_text_is_read(text: str, target: Target) -> None:
    assert Target.parse(text) == target


@given(
    st.from_regex(r"[a-z][a-z0-9.-]{0,6}", fullmatch=True),
    st.sampled_from(["", "onnxruntime", "litert"]),
    st.fixed_dictionaries(
        {},
        optional={
            "provider": st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True),
            **{name: st.sampled_from(values) for name, values in OPTION_VALUES.items()},
        },
    ),
    st.none() | st.integers(1, 256),
)
def test_the_text_of_a_target_reads_back(
    device: str, backend: str, options: dict[str, str], threads: int | None
) -> None:
    if threads is not None:
        options["threads"] = str(threads)
    known = BACKEND_OPTIONS.get(backend, OPTION_NAMES)
    options = {name: value for name, value in options.items() if name in known}
    target = Target(device, backend, tuple(sorted(options.items())))

    assert Target.parse(str(target)) == target


def test_the_order_of_options_is_no_difference() -> None:
    assert Target.parse("pi5@threads=2@provider=cpu") == Target.parse("pi5@provider=cpu@threads=2")


def test_one_thread_unless_asked() -> None:
    assert Target.parse("local").threads == 1
    assert Target.parse("local@threads=4").threads == 4


def test_an_option_is_its_text_or_none() -> None:
    assert Target.parse("local@provider=cuda").option("provider") == "cuda"
    assert Target.parse("local").option("provider") is None


@pytest.mark.parametrize("text", ["", "/onnxruntime", "local/", "local@", "local@threads", "local onnx", "a@x=1/b"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not DEVICE\[/BACKEND\]\[@key=value\]") as caught:
        Target.parse(text)

    assert caught.value.hint == "--target local/onnxruntime@threads=2"


@pytest.mark.parametrize(
    "threads", ["0", "257", "-1", "+2", "two", "1.5", "\u00b2", "9" * 5000, "1e3"], ids=lambda text: text[:6]
)
def test_a_thread_count_out_of_range_is_refused(threads: str) -> None:
    with pytest.raises(UserError, match=r"threads: expected 1 to 256, got "):
        Target.parse(f"local@threads={threads}")


def test_an_unknown_option_offers_the_nearest() -> None:
    with pytest.raises(UserError, match=r"Unknown target option 'thread'\. Did you mean 'threads'\?"):
        Target.parse("local@thread=2")


@pytest.mark.parametrize("backend", BACKEND_OPTIONS)
def test_an_option_of_another_backend_is_refused_for_every_device(backend: str) -> None:
    values = {"threads": "2", "provider": "cpu", "graph": "all", "spin": "0", "state": "keep"}
    for name in OPTION_NAMES:
        target = f"pi/{backend}@{name}={values[name]}"
        if name in BACKEND_OPTIONS[backend]:
            assert str(Target.parse(target)) == target
        else:
            with pytest.raises(UserError, match=f"Unknown option of {backend} '{name}'.*(Known|Did you mean)"):
                Target.parse(target)


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="contains an option twice"):
        Target.parse("local@threads=2@threads=4")


@given(st.text(alphabet=string.printable, max_size=30))
def test_any_text_is_a_target_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UserError):
        assert Target.parse(text).threads >= 1


@pytest.mark.parametrize("texts", ["local, pi5,local", ["local", "pi5,local"]])
def test_targets_are_read_once_and_in_order(texts: str | list[str]) -> None:
    assert [str(target) for target in parse_targets(texts)] == ["local", "pi5"]


@pytest.mark.parametrize("texts", ["", ",", []])
def test_no_target_at_all_is_a_usage_error(texts: str | list[str]) -> None:
    with pytest.raises(UserError, match="No target given"):
        parse_targets(texts)


@pytest.mark.parametrize("text", ["phone@graph=alll", "pi5@spin=2", "local@state=kept"])
def test_a_value_that_an_option_cannot_have_is_refused_for_every_device(text: str) -> None:
    with pytest.raises(UserError, match="Unknown value of target option"):
        Target.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *(f"local/onnxruntime@graph={level}" for level in ("disable", "basic", "extended", "all")),
        *(f"local/onnxruntime@spin={spin}" for spin in "01"),
        *(f"local/litert@state={state}" for state in ("reset", "keep")),
        "local/tflite-runtime@provider=cpu@state=keep@threads=256",
        "local/openvino@provider=gpu@threads=1",
        "phone/ort-web@graph=all@provider=webgpu@threads=2",
        "phone/litert-js@provider=wasm@threads=2",
        "a_b-c.d/fake@provider=cpu@threads=9",
    ],
)
def test_every_option_that_a_backend_documents_is_taken(text: str) -> None:
    assert str(Target.parse(text)) == text


def test_what_is_wrong_with_a_target_is_said_with_the_whole_target() -> None:
    messages = {}
    for text in ("local@threads=0", "local@threads=257", "local@threads=2@threads=2", "pi/x/y"):
        with pytest.raises(UserError) as caught:
            Target.parse(text)
        messages[text] = caught.value.message

    assert messages == {
        "local@threads=0": "Target 'local@threads=0': threads: expected 1 to 256, got 0.",
        "local@threads=257": "Target 'local@threads=257': threads: expected 1 to 256, got 257.",
        "local@threads=2@threads=2": "Target 'local@threads=2@threads=2' contains an option twice.",
        "pi/x/y": "'pi/x/y' is not DEVICE[/BACKEND][@key=value].",
    }


def test_no_target_names_the_nearest_one() -> None:
    with pytest.raises(UserError) as caught:
        parse_targets([" ", ","])

    assert (caught.value.message, caught.value.hint) == ("No target given.", "--target local")


def test_options_are_refused_by_what_a_backend_knows_or_by_the_table() -> None:
    refuse_unknown_options(["anything"], "of another package")
    refuse_unknown_options([], "litert")
    refuse_unknown_options(["mine"], "litert", known=["mine"])
    with pytest.raises(UserError, match=r"^Unknown option of litert 'graph'\. Known: provider, state, threads\.$"):
        refuse_unknown_options(["threads", "graph"], "litert")
    with pytest.raises(UserError, match=r"^Unknown option of litert 'threads'\. Known: mine\.$"):
        refuse_unknown_options(["threads"], "litert", known=["mine"])


def test_a_target_in_a_document_has_no_other_fields() -> None:
    written = msgspec.json.encode(Target.parse("pi5/litert@threads=2"))

    assert msgspec.json.decode(written, type=Target) == Target.parse("pi5/litert@threads=2")
    with pytest.raises(msgspec.ValidationError, match="more"):
        msgspec.json.decode(written.replace(b'"device"', b'"more":1,"device"'), type=Target)


def test_an_option_of_a_file_is_none_of_a_target() -> None:
    with pytest.raises(UserError, match=r"^Unknown target option 'signature'"):
        Target.parse(f"local@{SIGNATURE}=encode")


@pytest.mark.parametrize(
    "backend", ["onnxruntime", "litert", "tflite-runtime", "openvino", "ort-web", "litert-js", "fake"]
)
def test_each_backend_of_edgekit_refuses_the_options_of_others(backend: str) -> None:
    with pytest.raises(UserError, match=f"^Unknown option of {backend} 'nothing'"):
        refuse_unknown_options(["nothing"], backend)

"""Promises of core/system/registry.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, MissingExtra, UserError
from edgekit.core.system.registry import Registry

TABLE = {"decoder": ("json:JSONDecoder", "reads JSON"), "encoder": ("json:JSONEncoder", "writes JSON")}


def module(folder: Path, name: str, source: str) -> None:
    (folder / f"{name}.py").write_text(source)


def distribution(folder: Path, entry_points: str) -> None:
    """A third party's installed distribution, as pip leaves it on the path."""
    info = folder / "edgekit_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edgekit-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_a_registered_name_gives_its_object() -> None:
    assert Registry("codec", TABLE).get("decoder")().decode("1") == 1


def test_names_come_in_the_order_of_the_table() -> None:
    registry = Registry("codec", TABLE)

    assert list(registry) == ["decoder", "encoder"]
    assert "encoder" in registry
    assert registry.plugins["encoder"].summary == "writes JSON"


def test_an_unknown_name_offers_the_nearest_and_the_command_that_lists() -> None:
    with pytest.raises(UserError) as caught:
        Registry("model", TABLE).get("decodr")

    assert caught.value.message == "Unknown model 'decodr'. Did you mean 'decoder'?"
    assert caught.value.hint == "edgekit list models"


def test_devices_are_listed_by_their_own_command() -> None:
    with pytest.raises(UserError) as caught:
        Registry("device", TABLE).get("pi5")

    assert caught.value.hint == "edgekit devices list"


def test_listing_imports_nothing() -> None:
    registry = Registry("model", {"broken": ("edgekit_no_such_module:Model", "")})

    assert list(registry) == ["broken"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("", "AttributeError: module 'bad_plugin' has no attribute 'Model'"),
    ],
)
def test_a_broken_plugin_stays_listed_with_its_error(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, "bad_plugin", source)
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("model", {"bad": ("bad_plugin:Model", ""), **TABLE})

    assert list(registry) == ["bad", "decoder", "encoder"]
    assert reason in registry.problem("bad")
    assert registry.problem("decoder") == ""
    with pytest.raises(EnvironmentFault, match="The model 'bad' is broken"):
        registry.get("bad")


def test_a_plugin_that_lacks_a_package_keeps_the_hint_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(
        tmp_path,
        "lacking_plugin",
        "from edgekit.core.system.optional import need\nneed('edgekit_no_such_package', extra='gpu')",
    )
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(MissingExtra) as caught:
        Registry("model", {"lacking": ("lacking_plugin:Model", "")}).get("lacking")

    assert caught.value.hint == 'pip install "onnxruntime-gpu>=1.20.1"'


def test_an_entry_point_of_an_installed_distribution_adds_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, "third_party_model", "class Outer:\n    class Net:\n        size = 7")
    distribution(tmp_path, "[edgekit.models]\ntheirs = third_party_model:Outer.Net\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("model", TABLE, group="edgekit.models")

    assert "theirs" in registry
    assert registry.get("theirs").size == 7


def test_a_broken_entry_point_breaks_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "[edgekit.models]\ntheirs = edgekit_no_such_module:Net\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("model", TABLE, group="edgekit.models")

    assert "edgekit_no_such_module" in registry.problem("theirs")
    assert [name for name in registry if not registry.problem(name)][:2] == ["decoder", "encoder"]


def test_an_entry_point_cannot_take_a_name_of_edgekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "[edgekit.models]\ndecoder = os:getcwd\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert Registry("model", TABLE, group="edgekit.models").plugins["decoder"].location == "json:JSONDecoder"


def test_an_object_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path, "loaded_once", "Model = object()")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("model", {"once": ("loaded_once:Model", "")})

    assert registry.get("once") is registry.get("once")

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

from edgekit.core.errors import UserError
from edgekit.core.recipe import ALIASES, RECIPES, REFUSED
from edgekit.core.reports.setup.list import Item, ModelListReport
from edgekit.core.system import documents
from edgekit.flows.list import kinds, listing

PLUGIN = "class Backend: ..."


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_has_names_with_a_summary(kind: str) -> None:
    items = listing(kind).items

    assert items
    assert all(item.name and item.summary for item in items)
    assert len({item.name for item in items}) == len(items)


def test_an_unknown_kind_offers_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'models'"):
        listing("model")


def test_every_model_has_its_size_its_work_and_where_its_weights_are() -> None:
    found = listing("models")

    assert isinstance(found, ModelListReport)
    items = {item.name: item for item in found.items}
    assert all(item.parameters and item.macs and item.task for item in items.values())
    assert items["cifar-resnet8"].weights.startswith("train first (terms of cifar10")
    assert items["mobilenetv2"].weights == "none (untrained, for latency tests only)"
    assert all(item.quality for item in items.values() if item.weights == "shipped")


def test_the_document_of_the_models_is_valid_against_its_schema() -> None:
    found = listing("models")

    jsonschema.validate(json.loads(documents.encode(found)), msgspec.json.schema(ModelListReport))


def test_recipes_are_listed_with_aliases_and_refusals() -> None:
    items: dict[str, Item] = {item.name: item for item in listing("recipes").items if isinstance(item, Item)}

    assert set(items) == {*RECIPES, *ALIASES, *REFUSED}
    assert all(items[name].problem.startswith("refused: ") for name in REFUSED)
    assert not any(items[name].problem for name in RECIPES)


def _listed_with(folder: Path, entry_points: str, kind: str) -> str:
    """What a process lists that finds a distribution with these entry points."""
    info = folder / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    code = f"from edgekit.flows.list import listing\nfor item in listing({kind!r}).items: print(item)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_a_plug_in_of_another_package_is_listed_with_its_origin(tmp_path: Path) -> None:
    (tmp_path / "other_plugin.py").write_text(PLUGIN)

    listed = _listed_with(tmp_path, "[edgekit.backends]\nmine = other_plugin:Backend\n", "backends")

    assert (
        "Item(name='mine', summary='plug-in other_plugin:Backend', origin='other_plugin:Backend', problem='')" in listed
    )


def test_a_broken_plug_in_breaks_no_other(tmp_path: Path) -> None:
    listed = _listed_with(tmp_path, "[edgekit.models]\nbad = no_such_module:MODEL\n", "models")

    assert "name='digits'" in listed
    assert "The model 'bad' is broken: ModuleNotFoundError" in listed

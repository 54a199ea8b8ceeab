"""A model that a library knows by name brings its preprocessing, its labels and its licence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.system.settings import Settings
from edgekit.flows.export import export
from edgekit.flows.opening.factories import in_library, named_factory
from edgekit.flows.opening.source import SourceOptions, open_source

# A library with the functions of timm that are called, and one small model.
LIBRARY = """
class Config:
    def to_dict(self):
        return dict(input_size=(3, 8, 8), crop_pct=0.5, crop_mode="center", interpolation="bilinear",
                    mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), num_classes=2, license="mit")

def is_model(name):
    return name == "tiny"

def list_models(pretrained):
    return ["tiny"]

def get_pretrained_cfg(name):
    return Config()

def create_model(name, pretrained):
    import torch
    assert name == "tiny" and pretrained
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 8), torch.nn.Flatten())
    net.load_state_dict({"0.weight": torch.ones(2, 3, 8, 8), "0.bias": torch.zeros(2)})
    return net
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text(LIBRARY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.slow
@pytest.mark.usefixtures("library")
def test_the_configuration_of_the_library_is_that_of_the_model() -> None:
    report = export("timm:tiny", out="made", to="onnx-fp32")

    assert report.spec is not None
    assert report.spec.name == "tiny"
    assert report.spec.licence == "mit"
    assert not report.spec.is_untrained
    assert report.spec.preprocessing == ImageInput(8, 8, 3, (0.5,) * 3, (0.25,) * 3, resize=(16,))
    assert [str(tensor) for tensor in report.spec.inputs] == ["image:float32[N,3,8,8]"]


@pytest.mark.slow
@pytest.mark.usefixtures("library")
def test_a_wrong_name_is_named_and_the_nearest_offered() -> None:
    with pytest.raises(UserError, match=r"timm has no model 'tini' with weights. Did you mean 'tiny'\?"):
        open_source("timm:tini", SourceOptions(), Settings())


@pytest.mark.usefixtures("library")
def test_only_a_bare_name_is_looked_up() -> None:
    assert in_library(named_factory("timm:resnet18.a1_in1k"))
    assert not in_library(named_factory("timm:create_model('tiny', pretrained=True)"))


def test_a_missing_library_is_installed_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(EnvironmentFault, match="'timm' is not installed") as caught:
        named_factory("timm:resnet18")

    assert caught.value.hint == "pip install timm"

"""What a deployed program of any language is made of, and the README that travels with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.spec.input_kinds import ArrayInput, AudioInput, ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.units import format_value
from edgekit.flows.deploying.program_settings import ProgramSettings, described, settings_of
from edgekit.flows.deploying.self_tests import Example, checked_cases, example, records
from edgekit.flows.opening.external_data import refuse_elsewhere, self_contained
from edgekit.runtime.portable import FOLDER

TEMPLATES: Final = FOLDER / "programs"
_CHANNELS: Final = (1, 3)
_WITHOUT: Final = ("float16", "str")
_MARKS: Final = "\\`*_{}[]()<>#|!&"


@dataclass(frozen=True)
class Parts:
    """What a program of any language is made of: the model's file, its settings, cases and an example."""

    model: Path
    settings: ProgramSettings
    cases: bytes
    case_count: int
    difference: float
    example: Example | None

    @property
    def model_file(self) -> str:
        """The name of the model's file in every program."""
        return f"model.{self.settings.format}"

    @property
    def test_files(self) -> dict[str, bytes]:
        """The files of the self-test, by their fixed names."""
        found = {"cases.bin": self.cases}
        if self.example is not None:
            found |= {self.example.name: self.example.content, "example.bin": self.example.expected}
        return found


@contextmanager
def parts_of(bundle: Bundle, artifact: Artifact) -> Iterator[Parts]:
    """The parts of a program, whose model is one file; the artifact runs its cases here once.

    Errors as in `self_contained`, `refuse_elsewhere`, `checked_cases` and `example`.
    """
    with self_contained(bundle.file(artifact)) as model:
        refuse_elsewhere(model, "a program")
        cases, shown = checked_cases(bundle, artifact), example(bundle.spec)
        settings = settings_of(bundle.spec, artifact, shown.name if shown else "")
        worst = max(case.difference for case in cases)
        yield Parts(model, settings, records(cases), len(cases), worst, shown)


def write_readme(parts: Parts, template: str, folder: Path, values: Mapping[str, str]) -> None:
    """README.md from `template`, the folder of a language."""
    text = Template((TEMPLATES / template / "README.md").read_text(encoding="utf-8"))
    common = {
        "name": marked(parts.settings.name),
        "artifact": marked(parts.settings.artifact),
        "size": format_value(parts.model.stat().st_size, "bytes"),
        "takes": described(parts.settings),
        "cases": str(parts.case_count),
        "model": parts.model_file,
    }
    (folder / "README.md").write_text(text.substitute(common, **values), encoding="utf-8")


def marked(text: str) -> str:
    """`text` for Markdown: a bundle's name must not become a link or HTML."""
    return "".join(f"\\{one}" if one in _MARKS else one for one in text)


def unwritten(spec: ModelSpec, language: str) -> str:
    """What the programs in C and JavaScript cannot do yet and this model needs; empty if nothing."""
    how = spec.preprocessing
    if not isinstance(how, ImageInput | AudioInput | ArrayInput):
        return f"preprocessing of kind '{type(how).__struct_config__.tag}' is not written in {language} yet"
    if isinstance(how, ImageInput) and not _fits(how):
        return f"images of {how.channels} channels, with {len(how.mean)} means, are not read in {language} yet"
    if isinstance(how, ImageInput) and how.letterbox is not None:
        return f"preprocessing with a letterbox is not written in {language} yet"
    if spec.states:
        return f"it continues a state from run to run, which is not written in {language} yet"
    strange = next((one.dtype for one in (*spec.inputs, *spec.outputs) if one.dtype in _WITHOUT), "")
    return f"{language} has no type of number '{strange}'" if strange else ""


def _fits(how: ImageInput) -> bool:
    lengths = (1, how.channels)
    return how.channels in _CHANNELS and len(how.mean) in lengths and len(how.std) in lengths and len(how.resize) <= 2

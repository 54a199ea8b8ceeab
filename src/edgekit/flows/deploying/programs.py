"""The programs that a bundle can become: one row a language, each with what it cannot do yet and how it is written."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.errors import UserError, unknown
from edgekit.core.spec import DTYPES, ImageInput, ModelSpec
from edgekit.core.system.files import zip_entry
from edgekit.core.units import format_value
from edgekit.flows.deploying.program_settings import ProgramSettings, described, settings_of
from edgekit.flows.deploying.self_tests import Example, checked_cases, example, records
from edgekit.runtime.portable import FOLDER
from edgekit.runtime.postprocessing import writes_text

TEMPLATES: Final = FOLDER / "programs"
PACKAGES: Final = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}
ZIPAPP: Final = "model.pyz"
_START: Final = b"import sys\nfrom model.deployed import main\n\nsys.exit(main(sys.argv[1:]))\n"


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
    def data(self) -> dict[str, bytes]:
        """The files that travel with the program, by their fixed names."""
        found = {"settings.json": self.settings.encoded(), "cases.bin": self.cases}
        if self.example is not None:
            found |= {self.example.name: self.example.content, "example.bin": self.example.expected}
        return found


@dataclass(frozen=True)
class Language:
    """One row of `LANGUAGES`: `refusal` says why it cannot run an artifact, empty if it can; `write` fills a folder."""

    summary: str
    refusal: Callable[[ModelSpec, Artifact], str]
    write: Callable[[Parts, Path], None]


def language_of(name: str) -> Language:
    """The row called `name`.

    Raises:
        UserError: There is none; the nearest is suggested.
    """
    if name not in LANGUAGES:
        raise unknown("language", name, LANGUAGES)
    return LANGUAGES[name]


def chosen(bundle: Bundle, language: str, recipe: str) -> Artifact:
    """The artifact of this recipe, or the first that a program in this language runs.

    Raises:
        UserError: There is none, with the reason of the language.
    """
    refusal = language_of(language).refusal
    found = [bundle.artifact(recipe)] if recipe else list(bundle.artifacts)
    reasons = [_refusal(bundle.spec, artifact) or refusal(bundle.spec, artifact) for artifact in found]
    for artifact, reason in zip(found, reasons, strict=True):
        if not reason:
            return artifact
    why = reasons[0] if reasons else "the bundle has no artifact"
    raise UserError(f"A program in '{language}' cannot run '{bundle.spec.name}': {why}.", hint="--for python")


def parts_of(bundle: Bundle, artifact: Artifact) -> Parts:
    """The parts of a program; the artifact runs its cases here once. Errors as in `checked_cases` and `example`."""
    cases, shown = checked_cases(bundle, artifact), example(bundle.spec)
    settings = settings_of(bundle.spec, artifact, shown.name if shown else "")
    worst = max(case.difference for case in cases)
    return Parts(bundle.file(artifact), settings, records(cases), len(cases), worst, shown)


def write_readme(parts: Parts, language: str, folder: Path, values: Mapping[str, str]) -> None:
    """README.md from the template of a language."""
    text = Template((TEMPLATES / language / "README.md").read_text(encoding="utf-8"))
    common = {
        "name": marked(parts.settings.name),
        "artifact": marked(parts.settings.artifact),
        "size": format_value(parts.model.stat().st_size, "bytes"),
        "takes": described(parts.settings),
        "cases": str(parts.case_count),
    }
    (folder / "README.md").write_text(text.substitute(common, **values), encoding="utf-8")


def marked(text: str) -> str:
    """`text` for Markdown: a bundle's name must not become a link or HTML."""
    return "".join(f"\\{one}" if one in "\\`*_{}[]()<>#|!&" else one for one in text)


def _refusal(spec: ModelSpec, artifact: Artifact) -> str:
    """Why no program can run an artifact."""
    if artifact.format not in PACKAGES:
        return f"there is no program for '.{artifact.format}'"
    if writes_text(spec):
        return "it generates text one token at a time; 'edgekit run' does that"
    strange = [one.dtype for one in (*artifact.inputs, *artifact.outputs) if one.dtype not in DTYPES[:-1]]
    return f"it has inputs or outputs of type '{strange[0]}'" if strange else ""


def _refused_by_python(spec: ModelSpec, artifact: Artifact) -> str:
    return ""


def _write_python(parts: Parts, folder: Path) -> None:
    write_zipapp(parts, folder / ZIPAPP)
    package = PACKAGES[parts.settings.format]
    is_image = isinstance(parts.settings.preprocessing, ImageInput)
    more = ", and Pillow for images" if is_image else ""
    install = f"pip install numpy {package}{' pillow' if is_image else ''}"
    write_readme(parts, "python", folder, {"package": package, "more": more, "install": install})


def write_zipapp(parts: Parts, path: Path) -> None:
    """The program as one zip that Python runs; equal parts give equal bytes."""
    modules = {name: (FOLDER / name).read_bytes() for name in ("inputs.py", "deployed.py", "runner.py")}
    files = {"__main__.py": _START, "model/__init__.py": b""}
    files |= {f"model/{name}": content for name, content in {**modules, **parts.data}.items()}
    with path.open("wb") as stream:
        stream.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, content in files.items():
                archive.writestr(zip_entry(name), content)
            archive.write(parts.model, f"model/model.{parts.settings.format}")
    path.chmod(0o755)


LANGUAGES: Final = {
    "python": Language("one file for Python, numpy and the backend", _refused_by_python, _write_python),
}

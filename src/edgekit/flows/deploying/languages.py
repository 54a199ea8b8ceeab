"""The languages of deployed programs, one row each, and the choice of an artifact that a language runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact, Bundle
from edgekit.core.errors import UserError, unknown
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import DTYPES
from edgekit.flows.deploying.c_program import refused_by_c, write_c, write_cpp
from edgekit.flows.deploying.js_program import refused_by_js, write_js
from edgekit.flows.deploying.kotlin_program import refused_by_kotlin, write_kotlin
from edgekit.flows.deploying.program_parts import Parts
from edgekit.flows.deploying.python_program import PACKAGES, refused_by_python, write_python
from edgekit.flows.deploying.systemd_service import write_systemd
from edgekit.runtime.postprocessing import writes_text


@dataclass(frozen=True)
class Language:
    """One row of `LANGUAGES`: `refusal` says why it cannot run an artifact, empty if it can; `write` fills a folder."""

    refusal: Callable[[ModelSpec, Artifact], str]
    write: Callable[[Parts, Path], None]


LANGUAGES: Final = {
    "python": Language(refused_by_python, write_python),
    "c": Language(refused_by_c, write_c),
    "cpp": Language(refused_by_c, write_cpp),
    "kotlin": Language(refused_by_kotlin, write_kotlin),
    "js": Language(refused_by_js, write_js),
    "systemd": Language(refused_by_python, write_systemd),
}


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


def _refusal(spec: ModelSpec, artifact: Artifact) -> str:
    """Why no program can run an artifact."""
    if artifact.format not in PACKAGES:
        return f"there is no program for '.{artifact.format}'"
    if writes_text(spec):
        return "it generates text one token at a time; 'edgekit run' does that"
    strange = [one.dtype for one in (*spec.inputs, *spec.outputs) if one.dtype not in DTYPES[:-1]]
    return f"it has inputs or outputs of type '{strange[0]}'" if strange else ""

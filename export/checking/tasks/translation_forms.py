"""Which output of a user's network contains the tokens of a text: the one that gives the texts of the samples best."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from msgspec import structs

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TokensOutput
from edgekit.runtime.tasks.transcripts import has_texts
from edgekit.runtime.tasks.translations import ENDS, TRANSLATION, corpus_bleu

# Samples on which the outputs are compared.
_TRIED: Final = 50


class TranslationReading(NamedTuple):
    """A reading of the outputs, and BLEU that the reference has with it, 0 to 100."""

    how: TokensOutput
    bleu: float


def with_translation_form(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the reading of its outputs, and a note of it; unchanged for other tasks and where it is known.

    Args:
        samples: With texts and the reference outputs.

    Raises:
        UserError: There is no vocabulary, or no outputs are tokens or scores of tokens in time.
        MissingExtra: sacrebleu is not installed.
    """
    if spec.task != TRANSLATION or spec.postprocessing is not None or not has_texts(samples):
        return spec, ()
    if not spec.labels:
        raise UserError(
            f"The texts of the samples need the vocabulary of '{spec.name}'.",
            hint="--labels FILE with a token per line, in the order of their numbers",
        )
    few = samples.take(slice(0, _TRIED))
    readings = [one for name in samples.expected if (one := _tried(spec, TokensOutput(name), few)) is not None]
    if not readings:
        shapes = ", ".join(f"{name} {array.dtype} {list(array.shape[1:])}" for name, array in samples.expected.items())
        raise UserError(
            f"No output of '{spec.name}' contains tokens, or scores of {len(spec.labels)} tokens, in time; per sample: "
            f"{shapes}.",
            hint="Return scores [N, time, vocabulary], or integers [N, time].",
        )
    best = max(readings, key=lambda one: one.bleu)
    return structs.replace(spec, postprocessing=best.how), (_note(best, spec, few),)


def _note(best: TranslationReading, spec: ModelSpec, samples: Samples) -> str:
    kind = "scores of tokens" if samples.expected[best.how.tokens].dtype.kind == "f" else "tokens"
    named = [name for name in ENDS if name in spec.labels]
    end = f"'{named[0]}' ends a text" if named else "no token ends a text"
    return f"'{best.how.tokens}' was read as {kind}, {end}: corpus_bleu {best.bleu:.1f} on the first samples"


def _tried(spec: ModelSpec, how: TokensOutput, samples: Samples) -> TranslationReading | None:
    try:
        score = corpus_bleu(samples.expected, samples, structs.replace(spec, postprocessing=how))
    except UserError:
        return None
    return TranslationReading(how, score(np.arange(len(samples))))

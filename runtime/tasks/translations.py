"""Text in the tokens that a sequence-to-sequence network returns, and how good translations are: BLEU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import TokensOutput
from edgekit.core.statistics.bootstrap import Rows, Statistic
from edgekit.core.system.optional import need
from edgekit.runtime.postprocessing import joined
from edgekit.runtime.tasks.transcripts import WORD_BEGIN, true_texts

TRANSLATION: Final = "translation"
# What libraries call the token after which a text is over, and those that are no part of it.
ENDS: Final = ("</s>", "<eos>", "<end>", "[SEP]", "<|endoftext|>")
_SILENT: Final = ("<pad>", "[PAD]", "<s>", "<bos>", "<begin>", "[CLS]")
# WordPiece continues words with it (Wu et al. 2016).
_WORD_CONTINUES: Final = "##"
# Axes of one sample: tokens in time, or scores of each token in time.
_TIME, _SCORES = 1, 2


def translation(outputs: Feed, spec: ModelSpec) -> str:
    """The text of one sample; errors as in `translations`."""
    return translations({name: array[:1] for name, array in outputs.items()}, spec)[0]


def translations(outputs: Feed, spec: ModelSpec) -> list[str]:
    """The text of each sample, up to the first token that ends one; of equal scores the first token counts.

    Args:
        outputs: Of S samples, `{name: (S, ...)}`.

    Raises:
        UserError: The output that the spec describes contains neither tokens nor scores of the vocabulary in time.
    """
    how = spec.postprocessing
    if not isinstance(how, TokensOutput):
        raise UserError(f"'{spec.name}' has no description of the tokens in its outputs.")
    if how.tokens not in outputs:
        raise UserError(f"The model has no output '{how.tokens}'; it has {', '.join(outputs)}.")
    return [_text(tokens, spec.labels) for tokens in _tokens(outputs[how.tokens], how.tokens, len(spec.labels))]


def corpus_bleu(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """BLEU of all texts together, 0 to 100; the metric of a network that translates.

    Raises:
        MissingExtra: sacrebleu, which counts the words, is not installed.
    """
    return ngram_counts(translations(outputs, spec), true_texts(samples)).score


@dataclass(frozen=True)
class NgramCounts:
    """Of S texts the n-grams that are right and all of them, (S, 4), and the lengths of the texts and references, (S,).

    BLEU of any choice of the texts follows from the sums (Papineni et al. 2002).
    """

    correct: NDArray[np.int64]
    total: NDArray[np.int64]
    lengths: NDArray[np.int64]
    true_lengths: NDArray[np.int64]

    def score(self, rows: Rows) -> float:
        """What `sacrebleu` computes for these texts together: `BLEU().corpus_score(...).score`."""
        correct, total = self.correct[rows].sum(axis=0).tolist(), self.total[rows].sum(axis=0).tolist()
        lengths = int(self.lengths[rows].sum()), int(self.true_lengths[rows].sum())
        return float(_bleu().compute_bleu(correct, total, *lengths, smooth_method="exp").score)


def ngram_counts(found: Sequence[str], true: Sequence[str]) -> NgramCounts:
    """The counts of each text against its reference, with the tokenizer 13a of sacrebleu; case counts."""
    metric = _bleu()()
    each = [metric.corpus_score([one], [[other]]) for one, other in zip(found, true, strict=True)]
    return NgramCounts(
        np.array([one.counts for one in each], np.int64),
        np.array([one.totals for one in each], np.int64),
        np.array([one.sys_len for one in each], np.int64),
        np.array([one.ref_len for one in each], np.int64),
    )


def _bleu() -> Any:
    return need("sacrebleu.metrics", extra="train").BLEU


def _tokens(array: Array, name: str, words: int) -> Iterator[NDArray[np.int64]]:
    """The tokens (T,) of each sample."""
    for one in array:
        axes = _SCORES if one.dtype.kind == "f" else _TIME
        flat = one[0] if one.ndim > axes and len(one) == 1 else one
        if flat.dtype.kind in "iu" and flat.ndim == _TIME:
            yield flat.astype(np.int64)
        elif flat.dtype.kind == "f" and flat.ndim == _SCORES and flat.shape[1] >= max(1, words):
            yield flat[~np.isnan(flat).any(axis=1)].argmax(axis=1)
        else:
            raise UserError(
                f"Output '{name}' has {array.dtype} of the shape {list(array.shape)}: neither tokens in time nor "
                f"scores of {words} tokens."
            )


def _text(tokens: NDArray[np.int64], vocabulary: Sequence[str]) -> str:
    words = []
    for token in tokens.tolist():
        word = vocabulary[token] if 0 <= token < len(vocabulary) else ""
        if word in ENDS:
            break
        if word and word not in _SILENT:
            words.append(word)
    return written(words)


def written(tokens: Sequence[str]) -> str:
    """Words, or pieces of SentencePiece or WordPiece, as a text."""
    if any(token.startswith(WORD_BEGIN) for token in tokens):
        return "".join(tokens).replace(WORD_BEGIN, " ").strip()
    return joined(tokens).replace(f" {_WORD_CONTINUES}", "")

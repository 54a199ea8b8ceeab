"""Text data: movie snippets with their sentiment, and pairs of sentences in two languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import Unreadable
from edgekit.core.samples import Array, Feed, Samples
from edgekit.runtime.readers import PADDING, UNKNOWN, words
from edgekit.train.data.dataset import Dataset, dataset, hold_back
from edgekit.train.data.dataset_checks import without_copies
from edgekit.train.data.dataset_files import find, read_plain

BEGIN, END = 2, 3

POLARITY = ("rt-polarity.neg", "rt-polarity.pos")
POLARITY_TERMS = "the snippets of rt_polarity (Pang and Lee 2005) state no licence"
POLARITY_LENGTH, POLARITY_WORDS = 48, 10_000

PAIRS = tuple(f"{split}.{language}.gz" for split in ("train", "val", "test_2016_flickr") for language in ("en", "de"))
PAIRS_TERMS = "multi30k has no licence file; its terms allow non-commercial research and education"
PAIRS_LENGTH, SOURCE_WORDS, TARGET_WORDS = 40, 5000, 6000
VALIDATION_PAIRS = 128
CAPTION_LENGTH, CAPTION_WORDS = 48, 3000
CAPTION_SPLITS = ("train", "val", "test_2016_flickr")
REFERENCE, REFERENCE_BYTES = "reference", 400


def vocabulary(sentences: Iterable[Sequence[str]], size: int, *, least: int = 2) -> tuple[str, ...]:
    """At most `size` entries: four special ones, then words that occur at least `least` times, most frequent first."""
    counts = Counter(word for sentence in sentences for word in sentence)
    ranked = sorted((-count, word) for word, count in counts.items() if count >= least)
    return ("<pad>", "<unknown>", "<begin>", "<end>", *(word for _, word in ranked[: size - 4]))


def encode(sentences: Sequence[Sequence[str]], known: Sequence[str], length: int, *, end: bool) -> NDArray[np.int64]:
    """Tokens (S, length), padded with 0; each sentence is cut, and ends with `END` if `end` is set."""
    places = {word: place for place, word in enumerate(known)}
    tokens = np.zeros((len(sentences), length), dtype=np.int64)
    for row, sentence in enumerate(sentences):
        found = [places.get(word, UNKNOWN) for word in sentence[: length - end]] + [END] * end
        tokens[row, : len(found)] = found
    return tokens


def rt_polarity(data: Path | None = None) -> Dataset:
    """Snippets as tokens int64 (S, 48), labels 0 (negative) and 1 (positive); a tenth each for validation and test."""
    folder = find("rt_polarity", POLARITY, data)
    texts = [_lines(folder / name) for name in POLARITY]
    labels = np.repeat([0, 1], [len(part) for part in texts]).astype(np.int64)
    sentences = [words(text) for part in texts for text in part]
    distinct = _distinct(sentences)
    # The split is by content, so it is drawn on words of all splits; the vocabulary is not.
    raw = encode(sentences, vocabulary(sentences, 1 << 30, least=1), POLARITY_LENGTH, end=False).take(distinct, axis=0)
    whole = Samples({"tokens": raw, "row": np.array(distinct)}, labels[distinct])
    rest, test = hold_back(whole, 0.1)
    train, validation = hold_back(rest, 0.11)
    known = vocabulary([sentences[row] for row in train.inputs["row"]], POLARITY_WORDS)
    train, validation, test = (_tokens(part, sentences, known) for part in (train, validation, test))
    # Snippets that differ in rare words alone are the same to a network.
    validation = without_copies(validation, test)
    train = without_copies(train, validation, test)
    return dataset(train, test, source="rt_polarity", validation=validation, facts={"vocabulary": known})


def multi30k(data: Path | None = None) -> Dataset:
    """English sentences and their German translations as tokens; the target input is shifted by one, after `BEGIN`."""
    folder = find("multi30k", PAIRS, data)
    train, validation, test = (_lines_of_pairs(folder, split) for split in ("train", "val", "test_2016_flickr"))
    known = (
        vocabulary((words(line) for line in train[0]), SOURCE_WORDS),
        vocabulary((words(line) for line in train[1]), TARGET_WORDS),
    )
    held = validation[0][:VALIDATION_PAIRS], validation[1][:VALIDATION_PAIRS]
    return dataset(
        _pairs(train, known, references=False),
        _pairs(test, known, references=True),
        source="multi30k en-de",
        validation=_pairs(held, known, references=True),
        facts={"source": known[0], "target": known[1]},
    )


def captions(data: Path | None = None) -> Dataset:
    """The English sentences of `multi30k`: tokens int64 (S, 48) after `BEGIN`, and as targets the token after each."""
    folder = find("multi30k", PAIRS, data)
    sentences = [[words(line) for line in _lines(folder / f"{split}.en.gz")] for split in CAPTION_SPLITS]
    known = vocabulary(sentences[0], CAPTION_WORDS)
    train, validation, test = (_continued(part, known) for part in sentences)
    validation = without_copies(validation, test)
    train = without_copies(train, validation, test)
    return dataset(train, test, source="multi30k en", validation=validation, facts={"vocabulary": known})


def _continued(sentences: list[list[str]], known: tuple[str, ...]) -> Samples:
    wanted = encode(sentences, known, CAPTION_LENGTH, end=True)
    tokens = np.concatenate([np.full((len(wanted), 1), BEGIN), wanted[:, :-1]], axis=1)
    tokens[wanted == PADDING] = PADDING
    return Samples({"tokens": tokens.astype(np.int64)}, None, {"logits": wanted})


def encoded(text: str) -> NDArray[np.uint8]:
    """The text in UTF-8, padded with zeros to `REFERENCE_BYTES`."""
    data = text.encode()[:REFERENCE_BYTES]
    return np.frombuffer(data.ljust(REFERENCE_BYTES, b"\0"), np.uint8)


def decoded(row: Array) -> str:
    """The text from which `encoded` made this row."""
    return row.tobytes().rstrip(b"\0").decode(errors="ignore")


def _lines_of_pairs(folder: Path, split: str) -> tuple[list[str], list[str]]:
    source, target = _lines(folder / f"{split}.en.gz"), _lines(folder / f"{split}.de.gz")
    if len(source) != len(target):
        raise Unreadable(f"'{folder}', {split}: {len(source)} English and {len(target)} German lines.")
    return source, target


def _pairs(
    texts: tuple[list[str], list[str]], known: tuple[tuple[str, ...], tuple[str, ...]], *, references: bool
) -> Samples:
    source = encode([words(line) for line in texts[0]], known[0], PAIRS_LENGTH, end=True)
    wanted = encode([words(line) for line in texts[1]], known[1], PAIRS_LENGTH, end=True)
    written = np.concatenate([np.full((len(wanted), 1), BEGIN), wanted[:, :-1]], axis=1)
    written[wanted == PADDING] = PADDING
    targets: Feed = {"logits": wanted}
    if references:
        targets[REFERENCE] = np.stack([encoded(line) for line in texts[1]])
    return Samples({"source": source, "written": written.astype(np.int64)}, None, targets)


def _tokens(part: Samples, sentences: list[list[str]], known: tuple[str, ...]) -> Samples:
    chosen = [sentences[row] for row in part.inputs["row"]]
    return Samples({"tokens": encode(chosen, known, POLARITY_LENGTH, end=False)}, part.labels)


def _distinct(sentences: list[list[str]]) -> list[int]:
    """The first row of every sentence that is longer than nothing."""
    seen: dict[tuple[str, ...], int] = {}
    for row, sentence in enumerate(sentences):
        if sentence:
            seen.setdefault(tuple(sentence[:POLARITY_LENGTH]), row)
    return sorted(seen.values())


def _lines(path: Path) -> list[str]:
    try:
        text = read_plain(path).decode("utf-8")
    except UnicodeDecodeError as err:
        raise Unreadable(f"'{path}' is damaged: {err}.") from err
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines:
        raise Unreadable(f"'{path}' is empty.")
    return [line for line in lines if line] if path.name in POLARITY else lines

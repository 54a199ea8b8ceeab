"""Reads what is said or written in files from a .json: an alphabet, and a text for each file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import Preprocessing
from edgekit.core.system.files import read_bytes
from edgekit.core.system.native.types import prepared
from edgekit.flows.reading.held import Held
from edgekit.flows.reading.sample_folders import read_transcribed


class _Transcripts(msgspec.Struct, frozen=True):
    """`alphabet` is in the order of the scores; `texts` are by the name of the file in the folder."""

    texts: dict[str, str]
    alphabet: tuple[str, ...] = ()


def contains_transcripts(table: Path) -> bool:
    """Whether a .json contains texts of files; it need not be right in other ways."""
    try:
        return "texts" in msgspec.json.decode(read_bytes(table), type=prepared(dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, RecursionError):
        return False


def read_transcripts(folder: Path, table: Path, how: Preprocessing | None) -> Held:
    """The images or sounds that `table` names, from `folder`, with the text of each, and the alphabet.

    Raises:
        UserError: Not of this form, no files, or as in `read_transcribed`.
    """
    try:
        found = msgspec.json.decode(read_bytes(table), type=prepared(_Transcripts))
    except (msgspec.DecodeError, RecursionError) as err:
        raise UserError(
            f"'{table}' does not contain texts of files: {err}.",
            hint='{"alphabet": ["<blank>", "<space>", "a"], "texts": {"1.wav": "a"}}',
        ) from err
    if not found.texts:
        raise UserError(f"'{table}' contains no texts.", hint="--labels FILE")
    return read_transcribed(folder, found.texts, found.alphabet, how)

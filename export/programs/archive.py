"""The entries of a `.pt2` archive: known ones are checked and copied, so that torch opens what was checked."""

from __future__ import annotations

import errno
import json
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgekit.core.errors import ModelUnreadable
from edgekit.export.programs.forms import refused_forms

MAX_GRAPH_BYTES: Final = 256 << 20
_GRAPH: Final = "models/model.json"
_KNOWN: Final = re.compile(
    r"archive_format|archive_version|byteorder|\.data/version|\.data/serialization_id|models/model\.json"
    r"|data/sample_inputs/model\.pt"
    r"|data/weights/(model_weights_config\.json|weight_\d+|model\.pt)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+|model\.pt)",
    re.ASCII,
)
# Texts that people store next to a program: torch reads them, and edgekit does not need them.
_DROPPED: Final = re.compile(r"extra/.+", re.DOTALL)
_ENCRYPTED: Final = 1
# What the standard library raises for archives whose numbers contradict each other.
_BROKEN_ZIP: Final = (
    zipfile.BadZipFile,
    ValueError,
    RecursionError,
    EOFError,
    struct.error,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
_HINT: Final = "Save it again with torch.export.save, or export from its source: edgekit export net.py:Net"


def copy_program(path: Path, target: Path) -> None:
    """Write the parts of the program at `path` that torch needs to `target`, each checked.

    torch and Python read damaged archives differently; `target` is written here, so that they cannot differ on it.

    Raises:
        ModelUnreadable: It is damaged, was not written by torch.export.save, or contains anything that torch would
            look up, evaluate, unpickle or load other than operators, plain expressions and tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _entries(archive)
            _refuse(path, _refused(archive, entries))
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as copy:
                for name, entry in entries.items():
                    with archive.open(entry) as source, copy.open(f"program/{name}", "w", force_zip64=True) as to:
                        shutil.copyfileobj(source, to, 1 << 20)
    except OSError as err:
        if err.errno != errno.EINVAL:
            raise
        raise ModelUnreadable(f"'{path}' is not a torch.export program: its parts are outside of it.") from err
    except _BROKEN_ZIP as err:
        raise ModelUnreadable(f"'{path}' is not a torch.export program: {_said(err)}.") from err


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The entries that are needed, by their names below the one folder that contains all of them."""
    found: dict[str, zipfile.ZipInfo] = {}
    folders = {entry.filename.partition("/")[0] for entry in archive.infolist()}
    for entry in archive.infolist():
        name = entry.filename.partition("/")[2]
        if name in found or len(folders) != 1:
            raise ValueError(f"it contains '{entry.filename[:80]}' twice, or outside of its folder")
        if not _DROPPED.fullmatch(name):
            found[name] = entry
    return found


def _refuse(path: Path, problems: Iterator[str]) -> None:
    for problem in problems:
        raise ModelUnreadable(f"'{path}' {problem}.", hint=_HINT)


def _refused(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Iterator[str]:
    """What is wrong with the entries, then with what is in them."""
    if _GRAPH not in entries:
        graphs = sum(name.startswith("models/") for name in entries)
        yield f"contains {graphs} torch.export programs in the current format, not 1"
    for name, entry in entries.items():
        if not _KNOWN.fullmatch(name):
            yield f"contains '{name[:80]}', which is not a part of a torch.export program"
        if entry.flag_bits & _ENCRYPTED or entry.compress_type != zipfile.ZIP_STORED:
            yield f"contains '{name[:80]}' encrypted or compressed, which torch.export.save does not write"
    for name, entry in entries.items():
        if name.endswith(".json"):
            yield from refused_forms(_document(archive, entry))


def _document(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> object:
    if entry.file_size > MAX_GRAPH_BYTES:
        raise ValueError(f"{entry.filename} unpacks to {entry.file_size} bytes")
    content: object = json.loads(archive.read(entry))
    return content


def _said(err: Exception) -> str:
    return next(iter(str(err).strip().splitlines()), type(err).__name__)

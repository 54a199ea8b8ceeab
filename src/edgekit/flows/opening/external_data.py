"""ONNX files whose weights are in other files: as one file, which every backend, device and reader takes.

The protobuf wire format is read without the package onnx, which machines that only measure do not have.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.core.refusals import refuse
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import copy_whole, ready_copy

MAX_BYTES: Final = (1 << 31) - 1
"""The most bytes that a protobuf, and so one ONNX file, can have."""
_COPIED_BYTES: Final = 1 << 22
_KEY: Final = b"location"
_RAW_DATA: Final = 9
_EXTERNAL_DATA: Final = 13
_DATA_LOCATION: Final = 14
_LENGTH_DELIMITED: Final = 2
_FIXED_BYTES: Final = {1: 8, 5: 4}
# Which fields of a message contain tensors, directly or further down, by the numbers in onnx.proto.
_INSIDE: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


@dataclass(frozen=True)
class _Slice:
    """`size` bytes of a file, from `start`."""

    file: Path
    start: int
    size: int

    def __len__(self) -> int:
        return self.size


_Piece = bytes | memoryview | _Slice


@contextmanager
def self_contained(path: Path) -> Iterator[Path]:
    """An .onnx file with its external data inside: `path` itself, or a file of that name that lasts as long as this.

    Any other path, and a file with more data than one file can contain, is `path` itself too.

    Raises:
        ModelUnreadable: A file of its data is missing or too short.
        Refused: Its data is outside its folder.
    """
    pieces = _pieces(path) if path.suffix == ".onnx" and path.is_file() else []
    if not pieces or sum(map(len, pieces)) > MAX_BYTES:
        yield path
        return
    with temporary_folder() as folder:
        whole = Path(folder) / path.name
        _write(pieces, whole)
        yield whole


def copy_model(source: Path, out: Path, *, force: bool = True) -> None:
    """Copy a bundle or model file to `out`, with its external data inside; with `force`, `out` is replaced.

    Data that one file cannot contain is copied to the folder of `out` under its own name. Errors as in
    `self_contained` and `copy_whole`.
    """
    with ready_model_copy(source, out, force=force):
        pass


@contextmanager
def ready_model_copy(source: Path, out: Path, *, force: bool = True) -> Iterator[None]:
    """Like `copy_model`: the copy is complete before the block, and becomes `out` if the block succeeds."""
    with self_contained(source) as whole:
        is_apart = whole.suffix == ".onnx" and whole.is_file()
        for file in {piece.file for piece in _pieces(whole) if isinstance(piece, _Slice)} if is_apart else ():
            copy = out.parent / file.relative_to(whole.resolve().parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_whole(file, copy)
        with ready_copy(whole, out, force=force):
            yield


def refuse_elsewhere(path: Path, device: str) -> None:
    """Raise for a file that still has external data: a device or a program, named `device`, receives one file.

    Raises:
        UserError: The file and its data are larger than an ONNX file can be.
    """
    size = sum(map(len, _pieces(path))) if path.suffix == ".onnx" else 0
    if size:
        raise UserError(
            f"'{path}' has {size / 1e9:.1f} GB with its external data, and {device} can receive 2.1 GB.",
            hint=f"edgekit export {path} --to onnx-int8 --out BUNDLE",
        )


def _pieces(path: Path) -> list[_Piece]:
    """What a file with the data inside consists of, in order; nothing if it has no external data."""
    if path.stat().st_size == 0:
        return []
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_KEY) < 0:
            return []
        copied = bytes(content)
    try:
        found = _rewritten(memoryview(copied), "model", path)
    except (IndexError, ValueError, RecursionError):
        return []  # the backend says what is wrong with a damaged file
    return found if any(isinstance(piece, _Slice) for piece in found) else []


def _rewritten(message: memoryview, kind: str, path: Path) -> list[_Piece]:
    """The pieces of a message, with the data of the tensors in it."""
    if kind == "tensor":
        return _tensor(message, path)
    pieces: list[_Piece] = []
    for number, whole, content in _fields(message):
        inside = _INSIDE[kind].get(number)
        pieces += [whole] if inside is None or content is None else _field(number, _rewritten(content, inside, path))
    return pieces


def _tensor(message: memoryview, path: Path) -> list[_Piece]:
    """The pieces of a TensorProto, whose data becomes its `raw_data`."""
    fields = list(_fields(message))
    entries = dict(_entry(content) for number, _, content in fields if number == _EXTERNAL_DATA and content is not None)
    if "location" not in entries:
        return [message]
    kept = [whole for number, whole, _ in fields if number not in (_EXTERNAL_DATA, _DATA_LOCATION, _RAW_DATA)]
    return [*kept, *_field(_RAW_DATA, [_slice(path, entries)])]


def _slice(path: Path, entries: Mapping[str, str]) -> _Slice:
    folder, location = path.resolve().parent, entries["location"]
    file = folder / location
    if not location or not file.resolve().is_relative_to(folder) or file.is_symlink():
        raise refuse("external-path", f"'{path}' with the data '{location}'")
    if not file.is_file():
        raise ModelUnreadable(
            f"'{path}' stores its weights in '{location}', which is not in the same folder.",
            hint=f"Copy '{location}' next to '{path.name}'.",
        )
    start, there = int(entries.get("offset") or 0), file.stat().st_size
    size = int(entries.get("length") or there - start)
    if start < 0 or size < 0 or start + size > there:
        raise ModelUnreadable(f"'{file}' is too short for the weights of '{path}': it is damaged or truncated.")
    return _Slice(file, start, size)


def _entry(message: memoryview) -> tuple[str, str]:
    """Key and value of a StringStringEntryProto."""
    texts = {number: bytes(content).decode() for number, _, content in _fields(message) if content is not None}
    return texts.get(1, ""), texts.get(2, "")


def _field(number: int, pieces: list[_Piece]) -> list[_Piece]:
    """A length-delimited field with these contents."""
    return [_varint(number << 3 | _LENGTH_DELIMITED) + _varint(sum(map(len, pieces))), *pieces]


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview | None]]:
    """Number, bytes, and contents (of a length-delimited one) of each field.

    Raises:
        IndexError: It is not a protobuf.
    """
    place = 0
    while place < len(message):
        start = place
        tag, place = _read_varint(message, place)
        content = None
        if tag & 7 == 0:
            _, place = _read_varint(message, place)
        elif tag & 7 == _LENGTH_DELIMITED:
            size, place = _read_varint(message, place)
            content = message[place : place + size]
            place += size
        else:
            place += _FIXED_BYTES.get(tag & 7, len(message) + 1)
        if place > len(message):
            raise IndexError(place)
        yield tag >> 3, message[start:place], content


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return value, place
        shift += 7


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _write(pieces: list[_Piece], target: Path) -> None:
    with target.open("wb") as out:
        for piece in pieces:
            if not isinstance(piece, _Slice):
                out.write(piece)
                continue
            with piece.file.open("rb") as stream:
                stream.seek(piece.start)
                left = piece.size
                while left:
                    left -= out.write(stream.read(min(left, _COPIED_BYTES)))

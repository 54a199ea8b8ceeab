"""Mutants of the files that become inputs: arrays, images, sounds, tables and texts, with checksums that fit."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any, Final

import numpy as np
from benchmarks.fuzz.values import TEXTS, WORDS, mutated_bytes, number, text

_DTYPES: Final = (
    *("<f4", ">f4", "<f8", "<f2", "|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u8", "<c8", "|O", "<U3", "|S3", "<M8[s]"),
    *("<m8", "|V4", "<f99", "f4", "", "x", "<f4,<f4", "float32", "<g"),
)


def npy(random: Random, array: Any = None) -> bytes:
    """An array with another header, or with other values."""
    array = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32) if array is None else array
    how = random.random()
    if how < 0.35:
        return _written(_other_array(random, array))
    shape = tuple(int(number(random, 3)) if random.random() < 0.4 else size for size in array.shape)
    descr = random.choice(_DTYPES) if random.random() < 0.4 else array.dtype.str
    fields = {"descr": descr, "fortran_order": random.choice((False, True)), "shape": shape}
    if how < 0.45:
        fields[random.choice(("descr", "fortran_order", "shape", "more"))] = random.choice((None, "x", (), [1], 3, {}))
    header = repr(fields) if how < 0.9 else text(random, repr(fields), ["(" * 9000, "{'a': " * 200, "9" * 9000, "1+1"])
    coded = header.encode("latin-1", "replace") + b"\n"
    version = random.choice((1, 1, 1, 2, 3, 9))
    size = struct.pack("<H", len(coded) % 65536) if version == 1 else struct.pack("<I", len(coded))
    body = array.tobytes()
    return b"\x93NUMPY" + bytes((version, 0)) + size + coded + random.choice((body, body, body[:-1], body * 2, b""))


def _other_array(random: Random, array: Any) -> Any:
    """Another shape, type or values."""
    values = array.astype(
        random.choice((array.dtype, np.float64, np.float16, np.int64, np.uint8, bool, "U5", "S5", complex))
    )
    if values.dtype.kind == "f" and values.size:
        with np.errstate(all="ignore"):
            values.flat[random.randrange(values.size)] = random.choice((np.nan, np.inf, -np.inf, 1e30, -0.0, 1e-40))
    return random.choice(
        (
            values,
            values,
            values[:0],
            values.ravel(),
            values[None],
            values.T,
            values[..., :1],
            np.zeros((0, 0)),
            values[0],
        )
    )


def _written(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def mutated_npz(random: Random, data: bytes) -> bytes:
    """The arrays of an archive with one changed, missing, called otherwise or twice there."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    place, how = random.randrange(len(entries)), random.random()
    name, content = entries[place]
    if how < 0.6:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            entries[place] = name, npy(random, arrays[name.removesuffix(".npy")])
    elif how < 0.68:
        del entries[place]
    elif how < 0.84:
        names = [
            "label.npy",
            "target:.npy",
            "target:y.npy",
            "noise:y.npy",
            "expected:y.npy",
            "input:.npy",
            "x.npy",
            "y",
        ]
        entries[place] = (
            text(random, name, names).replace("\0", "")[:60_000].encode("utf-8", "replace").decode(),
            content,
        )
    elif how < 0.9:
        entries.append((name, npy(random)))
    else:
        entries.append(("more.npy", npy(random)))
    found = io.BytesIO()
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(found, "w", random.choice((0, 8))) as archive:
        warnings.simplefilter("ignore")
        for one, what in entries:
            archive.writestr(zipfile.ZipInfo(one or "x"), what)
    return mutated_bytes(random, found.getvalue()) if random.random() < 0.1 else found.getvalue()


def npz(random: Random) -> bytes:
    """An archive of one or two arrays."""
    content = io.BytesIO()
    np.savez(content, x=np.ones((1, 3), np.float32), y=np.zeros((1, 2), np.float32))
    return mutated_npz(random, content.getvalue())


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(random: Random) -> bytes:
    """An image with another header, and with chunks that are wrong, twice there or too many; checksums are right."""
    width, height = (random.choice((8, 8, 1, 0, 5, 65535, 2**31 - 1, 40_000)) for _ in range(2))
    depth, color = random.choice((1, 2, 4, 8, 8, 8, 16, 0, 3)), random.choice((0, 0, 2, 3, 4, 6, 1, 7))
    head = struct.pack(">IIBBBBB", width, height, depth, color, *(random.choice((0, 0, 0, 1, 2)) for _ in range(3)))
    rows = zlib.compress(bytes(min(max(height, 1), 64) * (min(max(width, 1), 64) * 8 + 1)))
    chunks = [_chunk(b"IDAT", random.choice((rows, rows, rows[:-4], b"", mutated_bytes(random, rows))))]
    for _ in range(random.choice((0, 0, 1, 3))):
        kind = random.choice(
            (b"PLTE", b"tRNS", b"iTXt", b"zTXt", b"tEXt", b"gAMA", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"aaaa")
        )
        content = random.choice(
            (b"", random.randbytes(9), b"a\0\0" + zlib.compress(bytes(10**6)), bytes(768), b"a\0\1\0\0\0x")
        )
        chunks.insert(random.randrange(len(chunks) + 1), _chunk(kind, content))
    found = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + b"".join(chunks) + _chunk(b"IEND", b"")
    return mutated_bytes(random, found) if random.random() < 0.15 else found


def picture(random: Random, kind: str) -> bytes:
    """An image of another kind, with some bytes changed."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(content, kind)
    return mutated_bytes(random, content.getvalue())


def wav(random: Random) -> bytes:
    """A sound whose header names other numbers than there are, and with chunks that are odd."""
    form, channels = random.choice((1, 1, 1, 3, 6, 7, 0xFFFE, 0)), random.choice((1, 1, 1, 2, 0, 65535))
    rate, bits = (
        random.choice((16000, 16000, 8000, 44100, 0, 1, 2**32 - 1)),
        random.choice((16, 16, 8, 24, 32, 64, 0, 7)),
    )
    align = random.choice((channels * bits // 8 % 65536, 2, 0, 65535))
    head = struct.pack("<HHIIHH", form, channels, rate, rate * align % 2**32, align, bits)
    if form == 0xFFFE and random.random() < 0.7:
        head += struct.pack("<HHIHHII", 22, bits, 3, random.choice((1, 3, 9)), 0, 0x100000, 0xAA0038)[:24]
    data = random.randbytes(random.choice((128, 128, 0, 1, 127, 4000)))
    chunks = [(b"fmt ", head), (b"data", data)]
    for _ in range(random.choice((0, 0, 1, 2))):
        chunks.insert(
            random.randrange(3), (random.choice((b"LIST", b"fact", b"fmt ", b"data", b"cue ")), random.randbytes(7))
        )
    body = b"".join(
        name + struct.pack("<I", random.choice(WORDS) if random.random() < 0.08 else len(what)) + what
        for name, what in chunks
    )
    size = random.choice((len(body) + 4, len(body) + 4, 0, 2**32 - 1))
    found = random.choice((b"RIFF", b"RIFF", b"RIFF", b"RIFX", b"RF64")) + struct.pack("<I", size) + b"WAVE" + body
    return mutated_bytes(random, found) if random.random() < 0.15 else found


def csv(random: Random) -> bytes:
    """A table with cells, names or rows that are wrong."""
    rows = [["a", "b", "time"], *([str(row), str(row / 2), f"2026-01-01T00:0{row}:00"] for row in range(6))]
    for _ in range(random.choice((1, 1, 2, 3))):
        row = random.choice(rows)
        if row:
            row[random.randrange(len(row))] = random.choice(
                (*TEXTS[:40], "nan", "inf", "1e999", "1,5", '"', "0x1", "1_0", "٣")
            )
        if random.random() < 0.2:
            rows.insert(random.randrange(len(rows) + 1), random.choice(([], ["1"], ["1"] * 9, ["9" * 200_000])))
    found = random.choice(("\n", "\n", "\r\n", "\r", ";\n")).join(
        random.choice((",", ",", ";", "\t")).join(row) for row in rows
    )
    data = found.encode("utf-8", "surrogatepass")
    return random.choice(
        (data, data, data, b"\xef\xbb\xbf" + data, found.encode("utf-16", "surrogatepass"), mutated_bytes(random, data))
    )


def sentence(random: Random) -> bytes:
    """A text, as long or as odd as texts can be."""
    found = " ".join(random.choice((*TEXTS, "a", "man", "rides")) for _ in range(random.choice((0, 1, 3, 30))))
    data = found.encode("utf-8", "surrogatepass")
    return random.choice((data, data, data + b"\xff\xfe", data * 50, found.encode("utf-16")))


_MAKERS: Final[dict[str, Callable[[Random], bytes]]] = {
    "npy": npy,
    "npz": npz,
    "png": png,
    "jpg": lambda random: picture(random, "jpeg"),
    "bmp": lambda random: picture(random, "bmp"),
    "wav": wav,
    "csv": csv,
    "txt": sentence,
}


def mutated(random: Random, suffix: str) -> bytes:
    """A hostile file of the kind that a suffix names."""
    return _MAKERS[suffix](random)

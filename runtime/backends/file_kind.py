"""What a file looks like from its first bytes, for errors about files that are not models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgekit.core.errors import EdgekitError, ModelUnreadable, UserError
from edgekit.core.system.native import memory_limit

_MAGIC = (
    (b"PK\x03\x04", "a zip archive, such as a bundle or a PyTorch checkpoint"),
    (b"\x89HDF", "an HDF5 file, such as a Keras model"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x80", "a Python pickle"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file with 'git lfs pull'"),
    (b"\x7fELF", "a program"),
    (b"\x93NUMPY", "a NumPy array"),
)
_TFLITE = b"TFL3"
_KINDS = {"onnx": "ONNX", "tflite": "TFLite"}
_MAKE = "edgekit export SOURCE --out BUNDLE"
_ORT = b"ORTM"
_TEXT = bytes(range(32, 127)) + b"\t\n\r"


def refuse_undecodable(path: Path) -> None:
    """Raise for a path that no library can be given: it takes paths as UTF-8.

    Raises:
        UserError: The path contains other bytes.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as err:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise UserError(f"The path '{shown}' is not UTF-8.", hint="Rename the file or its folder.") from err


def looks_like(head: bytes) -> str:
    """What a file that starts with `head` seems to be."""
    if not head:
        return "an empty file"
    if head[4:8] == _TFLITE:
        return "a TFLite model"
    if head[4:8] == _ORT:
        return "a model in ONNX Runtime's own format"
    if head[8:9] == b"{" and head[7:8] == b"\0":
        return "a safetensors file"
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        return "an ONNX model"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return "a text file" if not head.strip(_TEXT) else "an unknown binary file"


def head_of(path: Path, count: int = 64) -> bytes:
    """The first bytes of a model file.

    Raises:
        ModelUnreadable: The file does not exist or cannot be read.
    """
    if path.is_dir():
        raise ModelUnreadable(f"'{path}' is a folder, not a model.")
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except FileNotFoundError as err:
        raise ModelUnreadable(f"There is no model at '{path}'.", hint=_MAKE) from err
    except OSError as err:
        raise ModelUnreadable(f"Cannot read '{path}': {err.strerror or err}.") from err


def not_a_model(path: Path, kind: str, why: str = "") -> ModelUnreadable:
    """The error for a file that is not a model in format `kind`, with what it looks like instead.

    Where `why` is that memory was refused, the limit is the error.
    """
    if (too_large := memory_limit.exceeded(why)) is not None:
        return too_large
    reason = f" The backend reports: {why.strip().rstrip('.')}." if why.strip() else ""
    like = looks_like(head_of(path))
    if kind in like:
        return ModelUnreadable(f"'{path}' is a damaged or truncated {kind} model.{reason}", hint=_MAKE)
    return ModelUnreadable(f"'{path}' is not in {kind} format: it looks like {like}.{reason}", hint=_MAKE)


def is_tflite(head: bytes) -> bool:
    """True if a file that starts with `head` has the identifier of a TFLite model."""
    return head[4:8] == _TFLITE


@contextlib.contextmanager
def consistent(path: Path, form: str) -> Iterator[None]:
    """Translate what readers raise where a part of a file leads to another that is not there, or contradicts it.

    Args:
        form: The format of the file, as artifacts name it.

    Raises:
        ModelUnreadable: The file is damaged.
    """
    try:
        yield
    except (EdgekitError, MemoryError):
        raise
    except Exception as err:  # indices, shapes, types and attributes that are wrong raise a dozen classes
        raise not_a_model(path, _KINDS.get(form, form), str(err).partition("\n")[0]) from err

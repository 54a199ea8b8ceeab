"""Versioned JSON documents: encode and decode."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from edgekit.core.errors import EdgekitError, Unreadable, UserError
from edgekit.core.system.files import read_bytes, write_atomic
from edgekit.core.system.installation import origin
from edgekit.core.system.native.types import prepared

D = TypeVar("D")
# What msgspec raises for bytes that are not JSON, or not JSON of the right form.
BROKEN_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_EMPTY: Final[tuple[object, ...]] = ("", (), [], {}, None)
_LONGEST: Final = 80


class Document(msgspec.Struct, frozen=True):
    """What is kept as JSON. Its repr is one short line: raw values would fill pages of a console or of a log."""

    def __repr__(self) -> str:
        names = (name for name in self.__struct_fields__ if name != "schema_version")
        shown = ((name, getattr(self, name)) for name in names)
        parts = ", ".join(f"{name}={_brief(value)}" for name, value in shown if value not in _EMPTY)
        return f"{type(self).__name__}({parts})"


def _brief(value: object) -> str:
    """A text or number as it is, anything that contains others by its kind and length."""
    if isinstance(value, msgspec.Struct):
        return f"{type(value).__name__}(...)"
    if isinstance(value, tuple | list):
        kinds = {type(one).__name__ for one in value}
        return f"<{len(value)} {kinds.pop() if len(kinds) == 1 else 'values'}>"
    if isinstance(value, dict):
        return f"<{len(value)} entries>"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]}...{text[-1]}"


def now() -> str:
    """The current time in UTC, as every document records it: ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def source_date() -> str:
    """The time that SOURCE_DATE_EPOCH names for everything that is built, or an empty text.

    Raises:
        UserError: It is not a number of seconds since 1970.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(text), UTC).isoformat(timespec="seconds") if text else ""
    except (ValueError, OverflowError, OSError) as err:
        raise UserError(
            f"SOURCE_DATE_EPOCH is '{text}', not a time in seconds.", hint="unset SOURCE_DATE_EPOCH"
        ) from err


def encode(document: Any) -> bytes:
    """Indented UTF-8 JSON with a final newline; not-a-number becomes null, and a byte that is not UTF-8 `\\udcff`."""
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:  # a file name may contain any bytes
        encoded = msgspec.json.encode(with_texts(document, _encodable))
    return msgspec.json.format(encoded, indent=2) + b"\n"


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of `value` with `change` applied to every text in it, also to those inside of documents and to keys."""
    if isinstance(value, str):
        changed = change(value)
        return value if changed == value else changed
    if isinstance(value, msgspec.Struct):
        fields = {name: with_texts(getattr(value, name), change) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, tuple | list):
        return type(value)(with_texts(one, change) for one in value)
    if isinstance(value, dict):
        return {with_texts(key, change): with_texts(one, change) for key, one in value.items()}
    return value


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def write(path: Path, document: Any) -> None:
    """Write `document` to `path`, completely or not at all."""
    write_atomic(path, encode(document))


def decode(data: bytes, kind: type[D], *, what: str, newest: int, error: type[EdgekitError] = Unreadable) -> D:
    """A document of type `kind`.

    Raises:
        Unreadable (or `error`): It is not JSON, a field is wrong (with its path), or the schema is newer than `newest`.
    """
    _refuse_newer(data, what, newest, error)
    try:
        return msgspec.json.decode(data, type=prepared(kind))
    except BROKEN_JSON as err:
        raise error(f"{what} is damaged: {err}.") from err


def read(path: Path, kind: type[D], *, newest: int, error: type[EdgekitError] = Unreadable) -> D:
    """The document in the file `path`; errors as in `decode`."""
    return decode(read_bytes(path, error), kind, what=f"'{path}'", newest=newest, error=error)


def canonical(document: Any) -> bytes:
    """Compact JSON with sorted keys: the bytes that checksums are computed from."""
    return json.dumps(msgspec.to_builtins(document), sort_keys=True, separators=(",", ":")).encode()


def _refuse_newer(data: bytes, what: str, newest: int, error: type[EdgekitError]) -> None:
    try:
        version = json.loads(data).get("schema_version")
    except (ValueError, AttributeError, RecursionError) as err:
        raise error(f"{what} is not an edgekit JSON document.") from err
    if not isinstance(version, int) or version < 1:
        raise error(f"{what} has no schema_version.")
    if version > newest:
        message = f"{what} has schema {version}; this edgekit reads up to {newest}."
        raise error(message, hint=origin().upgrade)

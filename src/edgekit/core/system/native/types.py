"""Types that msgspec knows before threads use them."""

from __future__ import annotations

import threading
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")
_PREPARED: Final[set[object]] = set()
_PREPARING: Final = threading.Lock()


def prepared(kind: T) -> T:
    """`kind` itself, once msgspec knows its fields: `msgspec.convert(value, prepared(Kind))`.

    msgspec looks at them when it first meets a type, and two threads that do so at once can crash the process (0.22).
    """
    if kind not in _PREPARED:
        with _PREPARING:
            msgspec.json.Decoder(kind)
            _PREPARED.add(kind)
    return kind

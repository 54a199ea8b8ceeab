"""Reads a .tflite file with the generated classes of its schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from edgekit.core.errors import EdgekitError, ModelUnreadable
from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.tflite_types import ModelT

T = TypeVar("T")


def read_file(path: Path, read: Callable[[ModelT, ModuleType], T]) -> T:
    """What `read` makes of the content of the file, and of the schema, which has the names of its numbers.

    Raises:
        ModelUnreadable: It is not a TFLite model.
    """
    schema = need("ai_edge_litert.schema_py_generated", extra="tflite")
    try:
        return read(schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0), schema)
    except EdgekitError:
        raise
    except Exception as err:  # the schema raises whatever its offsets lead to
        raise ModelUnreadable(f"'{path}' is not a TFLite model: {err}.") from err


def names_in(enumeration: type) -> dict[int, str]:
    """The names of the numbers of an enumeration of the schema, such as `BuiltinOperator`."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}

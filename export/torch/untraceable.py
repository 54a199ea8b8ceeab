"""Why a module cannot be traced, in words that its author can act on. Runs in the worker."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError

_FRAME: Final = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in \w+\n\s*(?P<code>[^\n]*)')
_STANDARD_LIBRARY: Final = Path(os.__file__).resolve().parent
_OWN_CODE: Final = re.compile(r"site-packages|<|/lib/python")


def untraceable(err: BaseException, hint: str = "") -> UserError | None:
    """The UserError for code whose path depends on the values of its inputs; None for any other failure.

    Names the line if torch reports it.
    """
    for one in _chain(err):
        name, text = type(one).__name__, str(one)
        if "DataDependent" in name or "data-dependent" in text.lower():
            return UserError(
                f"The module's control flow depends on the values of its inputs; an exported file does not support that"
                f"{_place(one)}.",
                hint=hint or "Compute both branches and choose with torch.where.",
            )
    return None


# What TFLite lacks, by words of its converter's errors: the reason, and what the module can do instead.
_LACKING: Final = (
    (
        re.compile(r"complex(64|128|<)"),
        "The module computes with complex numbers, which TFLite does not have",
        "Take the real and imaginary parts with torch.view_as_real, and compute with these.",
    ),
    (
        re.compile(r"_pack_padded_sequence|PackedSequence|zeros\(\): argument 'size' failed to unpack"),
        "The module packs sequences by their lengths, whose shapes depend on the values of an input",
        "Run the recurrent layer on the padded batch, and select with the lengths afterwards: y[rows, lengths - 1]",
    ),
)
_NO_OPERATOR: Final = re.compile(r"Lowering not found: (\w+(?:[.:]+\w+)*)")


def unsupported_in_tflite(err: BaseException) -> UserError | None:
    """The UserError for what no TFLite file can contain; None for any other failure."""
    texts = "\n".join(str(one) for one in _chain(err))
    for words, reason, hint in _LACKING:
        if words.search(texts):
            return UserError(f"{reason}.", hint=hint)
    found = _NO_OPERATOR.search(texts)
    if found:
        name = found[1].removesuffix(".default")
        return UserError(
            f"The module uses '{name}', which the TFLite converter cannot write.",
            hint="--to onnx-fp32, or compute it from other operators",
        )
    return None


def first_line(err: BaseException) -> str:
    """The innermost error in one line: torch wraps its errors in pages of advice."""
    inner = list(_chain(err))[-1]
    text = next((line.strip() for line in str(inner).splitlines() if line.strip()), "")
    return f"{type(inner).__name__}: {text}" if text else type(inner).__name__


def code_place(err: BaseException, default: str = "") -> str:
    """`file:line` of the last frame of `err` outside installed packages, or `default`."""
    frames = [frame for frame in traceback.extract_tb(err.__traceback__) if not _is_foreign(Path(frame.filename))]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else default


def is_foreign_file(name: str) -> bool:
    """Whether a frame of this file is of no interest to the author of a module."""
    return _is_foreign(Path(name))


def _is_foreign(path: Path) -> bool:
    """True for files that Python, pip or edgekit brought, and for code without a file."""
    return (
        not path.is_file()
        or "site-packages" in path.parts
        or path.resolve().is_relative_to(_STANDARD_LIBRARY)
        or path.resolve().is_relative_to(Path(__file__).resolve().parents[1])
    )


def _chain(err: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = err
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__
    return chain


def _place(err: BaseException) -> str:
    frames = [match for match in _FRAME.finditer(str(err)) if not _OWN_CODE.search(match["file"])]
    if frames:
        code = frames[-1]["code"].strip()
        return f": {frames[-1]['file']}:{frames[-1]['line']}{f' `{code}`' if code else ''}"
    place = code_place(err)
    return f": {place}" if place else ""

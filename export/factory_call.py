"""The text that names a factory and its arguments: `net.py:Net`, `package.module:function('name', size=2)`, `hf:NAME`.

Arguments are literals. Nothing is imported and nothing is run here.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError

# The short form of a model of Hugging Face's transformers; what follows is a folder or a name, and no call.
HUGGING_FACE: Final = "hf"
_FILE: Final = re.compile(r"(?P<place>.*?\.py):(?P<call>.*)", re.DOTALL)
_PACKAGE: Final = re.compile(r"(?P<place>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<call>.*)", re.DOTALL)
_UNSAFE: Final = re.compile(r"[^\w.-]+")
_MOST_SHOWN: Final = 80


@dataclass(frozen=True)
class FactoryCall:
    """A function or class, the file or package it is in, and the arguments that it is called with.

    Of `hf:NAME`, the place is `hf`, the only argument is the name, and `function` is empty.
    """

    place: str
    function: str
    arguments: tuple[object, ...] = ()
    keywords: dict[str, object] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Whether `place` is a file."""
        return self.place.endswith(".py")

    @property
    def name(self) -> str:
        """What the network is called: the first text it is given, as `create_model('NAME')`, or the function."""
        text = next((one for one in self.arguments if isinstance(one, str) and one.strip("./")), "")
        return _UNSAFE.sub("-", Path(text).name) or self.function.partition(".")[0]

    def at(self, place: str) -> str:
        """The text of the same call at another place."""
        if not self.function:
            return f"{place}:{self.arguments[0]}"
        given = [*map(repr, self.arguments), *(f"{key}={value!r}" for key, value in self.keywords.items())]
        return f"{place}:{self.function}" + (f"({', '.join(given)})" if given else "")

    def __str__(self) -> str:
        return self.at(self.place)


def is_factory(source: str) -> bool:
    """Whether `source` has the form of a factory: a Python file, or a package and a name."""
    return source.endswith(".py") or _split(source) is not None


def parse_factory(source: str) -> FactoryCall:
    """The factory that `source` names.

    Raises:
        UserError: No function is named, or an argument is not a literal.
    """
    found = _split(source)
    if found is None or not found[1].strip():
        raise UserError(
            f"'{source}' does not name the function that makes the model.", hint=f"{source.rstrip(':')}:Net"
        )
    place, text = found
    if place == HUGGING_FACE:
        return FactoryCall(place, "", (text.strip(),))
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise _not_a_call(source, text) from err
    call = body if isinstance(body, ast.Call) else ast.Call(body, [], [])
    function = _dotted(call.func)
    if not function:
        raise _not_a_call(source, text)
    return FactoryCall(place, function, *_literals(source, call))


def _split(source: str) -> tuple[str, str] | None:
    """The place and the call."""
    found = _FILE.fullmatch(source) or _PACKAGE.fullmatch(source)
    return (found["place"], found["call"]) if found else None


def _dotted(node: ast.expr) -> str:
    """`Class.method` as text; empty for anything but names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _literals(source: str, call: ast.Call) -> tuple[tuple[object, ...], dict[str, object]]:
    try:
        if any(one.arg is None for one in call.keywords):
            raise ValueError
        keywords = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
        return tuple(map(ast.literal_eval, call.args)), keywords
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as err:
        raise UserError(
            f"The arguments of '{_short(source)}' are not all literals: numbers, texts, True, False, None, lists, "
            "dictionaries.",
            hint="Put the call into a function of a file: net.py:make",
        ) from err


def _not_a_call(source: str, text: str) -> UserError:
    return UserError(
        f"'{_short(text)}' in '{_short(source)}' is neither a function nor a call of one.",
        hint='edgekit build "net.py:make(width=2)"',
    )


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"

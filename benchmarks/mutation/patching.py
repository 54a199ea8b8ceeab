"""Puts the code of a mutant into functions that are already imported, so that a mutant costs no import."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import CodeType, FunctionType

# The qualified name of a function and the line on which it begins.
Place = tuple[str, int]
Codes = dict[Place, CodeType]
Functions = dict[Place, list[FunctionType]]


def changed_functions(source: str, mutated: str, path: str) -> Codes | None:
    """The new code by qualified name and first line of each function that differs.

    None if the import of the module itself would run other code: a constant, a field of a class, a default.
    """
    pair = (compile(text, path, "exec", dont_inherit=True) for text in (source, mutated))
    found: Codes = {}
    for old, new in _pairs(*pair):
        if new is None:
            return None
        if _is_function(old):
            if _content(old, deep=True) != _content(new, deep=True):
                found[old.co_qualname, old.co_firstlineno] = new
        elif _content(old, deep=False) != _content(new, deep=False):
            return None
    return found or None


def functions_at(path: str) -> Functions:
    """Every function of this process whose code comes from the file."""
    found: Functions = {}
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename == path:
            found.setdefault((one.__code__.co_qualname, one.__code__.co_firstlineno), []).append(one)
    return found


def patch(functions: Functions, changed: Codes) -> bool:
    """Give the functions their new code; False if one of them is not there, or has another closure."""
    for place, code in changed.items():
        for one in functions.get(place, ()):
            if one.__code__.co_freevars != code.co_freevars:
                return False
            one.__code__ = code
    return all(place in functions for place in changed)


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType | None]]:
    """The module, its classes and its functions, next to those of the mutant; None where it has others."""
    yield old, new
    if _is_function(old):
        return
    inner_old, inner_new = _inner(old), _inner(new)
    if [code.co_name for code in inner_old] != [code.co_name for code in inner_new]:
        yield old, None
        return
    for one, other in zip(inner_old, inner_new, strict=True):
        yield from _pairs(one, other)


def _inner(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _is_function(code: CodeType) -> bool:
    # CO_OPTIMIZED: functions have it, modules and classes have not.
    return bool(code.co_flags & 1)


def _content(code: CodeType, *, deep: bool) -> tuple[object, ...]:
    """What the code does, without the lines on which it stands."""
    constants = tuple(
        (_content(one, deep=True) if deep else one.co_name) if isinstance(one, CodeType) else (type(one), repr(one))
        for one in code.co_consts
    )
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, constants, names, code.co_flags, code.co_argcount, code.co_kwonlyargcount

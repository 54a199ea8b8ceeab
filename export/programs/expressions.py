"""Which expressions a saved program may contain. torch evaluates sizes and guards as Python when it loads them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

_MAX_LENGTH: Final = 4000
_MAX_INTEGER: Final = 1 << 64
# The product of all exponents on one path: powers of powers would take all memory.
_MAX_POWER: Final = 1024
# Words as keys: a quote or a backslash would end the text in which torch puts them.
PLAIN: Final = re.compile(r"[\w.,:;+*/@%^=<>?|~ -]*", re.ASCII)
_CHARACTERS: Final = re.compile(r"[\w '.,()\[\]+\-*/%<>=!&|]*", re.ASCII)
_SYMBOL: Final = re.compile(r"[a-z_]+\d{1,6}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,400}(\.\d{1,400})?(e[+-]?\d{1,3})?", re.ASCII)
_CONSTANTS: Final = frozenset(("oo", "int_oo", "true", "false", "True", "False", "inf"))
_POWERS: Final = frozenset(("Pow", "PowByNatural", "FloatPow", "LShift", "RShift", "RoundDecimal"))
_SIZE_FUNCTIONS: Final = frozenset(
    (
        *("Integer", "Rational", "Add", "Mul", "Max", "Min", "Abs", "floor", "ceiling", "And", "Or", "Not"),
        *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "LessThan", "GreaterThan"),
        *("StrictLessThan", "StrictGreaterThan", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod"),
        *("CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "FloatTrueDiv", "IntTrueDiv", "TruncToFloat"),
        *("TruncToInt", "RoundToInt", "ToFloat", "Identity", "IsNonOverlappingAndDenseIndicator", *_POWERS),
    )
)
_GUARD_FUNCTIONS: Final = frozenset(
    (
        *("max", "min", "abs", *_SIZE_FUNCTIONS - {"Integer", "Rational", "Add", "Mul"}),
        *(f"math.{name}" for name in ("trunc", "floor", "ceil", "sqrt", "isnan")),
        *(f"torch.sym_{name}" for name in ("float", "int", "max", "min", "not", "ite", "sqrt")),
    )
)
_MEASURES: Final = ("size", "stride", "storage_offset", "dim", "numel")
_Judge: TypeAlias = "Callable[[ast.expr, _Grammar, int], bool]"


@dataclass(frozen=True)
class _Grammar:
    """What one kind of expression may call, and its further forms."""

    functions: frozenset[str]
    further: _Judge


def is_size(text: str) -> bool:
    """Whether `text` is an expression of symbols and numbers as torch.export writes sizes: `Add(Symbol('s0'), …)`."""
    return _is(text, _SIZES)


def is_guard(text: str) -> bool:
    """Whether `text` is a condition on the sizes of inputs, such as `L['x'].size()[0] <= 8`."""
    return _is(text, _GUARDS)


def _is(text: str, grammar: _Grammar) -> bool:
    if len(text) > _MAX_LENGTH or not _CHARACTERS.fullmatch(text):
        return False
    try:
        return _allowed(ast.parse(text, mode="eval").body, grammar, _MAX_POWER)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _allowed(node: ast.expr, grammar: _Grammar, power: int) -> bool:
    """Whether a node and all below it have known forms; `power` is what the exponents above it leave."""
    match node:
        case ast.Constant(value=bool()):
            return True
        case ast.Constant(value=int(number)):
            return abs(number) < _MAX_INTEGER
        case ast.Constant(value=float(number)):
            return abs(number) < float("inf")
        case ast.Name(id=name):
            return name in _CONSTANTS or bool(_SYMBOL.fullmatch(name))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            return _allowed(operand, grammar, power)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return _raised(base, exponent, grammar, power)
        case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.FloorDiv() | ast.Mod(), right):
            return _all((left, right), grammar, power)
        case ast.BinOp(left, ast.BitAnd() | ast.BitOr(), right):
            return _all((left, right), grammar, power)
        case ast.BoolOp(values=values):
            return _all(values, grammar, power)
        case ast.Compare(left=left, ops=kinds, comparators=others):
            return _compares(kinds) and _all((left, *others), grammar, power)
        case ast.Call(func=function, args=arguments, keywords=[]) if ast.unparse(function) in grammar.functions:
            if ast.unparse(function) in _POWERS:
                return len(arguments) == 2 and _raised(arguments[0], arguments[1], grammar, power)
            return _all(arguments, grammar, power)
    return grammar.further(node, grammar, power)


def _all(nodes: tuple[ast.expr, ...] | list[ast.expr], grammar: _Grammar, power: int) -> bool:
    return all(_allowed(node, grammar, power) for node in nodes)


def _compares(kinds: list[ast.cmpop]) -> bool:
    return all(isinstance(kind, ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE) for kind in kinds)


def _raised(base: ast.expr, exponent: ast.expr, grammar: _Grammar, power: int) -> bool:
    """Whether a power stays small: its exponent is a number."""
    number = _literal(exponent)
    left = power // max(1, abs(number)) if number is not None else 0
    return left > 0 and _allowed(base, grammar, left)


def _literal(node: ast.expr) -> int | None:
    """The number that a node is: `2`, `-2` or `Integer(2)`; a fraction counts as 1."""
    match node:
        case ast.Constant(value=int(number)):
            return int(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _literal(operand)
        case ast.Call(func=ast.Name(id="Integer"), args=[one], keywords=[]):
            return _literal(one)
        case ast.Call(func=ast.Name(id="Rational"), args=[_, _], keywords=[]):
            return 1 if all((_literal(part) or 99) <= 8 for part in node.args) else None
    return None


def _symbol_or_number(node: ast.expr, _grammar: _Grammar, _power: int) -> bool:
    """`Symbol('s0', positive=True)` and `Float('0.5', precision=53)`."""
    match node:
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(text))], keywords=facts):
            return bool(_SYMBOL.fullmatch(text)) and all(_is_fact(fact) for fact in facts)
        case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str(text))], keywords=[precision]):
            bits = _literal(precision.value) or 0
            return bool(_NUMBER.fullmatch(text)) and precision.arg == "precision" and 0 < bits <= 1000
    return False


def _is_fact(fact: ast.keyword) -> bool:
    return fact.arg is not None and isinstance(fact.value, ast.Constant) and isinstance(fact.value.value, bool)


def _measured(node: ast.expr, _grammar: _Grammar, _power: int) -> bool:
    """An input, `L['x']['key'][0]`, or what is measured of one, `L['x'].size()[0]`."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
        return isinstance(node.slice, ast.Constant) and type(node.slice.value) is int and _is_measure(node.value)
    return _is_measure(node) or _is_input(node)


def _is_measure(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=[], keywords=[]):
            return name in _MEASURES and _is_input(owner)
    return False


def _is_input(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(value=owner, slice=ast.Constant(value=key)):
            is_key = type(key) is int or (isinstance(key, str) and PLAIN.fullmatch(key) is not None)
            return is_key and (_is_input(owner) or (isinstance(owner, ast.Name) and owner.id == "L"))
    return False


_SIZES: Final = _Grammar(_SIZE_FUNCTIONS, _symbol_or_number)
_GUARDS: Final = _Grammar(_GUARD_FUNCTIONS, _measured)

"""Complex tensors as pairs of real ones, and what each operator does with them. Runs in the worker.

No file of ours contains a complex number: neither TFLite nor most backends of ONNX compute with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edgekit.core.errors import UserError
from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Tensor

Operator = Callable[..., Any]

# Operators that do the same to both parts of their first argument.
_SHAPING: Final = frozenset(
    (
        *("alias", "cat", "chunk", "clone", "constant_pad_nd", "contiguous", "cumsum", "detach", "diagonal", "expand"),
        *("expand_as", "fft_fftshift", "fft_ifftshift", "flatten", "flip", "gather", "index", "index_select"),
        *("lift_fresh_copy", "mean", "movedim", "mT", "narrow", "neg", "new_zeros", "pad", "permute", "repeat"),
        *("reshape", "roll", "select", "slice", "split", "split_with_sizes", "squeeze", "stack", "sum", "swapaxes"),
        *("t", "tile", "transpose", "tril", "triu", "unbind", "unflatten", "unfold", "unsqueeze", "_unsafe_view"),
        *("view", "zeros_like"),
    )
)
# The same with the places of several arguments that may be complex.
_BY_PARTS: Final = {
    **dict.fromkeys(_SHAPING, (0,)),
    **dict.fromkeys(("copy", "fill", "slice_scatter", "select_scatter"), (0, 1)),
    "where": (1, 2),
    "masked_fill": (0, 2),
}
# Operators that are linear in each of two arguments.
_PRODUCTS: Final = frozenset({"mm", "bmm", "matmul", "mv", "dot", "outer"})
_MAX_POWER: Final = 8


@dataclass(frozen=True)
class Complex:
    """A complex tensor by its parts, which have one shape; those of a number are numbers."""

    real: Tensor
    imag: Tensor


def is_complex(value: Any) -> bool:
    """Whether a value is complex in any form."""
    torch = need("torch", extra="export")
    return isinstance(value, (Complex, complex)) or (isinstance(value, torch.Tensor) and value.is_complex())


def split(value: Any) -> Complex:
    """The value by its parts: a real one gets zeros for the other."""
    torch = need("torch", extra="export")
    if isinstance(value, Complex):
        return value
    if not isinstance(value, torch.Tensor):
        return Complex(value.real, value.imag)
    if value.is_complex():
        return Complex(value.real.contiguous(), value.imag.contiguous())
    return Complex(value, torch.zeros_like(value))


def calculate(operator: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What an operator of aten returns for arguments of which some are complex.

    Raises:
        UserError: There is no real form of it here.
    """
    torch = need("torch", extra="export")
    if name == "view" and isinstance(args[1], torch.dtype):
        return _as_complex(args[0].unflatten(-1, (-1, 2))) if args[1].is_complex else _as_real(args[0]).flatten(-2)
    if name in _CALLS:
        return _CALLS[name](*args, **kwargs)
    if name in _BY_PARTS:
        return _by_parts(operator, _BY_PARTS[name], args, kwargs)
    if name in _PRODUCTS:
        return _product(operator, *args)
    raise UserError(
        f"The module computes '{name}' of complex numbers; no exported file contains them, and edgekit has no real "
        "form of this operator.",
        hint="Take the real and imaginary parts with torch.view_as_real, and compute with these.",
    )


def _by_parts(operator: Operator, places: Sequence[int], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    options = {key: real_dtype(value) for key, value in kwargs.items()}
    found = [
        operator(*(_part(one, of) if place in places else one for place, one in enumerate(args)), **options)
        for of in ("real", "imag")
    ]
    if isinstance(found[0], (list, tuple)):
        return [Complex(real, imag) for real, imag in zip(*found, strict=True)]
    return Complex(*found)


def _part(value: Any, of: str) -> Any:
    if isinstance(value, (list, tuple)):
        return [_part(one, of) for one in value]
    torch = need("torch", extra="export")
    is_number = isinstance(value, (Complex, torch.Tensor, complex, float)) or type(value) is int
    return getattr(split(value), of) if is_number else value


def real_dtype(value: Any) -> Any:
    """The dtype of the parts of a complex one; anything else as it is."""
    torch = need("torch", extra="export")
    parts = {torch.complex32: torch.float16, torch.complex64: torch.float32, torch.complex128: torch.float64}
    return parts.get(value, value) if isinstance(value, torch.dtype) else value


def _product(operator: Operator, one: Any, other: Any) -> Complex:
    if not is_complex(one):
        return Complex(operator(one, other.real), operator(one, other.imag))
    if not is_complex(other):
        return Complex(operator(one.real, other), operator(one.imag, other))
    return Complex(
        operator(one.real, other.real) - operator(one.imag, other.imag),
        operator(one.real, other.imag) + operator(one.imag, other.real),
    )


def _einsum(equation: str, operands: Sequence[Any], *_: Any, **__: Any) -> Complex:
    torch = need("torch", extra="export")
    if len(operands) == 1:
        return Complex(torch.einsum(equation, operands[0].real), torch.einsum(equation, operands[0].imag))
    if len(operands) > 2:
        raise UserError("The module multiplies three complex tensors in one einsum.", hint="Multiply two at a time.")
    return _product(lambda one, other: torch.einsum(equation, one, other), *operands)


def _linear(x: Any, weight: Any, bias: Any = None) -> Complex:
    found = _product(need("torch", extra="export").nn.functional.linear, x, weight)
    return found if bias is None else add(found, bias)


def add(one: Any, other: Any, *, alpha: Any = 1) -> Complex:
    """The sum of two values of which at least one is complex, the second of them times `alpha`."""
    if not is_complex(other):
        one = split(one)
        real = one.real + other * alpha
        return Complex(real, _as_large(one.imag, real))
    other = split(other) if alpha == 1 else multiply(other, alpha)
    if not is_complex(one):
        real = one + other.real
        return Complex(real, _as_large(other.imag, real))
    one = split(one)
    return Complex(one.real + other.real, one.imag + other.imag)


def _as_large(part: Any, other: Any) -> Any:
    """`part` in the shape of `other`."""
    torch = need("torch", extra="export")
    if not isinstance(part, torch.Tensor):
        return torch.full_like(other, part)
    return part if part.shape == other.shape else part.expand(other.shape)


def _subtract(one: Any, other: Any, *, alpha: Any = 1) -> Complex:
    return add(one, other, alpha=-alpha)


def multiply(one: Any, other: Any) -> Complex:
    """The product of two values of which at least one is complex."""
    if not is_complex(one):
        one, other = other, one
    one = split(one)
    if not is_complex(other):
        return Complex(one.real * other, one.imag * other)
    other = split(other)
    return Complex(one.real * other.real - one.imag * other.imag, one.real * other.imag + one.imag * other.real)


def _divide(one: Any, other: Any) -> Complex:
    if not is_complex(other):
        return Complex(one.real / other, one.imag / other)
    other = split(other)
    scaled = multiply(one, conjugate(other))
    square = other.real * other.real + other.imag * other.imag
    return Complex(scaled.real / square, scaled.imag / square)


def conjugate(value: Complex) -> Complex:
    """The same with the imaginary part negated."""
    return Complex(value.real, -value.imag)


def _magnitude(value: Complex) -> Any:
    return (value.real * value.real + value.imag * value.imag).sqrt()


def _angle(value: Complex) -> Any:
    """The angle, with half a turn and not minus half a turn for negative numbers, and 0 for 0.

    torch.atan2 becomes minus half a turn in an .onnx file.
    """
    torch = need("torch", extra="export")
    real, imag = value.real, value.imag
    flat = (imag / torch.where(real.eq(0), torch.ones_like(real), real)).atan()
    side = torch.where(imag.ge(0), torch.full_like(real, math.pi), torch.full_like(real, -math.pi))
    return torch.where(real.lt(0), flat + side, torch.where(real.eq(0), imag.sign() * (math.pi / 2), flat))


def _polar(magnitude: Any, angle: Any) -> Complex:
    return Complex(magnitude * angle.cos(), magnitude * angle.sin())


def _logarithm(value: Complex) -> Complex:
    return Complex(_magnitude(value).log(), _angle(value))


def _power(base: Complex, exponent: Any) -> Complex:
    if isinstance(exponent, (int, float)) and exponent == int(exponent) and 1 <= exponent <= _MAX_POWER:
        result = base
        for _ in range(int(exponent) - 1):
            result = multiply(result, base)
        return result
    if is_complex(exponent):
        raise UserError("The module computes powers with complex exponents.", hint="Use torch.polar.")
    return _polar(_magnitude(base) ** exponent, _angle(base) * exponent)


def _sign(value: Complex) -> Complex:
    """The value with magnitude one; zero remains zero."""
    torch = need("torch", extra="export")
    magnitude = _magnitude(value)
    return _divide(value, torch.where(magnitude == 0, torch.ones_like(magnitude), magnitude))


def _converted(value: Any, *args: Any, **kwargs: Any) -> Any:
    """A value in another dtype: a real one discards the imaginary part."""
    torch = need("torch", extra="export")
    dtype = next((one for one in (*args, *kwargs.values()) if isinstance(one, torch.dtype)), None)
    if dtype is None:
        return value
    parts = split(value)
    real = parts.real.to(real_dtype(dtype))
    return Complex(real, parts.imag.to(real.dtype)) if dtype.is_complex else real


def _norm(value: Complex, *args: Any, **kwargs: Any) -> Any:
    return need("torch", extra="export").linalg.vector_norm(_magnitude(value), *args, **kwargs)


def _filled(size: Sequence[Any], value: Any, *, dtype: Any = None, **_: Any) -> Complex:
    torch = need("torch", extra="export")
    number = split(value)
    kind = real_dtype(dtype) or torch.get_default_dtype()
    return Complex(torch.full(size, number.real, dtype=kind), torch.full(size, number.imag, dtype=kind))


def _as_complex(pairs: Any) -> Complex:
    return Complex(pairs[..., 0], pairs[..., 1])


def _as_real(value: Complex) -> Any:
    return need("torch", extra="export").stack((value.real, value.imag), -1)


def _same(value: Any) -> Any:
    return value


_CALLS: Final[dict[str, Operator]] = {
    "view_as_complex": _as_complex,
    "view_as_real": _as_real,
    "complex": Complex,
    "polar": _polar,
    "real": lambda value: value.real,
    "imag": lambda value: value.imag,
    "abs": _magnitude,
    "angle": _angle,
    "add": add,
    "sub": _subtract,
    "rsub": lambda one, other, alpha=1: _subtract(other, one, alpha=alpha),
    "mul": multiply,
    "div": _divide,
    "reciprocal": lambda value: _divide(1.0, value),
    "square": lambda value: multiply(value, value),
    "pow": _power,
    "exp": lambda value: _polar(value.real.exp(), value.imag),
    "log": _logarithm,
    "sqrt": lambda value: _power(value, 0.5),
    "sgn": _sign,
    **dict.fromkeys(("_conj", "conj", "conj_physical", "_conj_physical"), conjugate),
    **dict.fromkeys(("resolve_conj", "resolve_neg"), _same),
    "_neg_view": lambda value: Complex(-value.real, -value.imag),
    **dict.fromkeys(("to", "_to_copy"), _converted),
    **dict.fromkeys(("linalg_vector_norm", "norm"), _norm),
    "einsum": _einsum,
    "linear": _linear,
    "full": _filled,
    "zeros": lambda size, **options: _filled(size, 0.0, **options),
    "ones": lambda size, **options: _filled(size, 1.0, **options),
    "eq": lambda one, other: (split(one).real == split(other).real) & (split(one).imag == split(other).imag),
    "ne": lambda one, other: (split(one).real != split(other).real) | (split(one).imag != split(other).imag),
}

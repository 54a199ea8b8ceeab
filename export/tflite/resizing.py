"""Resizing that LiteRT does in another way than PyTorch, put in terms of other operators. Runs in the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Tensor

Window = Callable[[Any], Any]
Builder = Callable[[Any, Any], None]
# The parameter of Keys' cubic that PyTorch has where it takes means; its other resizing has -0.75.
_KEYS: Final = -0.5


def antialiased_linear(
    x: Tensor, size: Sequence[int], align_corners: bool, tall: float | None = None, wide: float | None = None
) -> Tensor:
    """A picture (…, h, w) at another size, each pixel the mean of those under a triangle."""
    return _resized(x, size, align_corners, (tall, wide), _triangle)


def antialiased_cubic(
    x: Tensor, size: Sequence[int], align_corners: bool, tall: float | None = None, wide: float | None = None
) -> Tensor:
    """The same under a cubic window."""
    return _resized(x, size, align_corners, (tall, wide), _cubic)


ANTIALIASED: Final[dict[str, Callable[..., Any]]] = {
    "_upsample_bilinear2d_aa.default": antialiased_linear,
    "_upsample_bicubic2d_aa.default": antialiased_cubic,
}


def _resized(
    x: Tensor, size: Sequence[int], align_corners: bool, factors: Sequence[float | None], window: Window
) -> Tensor:
    """One product with a constant matrix for each axis."""
    rows, columns = (
        _shares(old, new, _step(old, new, align_corners, factor), window)
        for old, new, factor in zip(x.shape[-2:], size, factors, strict=True)
    )
    found: Tensor = rows @ (x @ columns.transpose(0, 1))
    return found


def _step(old: int, new: int, align_corners: bool, factor: float | None) -> tuple[float, float]:
    """From one new pixel to the next, in old ones: a quotient."""
    if align_corners:
        return (old - 1, new - 1) if new > 1 else (0, 1)
    return (1, factor) if factor else (old, new)


def _shares(old: int, new: int, step: tuple[float, float], window: Window) -> Any:
    """How much each new pixel of an axis takes from each of the old ones, (new, old).

    Twice the numerators of places are whole numbers where no factor is given: only the quotient is rounded.
    """
    torch = need("torch", extra="tflite-export")
    above, below = step
    middle = (2 * torch.arange(new, dtype=torch.float32) + 1).unsqueeze(1) * above
    place = (2 * torch.arange(old, dtype=torch.float32) + 1) * below
    shares = window((place - middle).abs() / (2 * max(above, below)))
    return shares / shares.sum(1, keepdim=True)


def _triangle(x: Any) -> Any:
    return (1 - x).clamp(min=0)


def _cubic(x: Any) -> Any:
    """Keys' cubic; both of its pieces are zero at their ends, and the converter computes clamps of constants itself."""
    near, far = x.clamp(max=1), x.clamp(min=1, max=2)
    return ((_KEYS + 2) * near - (_KEYS + 3)) * near * near + 1 + (((far - 5) * far + 8) * far - 4) * _KEYS


def resize_as_pytorch() -> None:
    """Leave to PyTorch's own formula what the converter's operators for resizing do in another way.

    They know the new size alone. Nearest takes the pixel under the middle, which is PyTorch's only where the new size
    is a multiple. Linear derives its step from the sizes, where a factor may have been given. A second call changes
    nothing.
    """
    torch = need("torch", extra="tflite-export")
    builders = need(
        "litert_torch._convert.fx_passes.build_aten_composite_pass", extra="tflite-export"
    )._composite_builders
    for overload, is_same in (
        (torch.ops.aten.upsample_nearest2d.vec, _is_multiple),
        (torch.ops.aten.upsample_bilinear2d.vec, _has_step_of_sizes),
    ):
        if not isinstance(builders[overload], _OnlyWhere):
            builders[overload] = _OnlyWhere(builders[overload], is_same)


class _OnlyWhere:
    """A builder of the converter's operator, for the nodes that it writes rightly."""

    def __init__(self, builder: Builder, is_same: Callable[[Any], bool]) -> None:
        self.builder, self.is_same = builder, is_same

    def __call__(self, graph: Any, node: Any) -> None:
        if self.is_same(node):
            self.builder(graph, node)


def _is_multiple(node: Any) -> bool:
    return all(new % old == 0 for old, new, _ in _axes(node)) and _has_step_of_sizes(node)


def _has_step_of_sizes(node: Any) -> bool:
    aligned = bool(_given(node).get("align_corners"))
    return aligned or all(not factor or old * factor == new for old, new, factor in _axes(node))


def _axes(node: Any) -> list[tuple[int, int, float | None]]:
    """The old size, the new size and the factor of each axis that is resized."""
    given = _given(node)
    old, new = given["input"].meta["val"].shape[-2:], node.meta["val"].shape[-2:]
    return list(zip(map(int, old), map(int, new), given.get("scale_factors") or (None, None), strict=True))


def _given(node: Any) -> dict[str, Any]:
    names = [one.name for one in node.target._schema.arguments]
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}

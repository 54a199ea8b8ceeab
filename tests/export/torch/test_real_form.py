"""A module with complex numbers has a form without them that returns the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.core.errors import UserError
from edgekit.core.recipe import COMPLEX
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.onnx.exporter import OnnxExporter
from edgekit.export.tflite.exporter import TfliteExporter
from edgekit.export.torch.call import operators_of
from edgekit.export.torch.real_form import real_form, watched_complex
from edgekit.runtime.backends.litert import LiteRT
from edgekit.runtime.backends.onnxruntime import OnnxRuntime

# torch's own deprecations.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

HANN = torch.hann_window(64)
GRID = torch.randn((2, 6, 8), generator=torch.Generator().manual_seed(0))
SOUND = torch.randn((2, 700), generator=torch.Generator().manual_seed(1))


class Calls(nn.Module):
    """A function as a module that returns a tuple."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.function(x),)


def answers(module: Any, x: Tensor) -> tuple[Tensor, ...]:
    """What a module returns that is typed without its outputs."""
    found: tuple[Tensor, ...] = module(x)
    return found


def pairs(z: Tensor) -> Tensor:
    return torch.view_as_real(z.resolve_conj())


def written(x: Tensor) -> Tensor:
    """Parts of a spectrum are replaced in place."""
    z = torch.fft.rfft2(x) * 2
    z[:, 0] = 0
    z[:, :, 1:] *= 1j
    return z.real + z.imag + z.abs()


def spectrum(x: Tensor, **options: Any) -> Tensor:
    return torch.stft(x, 64, window=HANN, return_complex=True, **options)


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "in place": (written, GRID),
    "every axis": (lambda x: pairs(torch.fft.fftn(x)), GRID),
    "other sizes": (lambda x: pairs(torch.fft.fftn(x, s=(5, 9), dim=(0, 2), norm="ortho")), GRID),
    "back": (lambda x: pairs(torch.fft.ifftn(torch.fft.fftn(x), norm="forward")), GRID),
    "half": (lambda x: torch.fft.irfftn(torch.fft.rfftn(x, dim=(1, 2), norm="forward"), dim=(1, 2)), GRID),
    "odd": (lambda x: torch.fft.irfft(torch.fft.rfft(x), n=699), SOUND),
    "long": (lambda x: pairs(torch.fft.fft(x, n=4096)), SOUND),
    "filter": (lambda x: torch.fft.irfft(torch.fft.rfft(x) * torch.exp(-1j * torch.arange(351.0))), SOUND),
    "short-time": (lambda x: pairs(spectrum(x, hop_length=20)), SOUND),
    "window in the middle": (
        lambda x: pairs(torch.stft(x, 90, win_length=64, window=HANN, normalized=True, return_complex=True)),
        SOUND[0],
    ),
    "both sides": (lambda x: pairs(spectrum(x, onesided=False, center=False)), SOUND),
    "power": (lambda x: spectrum(x).abs().pow(2), SOUND),
    "sound again": (lambda x: torch.istft(spectrum(x).pow(3), 64, window=HANN), SOUND),
    "longer": (
        lambda x: torch.istft(spectrum(x, normalized=True), 64, window=HANN, normalized=True, length=760),
        SOUND,
    ),
    "einsum": (
        lambda x: pairs(
            torch.einsum("nij,nkj->nik", torch.fft.fft(x), torch.fft.ifft(x)) / (30 + torch.fft.fft(x)[..., :6])
        ),
        GRID,
    ),
    "branches": (lambda x: torch.where(x > 0, torch.fft.fft(x), torch.fft.fft(x).conj() * 0).sum(-1).abs(), GRID),
    "roots": (lambda x: pairs(torch.fft.fft(x).sqrt() + torch.exp(1j * x) + torch.fft.fft(x) ** 0.5), GRID),
    "angles": (lambda x: torch.fft.rfft(x).angle(), SOUND),
    "signs": (lambda x: pairs(torch.fft.fft(x).sgn() * torch.complex(x, x)), GRID),
    "views": (lambda x: torch.view_as_complex(x.reshape(2, 6, 4, 2)).transpose(0, 1).reshape(12, 4).imag, GRID),
    "matrices": (lambda x: pairs(x.mT.to(torch.complex64) @ torch.complex(x[0], x[1])), GRID),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_complex_numbers_become_pairs_that_give_the_same(name: str) -> None:
    function, x = FUNCTIONS[name]
    module = Calls(function).eval()

    real = real_form(module, (x,))

    with watched_complex() as is_complex:
        (expected,) = module(x)
    assert is_complex()
    with watched_complex() as is_complex:
        (found,) = answers(real, x)
    assert not is_complex()
    assert found.shape == expected.shape
    # Sums of up to 4096 products in float32; at the end of a sound the window divides by little.
    assert (found - expected).abs().max() <= 2e-5 * (expected.max() - expected.min())


class Rotary(nn.Module):
    """(N, T, 8): positions as complex numbers of length one, kept as a buffer."""

    turns: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("turns", torch.polar(torch.ones(32, 4), torch.arange(128.0).reshape(32, 4)))
        self.mix = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.view_as_complex(self.mix(x).reshape(*x.shape[:-1], 4, 2))
        return torch.view_as_real(z * self.turns[: x.shape[1]]).flatten(2)


class Masked(nn.Module):
    """(N, 700): a mask on the spectrum, and back to sound."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mask = nn.Conv1d(33, 33, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        z = spectrum(x)
        return torch.istft(z * self.mask(z.abs()).sigmoid(), 64, window=torch.hann_window(64), length=x.shape[-1])


def test_weights_remain_and_complex_constants_are_folded() -> None:
    module = Rotary().eval()

    real = real_form(Calls(module), (GRID,))

    assert torch.allclose(answers(real, GRID)[0], module(GRID), atol=1e-6)
    assert [tuple(one.shape) for one in real.buffers()] == [(8, 8), (8,)]


@pytest.mark.parametrize(
    ("module", "x", "axes", "sizes"),
    [(Rotary(), GRID, ("N", "T", 8), {"N": (2,), "T": (6, 9)}), (Masked(), SOUND, ("N", 700), {"N": (2,)})],
    ids=["rotary", "masked"],
)
@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_files_of_complex_networks_answer_as_pytorch_does(
    module: nn.Module, x: Tensor, axes: tuple[int | str, ...], sizes: dict[str, Any], name: str, tmp_path: Path
) -> None:
    exporter, backend = (OnnxExporter(), OnnxRuntime()) if name == "onnx" else (TfliteExporter(), LiteRT())
    spec = ModelSpec(
        "net", "other", (TensorSpec("x", "float32", axes),), (TensorSpec("y", "float32", axes),), sizes=sizes
    )
    path = tmp_path / f"net.{name}"

    made = exporter.export(module.eval(), spec, {"x": x.numpy()}, path, is_complex=True)

    assert not made.warnings
    longer = {"x": np.concatenate([x.numpy(), x.numpy()[:, :3]], 1)} if len(sizes) > 1 else {"x": x.numpy()}
    with backend.open(path, {}) as session:
        for feed in ({"x": x.numpy()}, longer):
            expected = module(torch.from_numpy(feed["x"])).detach().numpy()
            # Sums of 64 products in float32.
            assert np.abs(session.run(feed)["y"] - expected).max() < 1e-5 * np.ptp(expected)


@pytest.mark.parametrize(
    ("function", "is_complex"),
    [(lambda x: x.exp(), False), (lambda x: torch.fft.fft(x).abs(), True), (lambda x: torch.fft.rfft(x).real, True)],
)
def test_what_a_module_calls_says_whether_it_computes_with_complex_numbers(
    function: Callable[[Tensor], Tensor], *, is_complex: bool
) -> None:
    inputs, outputs = (TensorSpec("x", "float32", GRID.shape),), (TensorSpec("y", "float32", GRID.shape),)
    spec = ModelSpec("net", "other", inputs, outputs)

    found = operators_of(Calls(function).eval(), spec, {"x": GRID.numpy()})

    assert (COMPLEX in found) == is_complex


@pytest.mark.parametrize(
    ("function", "x", "reason"),
    [
        (lambda x: pairs(torch.fft.fft(x).tan()), GRID, "'tan' of complex numbers"),
        (lambda x: pairs(torch.fft.fft(x)), torch.ones(1, 4099), "transforms 4099 values at once"),
    ],
    ids=["operator", "prime"],
)
def test_what_has_no_real_form_is_refused_with_what_to_do(
    function: Callable[[Tensor], Tensor], x: Tensor, reason: str
) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        real_form(Calls(function).eval(), (x,))

    assert caught.value.hint

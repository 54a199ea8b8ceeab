"""The instruction sets that kernels and recipes are chosen by, as /proc/cpuinfo spells them."""

from __future__ import annotations

from typing import Final

_X86_FEATURES: Final = frozenset(
    f"{prefix}{name}"
    for prefix, names in {
        "": ("sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c"),
        "avx512": ("f", "bw", "dq", "vl", "_vnni", "_bf16", "_fp16"),
        "avx_": ("vnni", "vnni_int8"),
        "amx_": ("tile", "int8", "bf16"),
    }.items()
    for name in names
)
_ARM_FEATURES: Final = frozenset(
    ("neon", "asimd", "asimddp", "asimdhp", "asimdfhm", "fphp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "sme")
)
FEATURES: Final = _X86_FEATURES | _ARM_FEATURES

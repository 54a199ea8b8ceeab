"""Target: where and how an artifact runs, as text `DEVICE[/BACKEND][@key=value]...`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from edgekit.core.errors import UserError, unknown

_TARGET = re.compile(r"(?P<device>[\w.-]+)(?:/(?P<backend>[\w-]+))?(?P<options>(?:@[\w-]+=[^@,/\s]+)*)")
_THREADS = re.compile(r"[1-9][0-9]{0,3}")
OPTION_NAMES: Final = ("threads", "provider", "graph", "spin", "state")
OPTION_VALUES: Final = {
    "graph": ("disable", "basic", "extended", "all"),
    "spin": ("0", "1"),
    "state": ("reset", "keep"),
}
"""The values of the options that have few."""
SIGNATURE: Final = "signature"
"""The option that belongs to a file, not to a target: `model.tflite@signature=encode`."""
BACKEND_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "onnxruntime": ("threads", "provider", "graph", "spin"),
        "litert": ("threads", "provider", "state"),
        "tflite-runtime": ("threads", "provider", "state"),
        "openvino": ("threads", "provider"),
        "ort-web": ("threads", "provider", "graph"),
        "litert-js": ("threads", "provider"),
        "fake": ("threads", "provider"),
    }
)
"""The options that each backend supports, here or on a device; a backend of another package checks its own."""
MAX_THREADS: Final = 256


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device, the backend to use on it (empty: the default of the artifact), and options."""

    device: str
    backend: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Target:
        """A target from text such as `pi5/onnxruntime@threads=4@provider=cpu`.

        Raises:
            UserError: A wrong format, an option that is unknown, repeated or not one of the named backend, or a value
                that an option cannot have.
        """
        match = _TARGET.fullmatch(text.strip())
        if match is None:
            raise UserError(
                f"'{text}' is not DEVICE[/BACKEND][@key=value].", hint="--target local/onnxruntime@threads=2"
            )
        pairs = [part.partition("=")[::2] for part in match["options"].split("@") if part]
        options = dict(pairs)
        if len(options) < len(pairs):
            raise UserError(f"Target '{text}' contains an option twice.")
        _check_options(options, text)
        refuse_unknown_options(options, match["backend"] or "")
        return cls(match["device"], match["backend"] or "", tuple(sorted(options.items())))

    @property
    def threads(self) -> int:
        """Threads of the backend; 1 by default, because shared machines have slow phases with more."""
        return int(dict(self.options).get("threads", "1"))

    def option(self, name: str) -> str | None:
        """The value of one option, or None."""
        return dict(self.options).get(name)

    def __str__(self) -> str:
        backend = f"/{self.backend}" if self.backend else ""
        return f"{self.device}{backend}" + "".join(f"@{key}={value}" for key, value in self.options)


def parse_targets(texts: str | Iterable[str]) -> tuple[Target, ...]:
    """Targets from `a,b` or a list of such texts, each once, in order.

    Raises:
        UserError: As in `Target.parse`, or there is no target.
    """
    parts = [texts] if isinstance(texts, str) else list(texts)
    targets = tuple(dict.fromkeys(Target.parse(part) for text in parts for part in text.split(",") if part.strip()))
    if not targets:
        raise UserError("No target given.", hint="--target local")
    return targets


def refuse_unknown_options(options: Iterable[str], backend: str, known: Iterable[str] = ()) -> None:
    """Raise for the first option that a backend does not support.

    Args:
        backend: Its name; if there is nothing about it in `known` and `BACKEND_OPTIONS`, all options are accepted.
        known: The options that it supports; by default those in `BACKEND_OPTIONS`.

    Raises:
        UserError: It has no such option; the message lists those that it has.
    """
    names = tuple(known) or BACKEND_OPTIONS.get(backend)
    for name in options:
        if names is not None and name not in names:
            raise unknown(f"option of {backend}", name, names)


def _check_options(options: dict[str, str], text: str) -> None:
    for name, value in options.items():
        if name not in OPTION_NAMES:
            raise unknown("target option", name, OPTION_NAMES)
        if value not in OPTION_VALUES.get(name, (value,)):
            raise unknown(f"value of target option '{name}'", value, OPTION_VALUES[name])
    threads = options.get("threads", "1")
    if not _THREADS.fullmatch(threads) or not 1 <= int(threads) <= MAX_THREADS:
        raise UserError(f"Target '{text}': threads: expected 1 to {MAX_THREADS}, got {threads}.")

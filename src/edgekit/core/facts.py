"""Facts of a device: what a number was measured under."""

from __future__ import annotations

import msgspec


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One graphics processor. Memory in bytes, clocks in hertz, temperature in degrees Celsius; null where not told."""

    name: str
    driver: str
    memory_bytes: int | None = None
    clock_hz: float | None = None
    max_clock_hz: float | None = None
    temperature_c: float | None = None


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a device at one moment. A fact that could not be read is null, with its reason in `missing`.

    `features` holds the architecture and instruction-set names that recipes are resolved with. Clock in hertz,
    temperature in degrees Celsius, memory in bytes, load as the one-minute average.
    """

    system: str = ""
    architecture: str = ""
    cpu: str | None = None
    cores: int | None = None
    features: tuple[str, ...] = ()
    memory_bytes: int | None = None
    governor: str | None = None
    clock_hz: float | None = None
    temperature_c: float | None = None
    throttled: bool | None = None
    load: float | None = None
    emulated: bool = False
    engines: dict[str, str] = {}
    missing: dict[str, str] = {}
    gpus: tuple[Gpu, ...] = ()

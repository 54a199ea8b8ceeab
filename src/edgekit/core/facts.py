"""Facts of a device: the conditions of a measurement."""

from __future__ import annotations

import msgspec


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One graphics processor. Memory in bytes, clocks in hertz, temperature in degrees Celsius; null if unknown."""

    name: str
    driver: str
    memory_bytes: int | None = None
    clock_hz: float | None = None
    max_clock_hz: float | None = None
    temperature_c: float | None = None


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of a device at one moment. A fact that could not be read is null, with the reason in `missing`.

    `features` are the architecture and the instruction sets that aliases of recipes are resolved with. Clock in hertz,
    temperature in degrees Celsius, memory in bytes, load as the one-minute average. `clock_hz` is the highest of
    `clocks`, by core or cluster of cores, and `temperature_c` the highest of `sensors`, by name.
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
    sensors: dict[str, float] = {}
    clocks: dict[str, float] = {}

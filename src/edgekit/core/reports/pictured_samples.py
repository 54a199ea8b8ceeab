"""Pictures in a report: samples as the reference and as one artifact see them."""

from __future__ import annotations

import msgspec


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One picture as the bytes of a png, with the words above and below it."""

    title: str
    text: str
    png: bytes


class PicturedSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sample of the bundle by its number, what happened to it, and its pictures next to each other."""

    sample: int
    text: str
    panels: tuple[Panel, ...]


class Pictures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Samples of a bundle that are images, with what `artifact` found in them; `notes` say what was left out."""

    artifact: str
    text: str
    samples: tuple[PicturedSample, ...]
    notes: tuple[str, ...] = ()

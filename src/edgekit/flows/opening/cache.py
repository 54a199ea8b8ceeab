"""Where conversions are cached by content."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from edgekit.core.system.settings import Settings


def conversion_cache(settings: Settings) -> Path:
    """The folder of finished conversions; it may be deleted at any time."""
    return cache_folder(settings) / "conversions"


def cache_folder(settings: Settings) -> Path:
    """The folder of everything that is downloaded or converted; it may be deleted at any time."""
    return Path(settings.cache) if settings.cache else Path(platformdirs.user_cache_dir("edgekit"))

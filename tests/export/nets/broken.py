"""Imports something that is not there."""

import no_such_package_anywhere  # type: ignore[import-not-found]  # noqa: F401

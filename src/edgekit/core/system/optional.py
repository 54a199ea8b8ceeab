"""The one way to import an optional package."""

from __future__ import annotations

import importlib
from typing import Any

from edgekit.core.errors import NO_MEMORY, EnvironmentFault, MissingExtra, was_interrupted
from edgekit.core.system.installation import install_command, reinstall_command


def need(module: str, *, extra: str) -> Any:
    """The imported `module`.

    Args:
        module: Dotted name of the module.
        extra: The extra of edgekit that installs it.

    Raises:
        MissingExtra: The module is not installed, or cannot be imported.
        EnvironmentFault: There is not enough memory to import it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as err:
        raise MissingExtra(
            f"This needs the package '{err.name or module}', which is not installed.",
            hint=install_command(module, extra),
        ) from err
    # A missing shared library is an OSError, a wrong numpy ABI a ValueError: whatever it is, the package is broken.
    except Exception as err:
        # Extension modules report Ctrl-C while they are imported as a failed import.
        if was_interrupted(err):
            raise KeyboardInterrupt from err
        if isinstance(err, MemoryError) or any(sign in str(err) for sign in NO_MEMORY):
            raise EnvironmentFault(
                f"There is not enough memory to load the package '{module}'.", hint="ulimit -v"
            ) from err
        raise MissingExtra(
            f"The package '{module}' is installed but cannot be imported: {err}.",
            hint=reinstall_command(module, extra),
        ) from err

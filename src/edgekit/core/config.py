"""Settings: flag > `EDGEKIT_*` > `edgekit.toml` or `[tool.edgekit]` > user file > default, each with its origin."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.core.errors import UserError, nearest

PROJECT_FILE: Final = "edgekit.toml"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting that is not an argument of one command only.

    `data`: folder of data sets. `cache`: folder of what is fetched or converted. `target`: default target text.
    `launches`: processes a measurement. `seed`: of every random choice. `timeout_s`: of one conversion.
    """

    data: str = ""
    cache: str = ""
    target: str = "local"
    launches: int = 6
    seed: int = 0
    timeout_s: float = 600.0
    offline: bool = False
    minimum_effect: float = 0.03


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting with the place it came from."""

    name: str
    value: Any
    origin: str


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user_file: Path | None = None,
) -> tuple[Settings, tuple[Setting, ...]]:
    """The settings in force, and where each came from.

    Args:
        flags: Values given on the command line; None values are ignored.
        environ: The environment; `EDGEKIT_LAUNCHES=8` sets `launches`.
        folder: The project folder to look for `edgekit.toml` or `pyproject.toml` in.
        user_file: The user's own file.

    Raises:
        UserError: An unknown name (the nearest is offered), a wrong type, YAML, or a file that is no TOML.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    layers = [("default", msgspec.to_builtins(Settings()))]
    if user_file is not None and user_file.is_file():
        layers.append((str(user_file), _known(_toml(user_file), str(user_file))))
    layers += _project_layers(folder)
    layers += [(f"EDGEKIT_{name.upper()}", {name: value}) for name, value in _from_environ(environ).items()]
    layers += [
        (f"--{name.replace('_', '-')}", {name: value}) for name, value in (flags or {}).items() if value is not None
    ]
    return _merge(layers)


def _merge(layers: list[tuple[str, dict[str, Any]]]) -> tuple[Settings, tuple[Setting, ...]]:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        for name, value in layer.items():
            values[name], origins[name] = _convert(name, value, origin), origin
    found = tuple(Setting(name, values[name], origins[name]) for name in Settings.__struct_fields__)
    return Settings(**values), found


def _convert(name: str, value: Any, origin: str) -> Any:
    kind = Settings.__annotations__[name]
    try:
        # Text from the environment is read as the setting's own type; TOML and flags are typed already.
        return msgspec.convert(value, type=_TYPES[kind], strict=not origin.startswith("EDGEKIT_"))
    except msgspec.ValidationError as err:
        raise UserError(f"{origin}: {name}: {err}.") from err


_TYPES: Final[dict[str, type]] = {"str": str, "int": int, "float": float, "bool": bool}


def _from_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[key] for name in Settings.__struct_fields__ if (key := f"EDGEKIT_{name.upper()}") in environ}


def _project_layers(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    yaml = next((folder / name for name in ("edgekit.yaml", "edgekit.yml") if (folder / name).is_file()), None)
    if yaml is not None:
        raise UserError(f"'{yaml}' is YAML; edgekit reads TOML.", hint=f"Write the same settings into {PROJECT_FILE}.")
    if (folder / PROJECT_FILE).is_file():
        return [(PROJECT_FILE, _known(_toml(folder / PROJECT_FILE), PROJECT_FILE))]
    if (folder / "pyproject.toml").is_file():
        table = _toml(folder / "pyproject.toml").get("tool", {}).get("edgekit", {})
        return [("pyproject.toml", _known(table, "pyproject.toml"))] if table else []
    return []


def _known(table: dict[str, Any], origin: str) -> dict[str, Any]:
    # Tables such as [check] belong to one command and are read by it.
    plain = {
        name: value for name, value in table.items() if not isinstance(value, (dict, list)) and name != "schema_version"
    }
    for name in plain:
        if name not in Settings.__struct_fields__:
            raise UserError(f"{origin}: unknown setting '{name}'.{nearest(name, Settings.__struct_fields__)}")
    return plain


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as err:
        raise UserError(f"'{path}' is not TOML: {err}.") from err

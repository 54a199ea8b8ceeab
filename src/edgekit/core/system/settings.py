"""Settings: flag > `EDGEKIT_*` > `edgekit.toml` or `[tool.edgekit]` > user file > default, each with its origin."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from edgekit.core.errors import UserError, nearest
from edgekit.core.system import installation
from edgekit.core.system.confined.project_paths import inside
from edgekit.core.system.native.types import prepared

# 1: first version.
CONFIG_SCHEMA: Final = 1
PROJECT_FILE: Final = "edgekit.toml"
USER_FILE: Final = "config.toml"
# Tables of the project file that one command reads by itself.
TABLES: Final = ("check",)
# What only the user sets, in the environment or in a file of their own.
USER_ONLY: Final = ("trust", "require_signature", "allowed_signers", "memory_gb", "open_s", "cache")
_PREFIX: Final = "EDGEKIT_"
# A password may contain "@" itself; a host cannot.
_PASSWORD: Final = re.compile(r"(://[^:/@]*:).*@")
_PATHS: Final = ("data", "cache", "allowed_signers", "history")

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Natural = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(gt=0)]
_Patience = Annotated[float, msgspec.Meta(ge=0)]
_Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting that more than one command uses.

    `data`: folder of data sets. `cache`: folder of downloads and conversions. `target`: default target.
    `launches`: number of processes per measurement. `seed`: seed of every random choice. `timeout_s`: time limit of one
    conversion. `minimum_effect`: the smallest difference of latencies that counts, as a ratio. `trust`: installed
    packages whose code may run to make a network, comma-separated; a project file cannot set it. `wait_s`: how long to
    wait for a device that another user uses. `require_signature`: only signed bundles are used. `allowed_signers`: the
    file that names who may sign them, in the format of OpenSSH; a project file cannot set these two either.
    `memory_gb`: how much memory a model may take on this machine, in GB; 0 is 4 GB and 16 times the size of its file.
    `open_s`: how long a backend may take to open it, in seconds; 0 is 300 s and one more for each MB. A project file
    cannot set these two either. `history`: where reports are kept, a SQLite file or the URL of a PostgreSQL database; a
    project file names only a file in its own folder.
    """

    data: str = ""
    cache: str = ""
    target: str = "local"
    launches: _Count = 6
    seed: _Natural = 0
    timeout_s: _Seconds = 600.0
    offline: bool = False
    minimum_effect: _Ratio = 0.03
    trust: str = ""
    wait_s: _Patience = 0.0
    require_signature: bool = False
    allowed_signers: str = ""
    memory_gb: _Patience = 0.0
    open_s: _Patience = 0.0
    history: str = ""


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting and its origin."""

    name: str
    value: str | int | float | bool
    origin: str


@dataclass(frozen=True)
class _Layer:
    """Values of one place. Paths in a file are relative to the file; texts of the environment are parsed."""

    origin: str
    values: Mapping[str, Any]
    folder: Path | None = None
    is_text: bool = field(default=False)
    is_project: bool = field(default=False)


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user_file: Path | None = None,
) -> tuple[Settings, tuple[Setting, ...]]:
    """The current settings, and the origin of each.

    Args:
        flags: Values given on the command line; None values are ignored.
        environ: The environment; `EDGEKIT_LAUNCHES=8` sets `launches`, an empty text sets nothing.
        folder: Where to look for `edgekit.toml`, or a `pyproject.toml` with `[tool.edgekit]`, then in its parents.
        user_file: The configuration file of the user.

    Raises:
        UserError: An unknown name (with the nearest one), a wrong type or value, a file that is not TOML, or one with
            a newer schema. All problems of a file are reported at once.
    """
    return _merged(
        [
            *_user_layer(user_file),
            *_project_layer(Path.cwd() if folder is None else folder),
            *_environment_layers(os.environ if environ is None else environ),
            *(_Layer(_flag(name), {name: value}) for name, value in (flags or {}).items() if value is not None),
        ]
    )


def user_settings(user_file: Path, *, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the user alone, without those of a project; errors as in `load_settings`."""
    return _merged([*_user_layer(user_file), *_environment_layers(os.environ if environ is None else environ)])[0]


def _merged(layers: Iterable[_Layer]) -> tuple[Settings, tuple[Setting, ...]]:
    """The values of all layers, where the last one wins, above the defaults."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in (_Layer("default", msgspec.to_builtins(Settings())), *layers):
        checked = _checked(layer)
        values |= checked
        origins |= dict.fromkeys(checked, layer.origin)
    found = tuple(Setting(name, values[name], origins[name]) for name in Settings.__struct_fields__)
    return Settings(**values), found


def _checked(layer: _Layer) -> dict[str, Any]:
    """The layer's values in the types of the settings; all its problems in one error."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in layer.values.items():
        try:
            values[name] = _convert(name, value, layer)
        except msgspec.ValidationError as err:
            expected = str(err).replace("`", "").replace("float", "number").partition(", got")[0]
            problems.append(f"{name}: {expected[0].lower()}{expected[1:]}, got {value!r}.")
    _refuse(layer.origin, problems)
    return values


def _convert(name: str, value: Any, layer: _Layer) -> Any:
    converted = msgspec.convert(value, type=prepared(_types()[name]), strict=not layer.is_text)
    if isinstance(converted, float) and not math.isfinite(converted):
        raise msgspec.ValidationError("Expected a finite number")
    if name in _PATHS and converted and layer.folder is not None:
        if layer.is_project:
            return str(_in_project(layer, name, converted))
        if name == "history" and is_url(converted):
            return converted
        return str(layer.folder / Path(converted).expanduser())
    return converted


def is_url(place: str) -> bool:
    """Whether `history` names a database, and not a file."""
    return "://" in place


def without_password(value: str | int | float | bool) -> str | int | float | bool:
    """The value of a setting for people: in a URL, without the password."""
    return _PASSWORD.sub(r"\1***@", value) if isinstance(value, str) else value


def _in_project(layer: _Layer, name: str, text: str) -> Path:
    """The place that a project names: in its own folder, and no database, to which reports would be sent."""
    assert layer.folder is not None
    if is_url(text):
        raise UserError(
            f"{layer.origin}: '{name}' is a URL, which a project cannot set: your reports would be sent there.",
            hint=f"Set {_PREFIX}{name.upper()}, or '{name}' in your own {USER_FILE}.",
        )
    return inside(layer.folder, text, f"{layer.origin}: {name}")


@cache
def _types() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def _flag(name: str) -> str:
    return f"--{name.removesuffix('_s').replace('_', '-')}"


def _environment_layers(environ: Mapping[str, str]) -> Iterable[_Layer]:
    known = {f"{_PREFIX}{name.upper()}": name for name in Settings.__struct_fields__}
    for key, value in environ.items():
        if key in known and value:
            yield _Layer(key, {known[key]: value}, is_text=True)
        elif key not in known and (meant := _slip(key)):
            raise UserError(
                f"The environment variable '{key}' is not a setting. Did you mean '{meant}'?", hint=f"unset {key}"
            )


def _slip(key: str) -> str:
    """The variable that `key` nearly is, or an empty text: other programs may use the prefix as well."""
    if not key.startswith(_PREFIX):
        return ""
    name = key.removeprefix(_PREFIX).lower()
    close = difflib.get_close_matches(name, Settings.__struct_fields__, n=1, cutoff=0.8)
    return f"{_PREFIX}{close[0].upper()}" if close else ""


def _user_layer(path: Path | None) -> Iterable[_Layer]:
    if path is None:
        return
    _refuse_yaml(path.parent, path.stem, path.name)
    if path.is_file():
        yield _Layer(str(path), _settings(_toml(path), str(path)), path.parent)


def _project_layer(folder: Path) -> Iterable[_Layer]:
    """Settings of the nearest folder that has some, from `folder` upwards."""
    for place in (folder, *folder.parents):
        _refuse_yaml(place, "edgekit", PROJECT_FILE)
        if (path := place / PROJECT_FILE).is_file():
            yield _Layer(_shown(path), _project_settings(_toml(path), _shown(path)), place, is_project=True)
            return
        if (path := place / "pyproject.toml").is_file() and (table := _tool_table(_toml(path))) is not None:
            origin = f"{_shown(path)} [tool.edgekit]"
            yield _Layer(origin, _project_settings(table, origin), place, is_project=True)
            return


def _project_settings(table: dict[str, Any], origin: str) -> dict[str, Any]:
    """The settings of a project, which cannot say what its user trusts, nor where what is downloaded and run is."""
    wrong = next((name for name in USER_ONLY if name in table), None)
    if wrong is not None:
        why = "edgekit runs what is in it" if wrong == "cache" else "it would vouch for itself"
        raise UserError(
            f"{origin}: '{wrong}' cannot be set by a project: {why}.",
            hint=f"Set {_PREFIX}{wrong.upper()}, or '{wrong}' in your own {USER_FILE}.",
        )
    return _settings(table, origin, TABLES)


def _shown(path: Path) -> str:
    """The path as a person writes it: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _tool_table(content: dict[str, Any]) -> dict[str, Any] | None:
    tool = content.get("tool")
    table = tool.get("edgekit") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _settings(table: dict[str, Any], origin: str, tables: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings of a file, without what single commands read."""
    version = table.get("schema_version", CONFIG_SCHEMA)
    if not isinstance(version, int) or version > CONFIG_SCHEMA:
        raise UserError(
            f"'{origin}' has schema {version!r}; this edgekit reads up to {CONFIG_SCHEMA}.",
            hint=installation.origin().upgrade,
        )
    known = (*Settings.__struct_fields__, "schema_version", *tables)
    _refuse(origin, [f"unknown setting '{name}'.{nearest(name, known)}" for name in table if name not in known])
    return {name: value for name, value in table.items() if name in Settings.__struct_fields__}


def _refuse(origin: str, problems: list[str]) -> None:
    if problems:
        raise UserError(f"{origin}: {' '.join(problems)}", hint="edgekit config show --origin")


def _refuse_yaml(folder: Path, stem: str, wanted: str) -> None:
    for path in (folder / f"{stem}.yaml", folder / f"{stem}.yml"):
        if path.is_file():
            raise UserError(f"'{path}' is YAML; edgekit reads TOML.", hint=f"Move the settings to '{folder / wanted}'.")


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as err:
        raise UserError(f"'{path}' is not TOML: {err}.") from err

"""Programs that `edgekit deploy --to` installs on a device: versioned folders, a link to the current one.

    deployed/NAME/versions/0002-1f0c9a2b/{model.pyz,run,site/}
    deployed/NAME/current -> versions/0002-1f0c9a2b

A version is complete: the backends are linked into it, so that no later `devices clean` or `prepare` changes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import DeviceError, UserError, unknown
from edgekit.core.system.files import sha256_file
from edgekit.devices.remote.shell import Shell, succeeded
from edgekit.devices.remote.transfer import ensure

TIMEOUT_S: Final = 600.0
KEPT: Final = 5
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_VERSION: Final = re.compile(r"\d{4,}-[0-9a-f]{8}")
_FAILED: Final = 9
_BUSY: Final = 8
_RUN: Final = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
[ -d "$here/site" ] && export PYTHONPATH="$here/site"
exec python3 "$here/model.pyz" "$@"
"""
# What every script begins with. A rename replaces the link at once: whoever starts `current/run` gets one or the other.
_HEAD: Final = """\
trap '' PIPE HUP
switch() { ln -s "$1" .current.new && mv -T .current.new current || { rm -f .current.new; exit 1; }; }
enter() {
  cd "$1" || exit 1
  if command -v flock >/dev/null; then exec 9>.lock && { flock -n 9 || exit 8; }; fi
}
"""


@dataclass(frozen=True)
class InstalledProgram:
    """One program on a device: its versions, oldest first, and the one that runs, empty if none does."""

    name: str
    current: str
    versions: tuple[str, ...]


def check_program_name(name: str) -> None:
    """Raise unless `name` can be a folder on a device.

    Raises:
        UserError: It contains other characters than letters, digits, `_`, `-` and `.`.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"'{name}' is not a name for a program: use letters, digits, '_', '-' and '.'.", hint="--as digits"
        )


def installed(shell: Shell) -> tuple[InstalledProgram, ...]:
    """Every program on the device."""
    script = f"""cd "{_folder(shell)}" 2>/dev/null || exit 0
for name in *; do
  [ -d "$name/versions" ] || continue
  echo "program $name $(readlink "$name/current")"
  ls "$name/versions"
done"""
    found: dict[str, InstalledProgram] = {}
    name = ""
    for line in succeeded(shell, shell.run(script), "listing its programs").text.splitlines():
        words = line.split()
        if words[:1] == ["program"] and len(words) > 1:
            name = words[1]
            found[name] = InstalledProgram(name, Path(words[2]).name if len(words) > 2 else "", ())
        elif name and _VERSION.fullmatch(line):
            before = found[name]
            found[name] = InstalledProgram(name, before.current, tuple(sorted((*before.versions, line))))
    return tuple(found.values())


def install_program(shell: Shell, name: str, zipapp: Path) -> tuple[str, str]:
    """Install a new version of `name`, test it, and make it the current one; the version and its last words.

    Raises:
        DeviceError: The self-test fails there; the version is removed, and the current one stays.
        DeviceUnavailable, DiskFull: As in `ensure`.
    """
    digest = sha256_file(zipapp)
    ensure(shell, {digest: zipapp})
    before = next((one for one in installed(shell) if one.name == name), InstalledProgram(name, "", ()))
    number = max((int(version.partition("-")[0]) for version in before.versions), default=0) + 1
    version = f"{number:04d}-{digest[:8]}"
    finished = shell.run(_install_script(shell, name, version, digest), timeout_s=TIMEOUT_S)
    if finished.code == _FAILED:
        raise _failure(shell, name, version, finished.err, before.current)
    _refuse_busy(shell, name, finished.code)
    succeeded(shell, finished, f"installing '{name}'")
    return version, finished.text.strip().splitlines()[-1]


def roll_back(shell: Shell, name: str) -> tuple[str, str]:
    """Make the version before the current one the current one, after its self-test; the version and its last words.

    Raises:
        UserError: There is no such program, or no earlier version.
        DeviceError: The self-test of the earlier version fails there; nothing changes.
    """
    found = {one.name: one for one in installed(shell)}
    if name not in found:
        raise unknown("program", name, found, hint=f"edgekit deploy --list --to {shell.name}")
    earlier = [version for version in found[name].versions if version < found[name].current]
    if not earlier:
        raise UserError(f"'{name}' on '{shell.name}' has no earlier version than '{found[name].current}'.")
    finished = shell.run(_switch_script(shell, name, earlier[-1]), timeout_s=TIMEOUT_S)
    if finished.code == _FAILED:
        raise _failure(shell, name, earlier[-1], finished.err, found[name].current)
    _refuse_busy(shell, name, finished.code)
    succeeded(shell, finished, f"rolling back '{name}'")
    return earlier[-1], finished.text.strip().splitlines()[-1]


def _folder(shell: Shell) -> str:
    """Where programs are: apart from edgekit's cache on the device, which `devices clean` removes."""
    root = shell.root
    return (
        root.replace("/.cache/edgekit", "/.local/share/edgekit/deployed") if "/.cache/" in root else f"{root}-deployed"
    )


def _install_script(shell: Shell, name: str, version: str, digest: str) -> str:
    """Copy, test, and switch: until the new version has passed its test, the current one is the one that runs."""
    return f"""{_HEAD}
mkdir -p "{_folder(shell)}/{name}/versions" || exit 1
enter "{_folder(shell)}/{name}"
new=versions/{version}
old=$(readlink current)
mkdir "$new" || exit 1
undo() {{ rm -rf "$new"; exit "$1"; }}
cp "{shell.root}/blobs/{digest}" "$new/model.pyz" || undo 1
if [ -d "{shell.root}/site" ]; then
  mkdir "$new/site"
  cp -Rl "{shell.root}/site/." "$new/site" 2>/dev/null || cp -R "{shell.root}/site/." "$new/site" || undo 1
fi
cat >"$new/run" <<'END' || undo 1
{_RUN}END
chmod 755 "$new/run"
"$new/run" --self-test || undo {_FAILED}
switch "$new"
rm -f "{shell.root}/blobs/{digest}"
ls versions | sort | head -n -{KEPT} | while read -r one; do
  [ "versions/$one" = "$old" ] || rm -rf "versions/$one"
done
exit 0"""


def _switch_script(shell: Shell, name: str, version: str) -> str:
    return f"""{_HEAD}
enter "{_folder(shell)}/{name}"
versions/{version}/run --self-test || exit {_FAILED}
switch versions/{version}"""


def _refuse_busy(shell: Shell, name: str, code: int) -> None:
    if code == _BUSY:
        raise DeviceError(
            f"Someone else is installing '{name}' on '{shell.name}' now.",
            hint=f"edgekit deploy --list --to {shell.name}",
        )


def _failure(shell: Shell, name: str, version: str, said: str, current: str) -> DeviceError:
    last = (said.strip().splitlines() or ["the self-test fails"])[-1]
    stays = f"'{current}' stays the current version" if current else "there is no earlier version"
    missing = "it has no" in last
    hint = f"edgekit devices prepare {shell.name}" if missing else f"edgekit deploy --list --to {shell.name}"
    return DeviceError(f"Version '{version}' of '{name}' fails on '{shell.name}': {last}; {stays}.", hint=hint)

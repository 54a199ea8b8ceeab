"""Programs that `edgekit deploy --to` installs on a device: versioned folders, a link to the current one.

    deployed/NAME/versions/0002-1f0c9a2b/{model.pyz,model.pyz.sig,run,site/}
    deployed/NAME/current -> versions/0002-1f0c9a2b

A version is complete: the backends are linked into it, so that no later `devices clean` or `prepare` changes it.

A device whose user has a file of allowed signers runs only programs that one of them signed. It verifies them itself,
before each start: who sends a program has no say in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import DeviceError, UserError, unknown
from edgekit.core.system.files import sha256_file
from edgekit.core.system.processes import Finished
from edgekit.devices.remote.shell import Shell, succeeded
from edgekit.devices.remote.transfer import ensure

TIMEOUT_S: Final = 600.0
KEPT: Final = 5
# The namespace of OpenSSH for signatures of programs: those of bundles or commits are none.
PURPOSE: Final = "edgekit-program"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_VERSION: Final = re.compile(r"\d{4,}-[0-9a-f]{8}")
_FAILED: Final = 9
_BUSY: Final = 8
_REFUSED: Final = 7
SIGNERS: Final = ".config/edgekit/allowed_signers"
# `verified FOLDER`: whether the device's user lets the program in it run; without the file, every program may.
_VERIFIED: Final = f"""\
allowed="${{XDG_CONFIG_HOME:-$HOME/.config}}/edgekit/allowed_signers"
refuse() {{ echo "Error: $1" >&2; exit {_REFUSED}; }}
verified() {{
  [ -e "$allowed" ] || return 0
  command -v ssh-keygen >/dev/null || refuse "signatures are required, and there is no 'ssh-keygen'"
  [ -f "$1/model.pyz.sig" ] || refuse "the program is not signed, and '$allowed' requires it"
  who=$(ssh-keygen -Y find-principals -f "$allowed" -s "$1/model.pyz.sig" 2>/dev/null | head -n 1)
  [ -n "$who" ] || refuse "the program is not signed by anyone in '$allowed'"
  ssh-keygen -Y verify -f "$allowed" -I "$who" -n {PURPOSE} -s "$1/model.pyz.sig" <"$1/model.pyz" >/dev/null 2>&1 ||
    refuse "the signature of '$who' does not match the program"
}}
"""
_RUN: Final = f"""\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
{_VERIFIED}verified "$here"
[ -d "$here/site" ] && export PYTHONPATH="$here/site"
exec python3 "$here/model.pyz" "$@"
"""
# What every script begins with. A rename replaces the link at once: whoever starts `current/run` gets one or the other.
_HEAD: Final = f"""\
{_VERIFIED}trap '' PIPE HUP
switch() {{ ln -s "$1" .current.new && mv -T .current.new current || {{ rm -f .current.new; exit 1; }}; }}
enter() {{
  cd "$1" || exit 1
  if command -v flock >/dev/null; then exec 9>.lock && {{ flock -n 9 || exit {_BUSY}; }}; fi
}}
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


def require_python(shell: Shell) -> None:
    """Raise for a device that cannot run any program.

    Raises:
        DeviceError: It has no Python, like an Android phone.
        DeviceUnavailable: It does not respond.
    """
    if shell.run("command -v python3 >/dev/null 2>&1").code != 0:
        raise DeviceError(
            f"'{shell.name}' has no Python, which the program needs.",
            hint="edgekit deploy BUNDLE --for c --out DIR",
        )


def install_program(
    shell: Shell, name: str, zipapp: Path, *, signature: Path | None = None, must_verify: bool = False
) -> tuple[str, str]:
    """Install a new version of `name`, test it, and make it the current one; the version and its last words.

    Args:
        signature: Of the zipapp, for a device that asks for one.
        must_verify: Refuse a device that would run programs without a signature.

    Raises:
        DeviceError: The self-test fails there, or it refuses the signature; the version is removed, and the current one
            stays.
        DeviceUnavailable, DiskFull: As in `ensure`.
    """
    digest = sha256_file(zipapp)
    proof = sha256_file(signature) if signature else ""
    ensure(shell, {digest: zipapp, **({proof: signature} if signature else {})})
    before = next((one for one in installed(shell) if one.name == name), InstalledProgram(name, "", ()))
    number = max((int(version.partition("-")[0]) for version in before.versions), default=0) + 1
    version = f"{number:04d}-{digest[:8]}"
    script = _install_script(shell, name, version, digest, proof, must_verify=must_verify)
    finished = shell.run(script, timeout_s=TIMEOUT_S)
    _refuse_unverified(shell, name, version, finished)
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
    _refuse_unverified(shell, name, earlier[-1], finished)
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


def _install_script(shell: Shell, name: str, version: str, digest: str, proof: str, *, must_verify: bool) -> str:
    """Copy, verify, test, and switch: until the new version has passed its test, the current one runs."""
    stored = f'"{shell.root}/blobs/{proof}"' if proof else ""
    copied = f'cp {stored} "$new/model.pyz.sig" || undo 1\n' if proof else ""
    demanded = '[ -e "$allowed" ] || refuse "it has no file \'$allowed\'"\n' if must_verify else ""
    return f"""{_HEAD}
{demanded}mkdir -p "{_folder(shell)}/{name}/versions" || exit 1
enter "{_folder(shell)}/{name}"
new=versions/{version}
old=$(readlink current)
mkdir "$new" || exit 1
undo() {{ rm -rf "$new"; exit "$1"; }}
cp "{shell.root}/blobs/{digest}" "$new/model.pyz" || undo 1
{copied}(verified "$new") || undo {_REFUSED}
if [ -d "{shell.root}/site" ]; then
  mkdir "$new/site"
  cp -Rl "{shell.root}/site/." "$new/site" 2>/dev/null || cp -R "{shell.root}/site/." "$new/site" || undo 1
fi
cat >"$new/run" <<'END' || undo 1
{_RUN}END
chmod 755 "$new/run"
"$new/run" --self-test || undo {_FAILED}
switch "$new"
rm -f "{shell.root}/blobs/{digest}" {stored}
ls versions | sort | head -n -{KEPT} | while read -r one; do
  [ "versions/$one" = "$old" ] || rm -rf "versions/$one"
done
exit 0"""


def _switch_script(shell: Shell, name: str, version: str) -> str:
    return f"""{_HEAD}
enter "{_folder(shell)}/{name}"
(verified versions/{version}) || exit {_REFUSED}
versions/{version}/run --self-test || exit {_FAILED}
switch versions/{version}"""


def _refuse_busy(shell: Shell, name: str, code: int) -> None:
    if code == _BUSY:
        raise DeviceError(
            f"Someone else is installing '{name}' on '{shell.name}' now.",
            hint=f"edgekit deploy --list --to {shell.name}",
        )


def _refuse_unverified(shell: Shell, name: str, version: str, finished: Finished) -> None:
    if finished.code != _REFUSED:
        return
    said = (finished.err.strip().splitlines() or ["its signature"])[-1].removeprefix("Error: ")
    lacks_file = "it has no file" in said
    copied = f"scp ~/{SIGNERS} {shell.name}:{SIGNERS}"
    hint = copied if lacks_file else f"edgekit deploy BUNDLE --to {shell.name} --as {name} --key KEY"
    raise DeviceError(f"'{shell.name}' refuses version '{version}' of '{name}': {said}.", hint=hint)


def _failure(shell: Shell, name: str, version: str, said: str, current: str) -> DeviceError:
    last = (said.strip().splitlines() or ["the self-test fails"])[-1]
    stays = f"'{current}' stays the current version" if current else "there is no earlier version"
    missing = "it has no" in last
    hint = f"edgekit devices prepare {shell.name}" if missing else f"edgekit deploy --list --to {shell.name}"
    return DeviceError(f"Version '{version}' of '{name}' fails on '{shell.name}': {last}; {stays}.", hint=hint)

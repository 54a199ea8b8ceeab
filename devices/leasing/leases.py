"""Leases: who works on a device, so that other commands do not at the same time.

A lease is a file on the device, `lease.NUMBER` in a folder that all its users share; the one with the highest number
counts. Each is created by a call that fails if the file exists, so one of several contenders wins. A lease ends when it
is given back or when its time is up, by the clock of the device; its owner renews it while working. The name of the
process that holds it is in its token: a command of the same machine does not wait for one that was killed.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from edgekit.core.errors import DeviceError, DeviceUnavailable, EdgekitError
from edgekit.core.system.durable.owners import Owner, process_named, this_process
from edgekit.devices.remote.shell import Shell, succeeded
from edgekit.devices.remote.transfer import me

LASTS_S: Final = 60
_RENEWED_S: Final = 20.0
_POLL_S: Final = 1.0
# In a test, and where /tmp is not shared, the folder is another one.
PLACE: Final = "/tmp/edgekit-leases"  # noqa: S108 - shared by all users on purpose
_FOLDER: Final = '"${EDGEKIT_LEASES:-PLACE}"'
# What other users write into the folder gets into no script unless it has this form.
_TOKEN: Final = re.compile(r"(?P<process>ek[0-9a-f]+(-[0-9a-f]+){3})-[0-9a-f]{8}-[0-9a-f]{6}")
_COMMON: Final = """umask 0
d=FOLDER; [ -d "$d" ] || mkdir -p "$d" 2>/dev/null; [ -d "$d" ] || { echo "no folder $d" >&2; exit 8; }
cd "$d" || exit 8
now=$(date +%s)
top() { n=0; for f in lease.*; do k=${f#lease.}; case $k in *[!0-9]*|'') ;; *) [ "$k" -gt $n ] && n=$k;; esac; done; }
look() { top; token= owner= since= until=0; [ $n = 0 ] || read -r token owner since until < lease.$n 2>/dev/null
case ${until:-x} in *[!0-9]*) until=0;; esac; }"""
# A file that its creator has not filled yet is in use; if it stays empty, its creator was killed.
_TAKE: Final = """
for attempt in 1 2 3 4 5; do
look
[ $n != 0 ] && [ -z "$token" ] && { sleep 1; look; now=$(date +%s); }
if [ "$token" != TOKEN ] && [ "$token" != "ENDED" ] && [ "$until" -gt "$now" ]; then
  echo "busy $token $owner $since $until $now"; exit 0
fi
mine=$((n + 1))
if (set -C; echo "TOKEN OWNER $now $((now + LASTS))" > lease.$mine) 2>/dev/null; then
  look
  if [ $n = $mine ] && [ "$token" = TOKEN ]; then
    for f in lease.*; do k=${f#lease.}; case $k in *[!0-9]*|'') ;; *) [ "$k" -lt $mine ] && rm -f "$f";; esac; done
    echo "mine $mine"; exit 0
  fi
  [ $n = $mine ] || rm -f lease.$mine
fi
done
echo "cannot write in $d" >&2; exit 8"""
_RENEW: Final = """
look
# No lease at all: the folder was emptied, and no other command has the device.
[ $n = 0 ] && token=TOKEN owner=OWNER since=$now n=NUMBER
[ $n = NUMBER ] && [ "$token" = TOKEN ] || { echo lost; exit 0; }
echo "TOKEN $owner $since $((now + LASTS))" > new.TOKEN && mv -f new.TOKEN lease.NUMBER && look
[ $n = NUMBER ] && [ "$token" = TOKEN ] && echo mine || echo lost"""
_GIVE: Final = """
look
if [ $n = NUMBER ] && [ "$token" = TOKEN ]; then
  echo "free $owner $since 0" > new.TOKEN && mv -f new.TOKEN lease.NUMBER
fi"""


@dataclass(frozen=True)
class Holder:
    """Who holds a device: the token of a command, `user@host`, and the times in seconds since 1970."""

    token: str
    owner: str
    since: int
    until: int
    now: int

    @property
    def described(self) -> str:
        """`anna@desk since 14:05:10 UTC`."""
        return f"{self.owner} since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC"


def new_token() -> str:
    """The name of one command among all that work on a device: its process and eight random letters."""
    return f"{this_process()}-{secrets.token_hex(4)}"


class Lease:
    """The lease of one command on one device; `renew` keeps it, from any thread."""

    def __init__(self, shell: Shell, token: str, number: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._shell = shell
        self._token = token
        self._number = number
        self._clock = clock
        self._renewed = clock()
        self._lock = threading.Lock()

    def renew(self, after_s: float = _RENEWED_S) -> None:
        """Renew it if the last time is more than `after_s` seconds ago.

        Raises:
            DeviceUnavailable: Its time was up, and another user has the device.
        """
        with self._lock:
            if self._clock() - self._renewed < after_s:
                return
            if _asked(self._shell, _RENEW, self._token, self._number, me()).strip() != "mine":
                raise DeviceUnavailable(
                    f"The lease of '{self._shell.name}' was lost: it was not renewed in time, and is another's now.",
                    hint=f"edgekit devices check {self._shell.name}",
                )
            self._renewed = self._clock()

    def give_back(self) -> None:
        """Free the device; where that fails, the lease ends by itself."""
        with contextlib.suppress(EdgekitError):
            _asked(self._shell, _GIVE, self._token, self._number)


def take(shell: Shell, token: str, owner: str = "", *, ended: str = "") -> Lease | Holder:
    """The lease of the device for the command called `token`, or who holds it.

    Args:
        ended: The token of a command that has ended: its lease does not count.

    Raises:
        DeviceUnavailable: There is no connection.
        DeviceError: The device has no folder for leases that can be written.
    """
    said = _asked(shell, _TAKE.replace("ENDED", ended), token, 0, owner or me()).split()
    if said[:1] == ["mine"] and len(said) == 2:
        return Lease(shell, token, int(said[1]))
    if said[:1] == ["busy"] and len(said) == 6:
        return Holder(said[1], said[2], *(int(one) for one in said[3:]))
    raise DeviceError(
        f"'{shell.name}' gave no lease: {' '.join(said)[:100]}", hint=f"edgekit devices check {shell.name}"
    )


@contextmanager
def leased(
    shell: Shell,
    token: str,
    *,
    wait_s: float = 0.0,
    pause: Callable[[float], object] = time.sleep,
    waiting: Callable[[Holder], object] = lambda _: None,
    owner: str = "",
) -> Iterator[Lease]:
    """The device for this command alone, until the block ends. Renewed meanwhile, also by a thread.

    Args:
        token: A command that reaches one device by two names waits for itself, however long that takes.
        wait_s: How long to wait for another user.
        pause: Waits for some seconds; may raise to end waiting.
        waiting: Gets the holder of the device, each time it is looked at.

    Raises:
        DeviceUnavailable: Another user holds the device; the message says who, and since when.
    """
    start = time.monotonic()
    own = f"{token}-{secrets.token_hex(3)}"
    dead = ""
    while isinstance(found := take(shell, own, owner, ended=dead), Holder):
        if _has_ended(found) and found.token != dead:
            dead = found.token
            continue
        if found.token.rpartition("-")[0] != token and time.monotonic() - start >= wait_s:
            raise DeviceUnavailable(
                f"'{shell.name}' is busy: used by {found.described}.",
                hint="Repeat the command with --wait 10min, which waits for it.",
            )
        waiting(found)
        pause(_POLL_S)
    ended = threading.Event()
    threading.Thread(target=_keep, args=(found, ended), name=f"lease of {shell.name}", daemon=True).start()
    try:
        yield found
    finally:
        ended.set()
        found.give_back()


def _has_ended(holder: Holder) -> bool:
    """Whether the holder was a command of this machine, and its process has ended."""
    name = _TOKEN.fullmatch(holder.token)
    return name is not None and process_named(name["process"]) is Owner.DEAD


def _keep(lease: Lease, ended: threading.Event) -> None:
    """Renew a lease during long launches; a short one is renewed between launches, where it disturbs nothing."""
    while not ended.wait(_RENEWED_S / 2):
        with contextlib.suppress(EdgekitError):  # the next launch finds out
            lease.renew(2 * _RENEWED_S)


def _asked(shell: Shell, script: str, token: str, number: int, owner: str = "") -> str:
    place = shlex.quote(f"{shell.root.rpartition('/')[0]}/.edgekit-leases") if shell.root.startswith("/data") else ""
    folder = _FOLDER.replace("PLACE", place or PLACE)
    text = (_COMMON + script).replace("FOLDER", folder)
    for name, value in {"TOKEN": token, "OWNER": owner, "LASTS": str(LASTS_S), "NUMBER": str(number)}.items():
        text = text.replace(name, value)
    return succeeded(shell, shell.run(text), "leasing it").text

"""The connection of a process to the scheduler of a fleet: which hosts there are, and calls that run at one of them."""

from __future__ import annotations

import contextlib
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from edgekit.core.errors import DeviceUnavailable, EdgekitError
from edgekit.core.system.optional import need
from edgekit.devices.fleet.host_protocol import RESOURCE
from edgekit.devices.fleet.keys import security_of

# How long what was lost may take to come back: longer than a machine needs to start a program again.
RETURN_S: Final = 60.0
LOOK_S: Final = 0.25
_CONNECT_S: Final = 10.0
_FETCHED: Final = 16
_KEYS: Final = re.compile("certificate|SSL|TLS")


class Lost(DeviceUnavailable):
    """The host or the scheduler of a call was lost; whether it ran is not known."""


class Connection:
    """A connection to a scheduler, made when it is needed, and again after the scheduler was lost.

    Args:
        patience_s: How long a scheduler that is not there is awaited, in seconds.
    """

    def __init__(self, address: str, keys: Path | None, *, patience_s: float = RETURN_S) -> None:
        self.address = address
        self._patience_s = patience_s
        self._keys = keys
        self.users = 0
        self._client: Any = None
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        # Each result that is fetched needs a socket of its own.
        self._fetching = threading.Semaphore(_FETCHED)
        self._sending: dict[tuple[str, str], threading.Lock] = {}
        self._sent: dict[tuple[str, str], float] = {}
        self._found: tuple[float, dict[str, tuple[str, ...]]] = (-LOOK_S, {})

    @property
    def listing(self) -> str:
        """The command that lists what the fleet offers."""
        keys = ["--keys", str(self._keys)] if self._keys else []
        return shlex.join(["edgekit", "fleet", "list", self.address, *keys])

    def hosts(self, device: str) -> tuple[str, ...]:
        """The addresses of the hosts that offer a device, in a lasting order.

        One of the devices that wait asks at a time, the others use what was found last: a thousand questions at once
        would all get their replies too late.
        """
        if self._asking.acquire(blocking=not self._found[1]):
            try:
                if monotonic() - self._found[0] > LOOK_S:
                    self._found = monotonic(), _hosts_of_each(self.offers())
            finally:
                self._asking.release()
        return self._found[1].get(device, ())

    def offers(self) -> dict[str, tuple[str, ...]]:
        """The devices of each host.

        Raises:
            DeviceUnavailable: There is no scheduler at the address.
        """
        deadline = monotonic() + self._patience_s
        while True:
            client = self._connected(deadline)
            try:
                found = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=_CONNECT_S)
                workers = found["workers"].items()
            except Exception as err:  # as in `call`
                if monotonic() > deadline:
                    message = f"The fleet at {self.address} does not reply: {err!r:.200}."
                    raise DeviceUnavailable(message, hint=self.listing) from err
                # A late reply is no reason to close the client, on which launches of other devices run.
                sleep(LOOK_S)
            else:
                return {host: _devices(one.get("resources", {})) for host, one in workers}

    def call(self, function: Callable[..., Any], *arguments: Any, to: str, resource: str) -> Any:
        """What a function gives at a host, alone on a device there.

        It takes as long as the host needs, which limits its launches, and until it is its turn there.

        Raises:
            DeviceUnavailable: The host or the scheduler was lost.
        """
        client = self._connected(monotonic() + self._patience_s)
        place = {"workers": [to], "allow_other_workers": False, "resources": {f"{RESOURCE}{resource}": 1}}
        try:
            future = client.submit(function, *arguments, pure=False, retries=0, **place)
            try:
                ended = threading.Event()
                future.add_done_callback(lambda _: ended.set())
                # A thousand threads that ask Dask whether their call has ended would leave it no time for the calls.
                while client.status == "running" and not future.cancelled():
                    if ended.wait(LOOK_S) and not future.cancelled():
                        with self._fetching, contextlib.suppress(TimeoutError):  # a busy scheduler: another try
                            return future.result(timeout=_CONNECT_S)
                    if to not in self.hosts(resource):
                        break
            finally:
                future.release()
        except EdgekitError:
            raise
        except Exception as err:  # Dask raises many kinds when a scheduler or a host goes; a host itself raises none
            raise Lost(f"The host of '{resource}' was lost: {err!r:.300}") from err
        raise Lost(f"The host of '{resource}' was lost.")

    @contextlib.contextmanager
    def sending(self, host: str, digest: str, asked: float) -> Iterator[bool]:
        """A file that a host lacked, for one device at a time: whether this one has to send it.

        The others wait, and ask again.

        Args:
            asked: When this device asked the host, by `monotonic`.
        """
        with self._lock:
            alone = self._sending.setdefault((host, digest), threading.Lock())
        with alone:
            is_first = self._sent.get((host, digest), -1.0) < asked
            yield is_first
            if is_first:
                self._sent[host, digest] = monotonic()

    def close(self) -> None:
        """Leave the fleet, with the last device that uses the connection."""
        with _SHARING:
            self.users -= 1
            if self.users > 0:
                return
            for key in [key for key, one in _SHARED.items() if one is self]:
                del _SHARED[key]
        self._drop()

    def _connected(self, deadline: float) -> Any:
        distributed = need("distributed", extra="fleet")
        with self._lock:
            if self._client is not None and self._client.status == "running":
                return self._client
            self._drop()
            while True:
                try:
                    self._client = distributed.Client(
                        self.address, security=security_of(self._keys), timeout=_CONNECT_S, set_as_default=False
                    )
                except (OSError, TimeoutError) as err:
                    reason = str(err)[:200].rstrip(".") or type(err).__name__
                    if _KEYS.search(reason):
                        message = f"The fleet at {self.address} refuses these keys: {reason}."
                        raise DeviceUnavailable(message, hint=self.listing) from err
                    if monotonic() > deadline:
                        message = f"No fleet replies at {self.address}, or it has other keys: {reason}."
                        raise DeviceUnavailable(message, hint=self.listing) from err
                    sleep(LOOK_S)
                else:
                    return self._client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout=1)


_SHARED: Final[dict[tuple[object, ...], Connection]] = {}
_SHARING: Final = threading.Lock()


def shared(address: str, keys: Path | None, patience_s: float) -> Connection:
    """The connection of this process to a fleet, for one more device; arguments as in `FleetDevice`."""
    with _SHARING:
        found = _SHARED.setdefault((address, keys, patience_s), Connection(address, keys, patience_s=patience_s))
        found.users += 1
        return found


def _devices(resources: dict[str, float]) -> tuple[str, ...]:
    return tuple(sorted(name.removeprefix(RESOURCE) for name in resources if name.startswith(RESOURCE)))


def _hosts_of_each(offers: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for host in sorted(offers):
        for device in offers[host]:
            found[device] = (*found.get(device, ()), host)
    return found

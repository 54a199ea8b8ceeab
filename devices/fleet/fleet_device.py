"""A device of a fleet: a launch on it is a task of Dask, which only its host gets."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Final, Self

import msgspec

from edgekit.core.errors import DeviceError, DeviceUnavailable, Unreadable, from_record
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.core.system.documents import encode
from edgekit.core.system.files import sha256_file, write_atomic
from edgekit.devices.fleet.connection import LOOK_S, RETURN_S, Lost, shared
from edgekit.devices.fleet.host import ask_here, receive_here
from edgekit.devices.fleet.host_protocol import Ask, Failed, HostLaunched, Lacking, Reply, Seen, decode_reply

_log = logging.getLogger(__name__)
_TRIES: Final = 5
_PART: Final = 16 << 20
# What makes two devices the same kind: launches may go on there after a host was lost.
_KIND: Final = ("architecture", "cpu", "cores", "system", "emulated", "engines")


class FleetDevice:
    """A device that a host of a fleet offers by this name.

    Several hosts may offer devices of one kind by the same name. All launches go to the first of them; if it is lost,
    another one with equal facts gets them.

    Args:
        address: That of the scheduler, as `keys.address_of` writes it.
        keys: Those of the fleet; None on this machine alone.
        patience_s: How long a scheduler or a host that was lost may take to come back, in seconds.
    """

    def __init__(self, name: str, address: str, keys: Path | None = None, *, patience_s: float = RETURN_S) -> None:
        self.name = name
        self._patience_s = patience_s
        self._connection = shared(address, keys, patience_s)
        self._host = ""
        self._seen: Seen | None = None
        self._digests: dict[tuple[str, int, int], str] = {}

    @property
    def emulated(self) -> bool:
        """As its host says."""
        return self._first().emulated

    def facts(self) -> Facts:
        """Errors as in `Device.facts`."""
        return self._look().facts

    def inability(self, job: Job) -> str:
        """Why the device cannot run `job`; empty if it may. Errors as in `Device.facts`."""
        return self._look(job).inability

    def measure(self, job: Job) -> JobResult:
        """One launch; its files travel to the host once. Errors as in `Device.measure`."""
        self._first()
        feeds = self._digest(job.feeds)
        outputs = "outputs" if job.outputs else ""
        there = msgspec.structs.replace(job, artifact=job.sha256, feeds=feeds, outputs=outputs)
        ask = Ask(device=self.name, job=there, feeds_sha256=feeds, launches=True)
        files = {job.sha256: Path(job.artifact), feeds: Path(job.feeds)}
        for _ in range(3):  # a host that came back has lost its files
            asked = monotonic()
            found, written = self._asked(ask)
            if not isinstance(found, Lacking):
                break
            for digest in found.files:
                with self._connection.sending(self._host, digest, asked) as is_first:
                    if is_first:
                        self._send(digest, files.get(digest))
        if not isinstance(found, HostLaunched):
            raise DeviceError(f"The host of '{self.name}' did not take the files of a launch.")
        if job.outputs:
            write_atomic(Path(job.outputs), written or b"")
        return found.result

    def close(self) -> None:
        """Leave the fleet."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _first(self) -> Seen:
        return self._seen or self._look()

    def _look(self, job: Job | None = None) -> Seen:
        there = msgspec.structs.replace(job, artifact=job.sha256, feeds="", outputs="") if job else None
        found, _ = self._asked(Ask(device=self.name, job=there))
        if not isinstance(found, Seen):
            raise DeviceError(f"The host of '{self.name}' did not say what it is.")
        self._seen = self._seen or found
        return found

    def _asked(self, ask: Ask) -> tuple[Reply, bytes | None]:
        """The reply of the host; after a loss that of another one, or of the same when it is back."""
        reply = self._tried(encode(ask))
        if not (isinstance(reply, tuple) and len(reply) == 2):
            raise DeviceError(f"The host of '{self.name}' gave no valid reply.")
        found = decode_reply(reply[0], self.name)
        if isinstance(found, Failed):
            one = found.failure
            raise from_record(one.error, one.message, hint=one.hint, code=one.code, otherwise=DeviceError)
        return found, reply[1] if isinstance(reply[1], bytes) else None

    def _tried(self, content: bytes) -> object:
        for number in range(_TRIES):
            host = self._bound(monotonic() + self._patience_s, was_there=number > 0)
            try:
                return self._connection.call(ask_here, content, to=host, resource=self.name)
            except Lost as err:
                self._host = ""
                if number == _TRIES - 1:
                    raise
                _log.warning("%s It is awaited for up to %g s.", err.message, self._patience_s)
        raise AssertionError

    def _bound(self, deadline: float, *, was_there: bool) -> str:
        """The address of the host; waits until `deadline` for one that was there."""
        while True:
            hosts = self._connection.hosts(self.name)
            if self._host in hosts:
                return self._host
            if self._seen is None and len(hosts) > 1:
                self._refuse_kinds(hosts)
            if fit := next((one for one in hosts if self._is_same_kind(one)), ""):
                self._host = fit
                return fit
            if monotonic() > deadline or not (was_there or self._seen or hosts):
                break
            sleep(LOOK_S)
        offered = "offers no such device any more" if was_there or self._seen else "offers no such device"
        raise DeviceUnavailable(
            f"The fleet at {self._connection.address} {offered}: '{self.name}'.",
            hint=self._connection.listing,
        )

    def _refuse_kinds(self, hosts: Sequence[str]) -> None:
        """Raise if several hosts offer devices of different kinds by this name: which one is meant is not known."""
        kinds = [_kind(seen) for one in hosts if (seen := self._seen_at(one))]
        if any(kind != kinds[0] for kind in kinds):
            raise DeviceUnavailable(
                f"{len(hosts)} hosts offer devices of different kinds as '{self.name}'.", hint=self._connection.listing
            )

    def _is_same_kind(self, host: str) -> bool:
        if self._seen is None:
            return True
        found = self._seen_at(host)
        return found is not None and _kind(found) == _kind(self._seen)

    def _seen_at(self, host: str) -> Seen | None:
        """What the device of a host is; None if it is lost."""
        try:
            reply = self._connection.call(ask_here, encode(Ask(device=self.name)), to=host, resource=self.name)
        except Lost:
            return None
        found = decode_reply(reply[0], self.name) if isinstance(reply, tuple) and reply else None
        return found if isinstance(found, Seen) else None

    def _digest(self, file: str) -> str:
        """The SHA-256 of a file, computed again once it has changed."""
        found = Path(file).stat()
        state = file, found.st_mtime_ns, found.st_size
        if state not in self._digests:
            self._digests[state] = sha256_file(Path(file))
        return self._digests[state]

    def _send(self, digest: str, path: Path | None) -> None:
        if path is None:
            raise DeviceError(f"The host of '{self.name}' asks for a file that belongs to no launch.")
        sender = uuid.uuid4().hex
        for place, part, is_last in _parts(path):
            try:
                why = self._connection.call(
                    receive_here, digest, sender, place, part, is_last, to=self._host, resource=self.name
                )
            except Lost:
                return  # the next question finds another host
            if why:
                raise Unreadable(f"'{path}' did not reach the host of '{self.name}': {why}")


def _kind(seen: Seen) -> tuple[object, ...]:
    return tuple(getattr(seen.facts, name) for name in _KIND)


def _parts(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    size = path.stat().st_size
    with path.open("rb") as stream:
        for place in range(0, max(size, 1), _PART):
            part = stream.read(_PART)
            yield place, part, place + _PART >= size

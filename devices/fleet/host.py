"""A host of a fleet: the devices on its desk, the files that it received, and one launch at a time on each device."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, cast

import msgspec

from edgekit.core.errors import DeviceError, EdgekitError, Unreadable, UserError, to_record
from edgekit.core.job import Job, JobFailure
from edgekit.core.system.documents import encode
from edgekit.core.system.files import sha256_file
from edgekit.core.system.optional import need
from edgekit.devices.device import Device, Selective
from edgekit.devices.fleet.host_protocol import Ask, Failed, HostLaunched, Lacking, Reply, Seen, decode_ask

ATTRIBUTE: Final = "edgekit_host"
"""Where a worker of Dask has its host."""
_MOST_BYTES: Final = 8 << 30
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SENDER: Final = re.compile(r"[0-9a-f]{32}")


class Host:
    """What a worker of Dask has for edgekit.

    Args:
        devices: How each device is opened, by the name that the fleet has for it.
        holds: Holds a device alone for one launch.
        folder: For the files that were received; what was used longest ago goes first when they are many.
    """

    def __init__(
        self,
        devices: Mapping[str, Callable[[], Device]],
        holds: Callable[[Device], AbstractContextManager[Device]],
        folder: Path,
    ) -> None:
        self.devices = dict(devices)
        self._holds = holds
        self._folder = folder
        self._open: dict[str, Device] = {}
        self._locks = {name: threading.Lock() for name in devices}
        self._files: OrderedDict[str, int] = OrderedDict()
        self._files_lock = threading.Lock()

    def close(self) -> None:
        """Close what was opened."""
        for device in self._open.values():
            device.close()

    def reply(self, content: bytes) -> tuple[bytes, bytes | None]:
        """The reply to a question, and the outputs of a launch if they were wanted; what fails is a reply as well."""
        try:
            found, outputs = self._reply(decode_ask(content))
        except Exception as err:  # noqa: BLE001 # whatever it is, the user of the device has to know
            known = err if isinstance(err, EdgekitError) else DeviceError(f"The host failed: {err!r:.300}")
            failure = JobFailure(exit_code=known.exit_code, **to_record(known))
            found, outputs = Failed(failure=failure), None
        return encode(found), outputs

    def receive(self, digest: str, sender: str, place: int, part: bytes, *, is_last: bool) -> None:
        """A part of a file, in order; with the last one the file is there, if it is the one that was announced.

        Args:
            sender: Another one for each time that a file is sent: several users may send the same file.

        Raises:
            Unreadable: It does not match its SHA-256.
        """
        if not (_DIGEST.fullmatch(digest) and _SENDER.fullmatch(sender)):
            raise Unreadable("The name of a file is not a SHA-256 with a sender.")
        path = self._folder / f"{digest}.{sender}.part"
        with path.open("r+b" if place else "wb") as stream:
            stream.seek(place)
            stream.write(part)
        if not is_last:
            return
        if sha256_file(path) != digest:
            path.unlink()
            raise Unreadable("A file arrived damaged.")
        path.replace(self._folder / digest)
        with self._files_lock:
            self._files[digest] = (self._folder / digest).stat().st_size
            self._shrink()

    def _reply(self, ask: Ask) -> tuple[Reply, bytes | None]:
        if ask.device not in self.devices:
            raise UserError(f"This host has no device '{ask.device}'.")
        with self._locks[ask.device]:
            device = self._opened(ask.device)
            if ask.launches and ask.job is not None:
                return self._launched(device, ask.job, ask.feeds_sha256)
            reason = device.inability(ask.job) if ask.job is not None and isinstance(device, Selective) else ""
            return Seen(facts=device.facts(), emulated=device.emulated, inability=reason), None

    def _opened(self, name: str) -> Device:
        if name not in self._open:
            self._open[name] = self.devices[name]()
        return self._open[name]

    def _launched(self, device: Device, job: Job, feeds: str) -> tuple[Reply, bytes | None]:
        with self._files_lock:
            lacking = tuple(one for one in dict.fromkeys((job.sha256, feeds)) if one not in self._files)
            for one in {job.sha256, feeds} - set(lacking):
                self._files.move_to_end(one)
        if lacking:
            return Lacking(files=lacking), None
        outputs = self._folder / f"outputs-{threading.get_ident()}.npz"
        here = msgspec.structs.replace(
            job,
            artifact=str(self._folder / job.sha256),
            feeds=str(self._folder / feeds),
            outputs=str(outputs) if job.outputs else "",
        )
        try:
            with self._holds(device) as held:
                result = held.measure(here)
            return HostLaunched(result=result), outputs.read_bytes() if job.outputs else None
        finally:
            outputs.unlink(missing_ok=True)

    def _shrink(self) -> None:
        # The two newest files are those of the launch that comes next.
        while len(self._files) > 2 and sum(self._files.values()) > _MOST_BYTES:
            oldest, _ = self._files.popitem(last=False)
            (self._folder / oldest).unlink(missing_ok=True)


def ask_here(content: bytes) -> tuple[bytes, bytes | None]:
    """The reply of the host that this task runs on."""
    return _this_host().reply(content)


def receive_here(digest: str, sender: str, place: int, part: bytes, is_last: bool) -> str:
    """Give the host that this task runs on a part of a file: an empty text, or why that failed."""
    try:
        _this_host().receive(digest, sender, place, part, is_last=is_last)
    except (EdgekitError, OSError) as err:
        return str(err) or type(err).__name__
    return ""


def _this_host() -> Host:
    return cast(Host, getattr(need("distributed", extra="fleet").get_worker(), ATTRIBUTE))

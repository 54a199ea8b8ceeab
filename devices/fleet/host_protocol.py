"""What a user of a fleet asks a host, and its reply: JSON that both ends check."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.errors import DeviceError, Unreadable
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobFailure, JobResult
from edgekit.core.system.documents import BROKEN_JSON
from edgekit.core.system.native.types import prepared
from edgekit.core.system.version import VERSION

RESOURCE: Final = "edgekit "
"""What the name of a device begins with among the resources of Dask."""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question about the device called `device`: what it is, or with `job` whether it can run that, or one launch.

    The files of a job are named by their SHA-256, `outputs` is "outputs" if they are wanted. Both ends have the same
    version of edgekit.
    """

    device: str
    job: Job | None = None
    feeds_sha256: str = ""
    launches: bool = False
    edgekit: str = VERSION


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="seen"):
    """What a device is, and why it cannot run the job; empty if it may."""

    facts: Facts
    emulated: bool
    inability: str = ""


class HostLaunched(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="launched"):
    """What one launch measured."""

    result: JobResult


class Lacking(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="lacking"):
    """Files, by their SHA-256, that the host does not have yet."""

    files: tuple[str, ...]


class Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="failed"):
    """Why it was not done."""

    failure: JobFailure


Reply = Seen | HostLaunched | Lacking | Failed


def decode_ask(content: bytes) -> Ask:
    """The question in `content`; Unreadable if it is none, or of another version of edgekit."""
    try:
        found = msgspec.json.decode(content, type=prepared(Ask))
    except BROKEN_JSON as err:
        raise Unreadable(f"The question is not one of edgekit {VERSION}: {err}.") from err
    if found.edgekit != VERSION:
        raise Unreadable(f"This host has edgekit {VERSION}, and the question comes from edgekit {found.edgekit}.")
    return found


def decode_reply(content: object, name: str) -> Reply:
    """The reply in `content`; DeviceError if it is none."""
    try:
        found: Reply = msgspec.json.decode(content if isinstance(content, bytes) else b"", type=prepared(Reply))
    except BROKEN_JSON as err:
        raise DeviceError(f"The host of '{name}' gave no valid reply: {err}.") from err
    return found

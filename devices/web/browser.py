"""The web transport: any phone, in its browser. edgekit's page requests jobs and runs each in a fresh frame."""

from __future__ import annotations

import json
import queue
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Protocol, Self

import msgspec

from edgekit.core.errors import DeviceError, DeviceUnavailable, ProviderRefused, UserError
from edgekit.core.facts import Facts
from edgekit.core.job import Job, JobResult
from edgekit.core.samples import read_arrays, write_arrays
from edgekit.core.system.documents import BROKEN_JSON
from edgekit.core.system.files import read_bytes
from edgekit.core.system.native.types import prepared
from edgekit.core.target import SIGNATURE, refuse_unknown_options
from edgekit.devices.remote.array_records import packed, unpacked
from edgekit.devices.remote.launches import result_of
from edgekit.devices.web.packages import PACKAGES
from edgekit.devices.web.server import Contents, Server, Site, Work

BACKENDS: Final = {"ort-web": "onnx", "litert-js": "tflite"}
PROVIDERS: Final = ("wasm", "webgpu")
_HIDDEN: Final = "a browser does not show it"


Short = Annotated[str, msgspec.Meta(max_length=1000)]


class Hello(msgspec.Struct, frozen=True):
    """What the page says about its browser when it is opened."""

    user_agent: Short = ""
    platform: Short = ""
    model: Short = ""
    cores: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    missing_webgpu: Short = "the page does not say whether it has it"


class Lead(Protocol):
    """Forwards a port of this machine to the phone."""

    def lead(self, port: int) -> None:
        """Forward `port`; errors as in `Device.facts`."""

    def close(self) -> None:
        """Stop forwarding."""


class WebDevice:
    """A browser that opens the printed address; the server listens while the device is open.

    Args:
        host: Address of this machine to serve on; loopback unless a phone must reach it.
        port: Its port, which one command at a time can serve; with 0 each gets its own.
        packages: The files of the backends' packages, as `require` returns them.
        announce: Called once with the address to open.
        connect_timeout_s: How long to wait until the page is opened.
        timeout_s: Time limit of one launch.
        is_isolated: Send the headers that enable threads and a precise clock.
        cable: Forwards the server's port to a phone on a cable.
    """

    emulated = False

    def __init__(
        self,
        name: str,
        packages: Contents,
        announce: Callable[[str], None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        connect_timeout_s: float = 300.0,
        timeout_s: float = 300.0,
        is_isolated: bool = True,
        cable: Lead | None = None,
    ) -> None:
        self.name = name
        versions = {package.short.upper(): package.version for package in PACKAGES}
        self._site = Site(packages, versions, is_isolated=is_isolated)
        self._address = host, port
        self.port = port
        self._announce = announce
        self._cable = cable
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = timeout_s
        self._server: Server | None = None
        self._hello: Hello | None = None

    def facts(self) -> Facts:
        """What the browser reports about its device; waits until the page is opened.

        Raises:
            DeviceUnavailable: The page was not opened in time.
        """
        hello = self._connect()
        values = {"cpu": hello.model or None, "cores": hello.cores}
        nulls = [name for name in Facts.__struct_fields__ if getattr(Facts(), name) is None and not values.get(name)]
        return Facts(
            system=f"{hello.platform or 'unknown system'}, {_browser(hello.user_agent)}",
            architecture="wasm",
            cpu=hello.model or None,
            cores=hello.cores,
            features=("wasm", *([] if hello.missing_webgpu else ["webgpu"])),
            missing=dict.fromkeys(nulls, _HIDDEN),
        )

    def measure(self, job: Job) -> JobResult:
        """Run one launch in a fresh frame of the page; errors as in `Device.measure`."""
        _check(job, self.name)
        self._require_provider(job, self._connect())
        launch = secrets.token_hex(8)
        there = {**msgspec.to_builtins(job), "artifact": "model", "feeds": "feeds", "outputs": bool(job.outputs)}
        feeds = packed(read_arrays(Path(job.feeds), UserError))
        document = json.dumps({**there, "launch": launch}).encode()
        self._site.work = Work(document, read_bytes(Path(job.artifact)), feeds, launch, bool(job.outputs))
        self._site.is_given = False
        try:
            answer = self._site.results.get(timeout=self._timeout_s)
        except queue.Empty as err:
            self._site.work = None
            raise DeviceUnavailable(
                f"No result from '{self.name}' (web) within {self._timeout_s:.0f} s: was the page closed?",
                hint="Keep the page open and in the foreground; if it was closed, open it again.",
            ) from err
        line, _, outputs = answer.partition(b"\n")
        result = result_of(self.name, line)
        if job.outputs:
            write_arrays(Path(job.outputs), unpacked(outputs))
        return self._reasoned(result)

    def close(self) -> None:
        """Stop serving; closing twice is harmless."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._cable is not None:
            self._cable.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _connect(self) -> Hello:
        """Serve the page and wait until somebody opens it, once; what it says about its browser."""
        if self._hello is not None:
            return self._hello
        if self._server is None:
            self._server = Server(self._site, *self._address)
            if self._cable is not None:
                self._cable.lead(self._server.port)
            self._announce(self._server.url)
        try:
            self._hello = msgspec.json.decode(
                self._site.hello.get(timeout=self._connect_timeout_s), type=prepared(Hello)
            )
            return self._hello
        except queue.Empty as err:
            raise DeviceUnavailable(
                f"The page of '{self.name}' (web) was not opened within {self._connect_timeout_s:.0f} s.",
                hint="Open the printed address in the phone's browser.",
            ) from err
        except BROKEN_JSON as err:
            raise DeviceError(f"Cannot parse what the page of '{self.name}' (web) sent: {err}.") from err

    def _require_provider(self, job: Job, hello: Hello) -> None:
        """Raise for a provider that this browser does not have."""
        reason = hello.missing_webgpu
        if job.options.get("provider") == "webgpu" and reason:
            raise ProviderRefused(
                f"'{self.name}' (web) has no provider 'webgpu': {reason}.", hint=f"--target {self.name}"
            )

    def _reasoned(self, result: JobResult) -> JobResult:
        moment = self.facts()
        return msgspec.structs.replace(result, before=moment, after=moment)


def _check(job: Job, name: str) -> None:
    """Raise for a job that no browser can run."""
    wanted = BACKENDS.get(job.backend, job.format)
    if job.backend in BACKENDS and wanted != job.format:
        raise UserError(f"Backend '{job.backend}' of '{name}' does not open {job.format} files.")
    if job.backend and job.backend not in BACKENDS:
        raise UserError(
            f"'{name}' is a browser, which does not have backend '{job.backend}'.", hint=f"--target {name}/ort-web"
        )
    backend = job.backend or next((name for name, kind in BACKENDS.items() if kind == job.format), "")
    refuse_unknown_options([name for name in job.options if name != SIGNATURE], backend)
    provider = job.options.get("provider", PROVIDERS[0])
    if provider not in PROVIDERS:
        known = " and ".join(PROVIDERS)
        raise UserError(f"'{name}' is a browser, which has only the providers {known}, not '{provider}'.")


def _browser(user_agent: str) -> str:
    """The browser's own name and version, such as `Chrome/156.0.0.0`."""
    known = ("Firefox/", "Edg/", "HeadlessChrome/", "Chrome/", "Version/")
    words = [word for mark in known for word in user_agent.split() if word.startswith(mark)]
    return words[0] if words else "unknown browser"

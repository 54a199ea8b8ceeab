"""The server for a browser that is measured: read-only routes under a random key, for one client."""

from __future__ import annotations

import contextlib
import http.server
import logging
import queue
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

from edgekit.core.errors import EnvironmentFault, from_os_error

PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}
# A page says what it is in a few lines; a result contains outputs only if the job asked for them.
_MAX_HELLO_BYTES: Final = 1 << 16
_MAX_RESULT_BYTES: Final = 1 << 26
_MAX_OUTPUTS_BYTES: Final = 1 << 30
_MAX_HELLOS: Final = 8
# A connection on which nothing arrives for so long, and a body that takes longer, are given up.
_IDLE_S: Final = 20.0
_BODY_S: Final = 120.0
_CHUNK: Final = 1 << 20
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_log = logging.getLogger(__name__)
_FILES: Final = {"": "index.html"} | {name: name for name in ("page.js", "launch.html", "launch.js")}


Contents = Mapping[str, Mapping[str, bytes]]
"""Files by the short name of their package and their path in it."""


@dataclass(frozen=True)
class Work:
    """One job for the browser: what it reads as `job`, `model` and `feeds`. `launch` is in the path of its result."""

    job: bytes
    model: bytes
    feeds: bytes
    launch: str = ""
    has_outputs: bool = True


@dataclass
class Site:
    """What is served and what was received. `key` is the first part of every path, new for every site."""

    packages: Contents
    replacements: Mapping[str, str]
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    is_isolated: bool = True
    work: Work | None = None
    hello: queue.Queue[bytes] = field(default_factory=lambda: queue.Queue(_MAX_HELLOS))
    results: queue.Queue[bytes] = field(default_factory=queue.Queue)
    is_given: bool = True
    is_over: bool = False
    client: str = ""

    def limit(self, path: str) -> int:
        """How many bytes a page may send to `path` now; 0 if it may send nothing."""
        if path == "hello":
            return _MAX_HELLO_BYTES
        if self.work is None or path != f"result/{self.work.launch}":
            return 0
        return _MAX_OUTPUTS_BYTES if self.work.has_outputs else _MAX_RESULT_BYTES

    def receive(self, path: str, content: bytes) -> None:
        """Keep what a page sent. One that was opened again receives the job whose launch ended with the page before."""
        if path == "hello":
            with contextlib.suppress(queue.Full):  # one is read, and later ones say the same
                self.hello.put_nowait(content)
            if self.work is not None:
                self.is_given = False
        elif self.work is not None and path == f"result/{self.work.launch}":
            self.work, self.is_given = None, True
            self.results.put(content)

    def respond(self, path: str) -> tuple[int, bytes, str]:
        """Status, content and type for a path after the key."""
        if path == "next":
            return self._next()
        if path in _FILES:
            text = (PAGE / _FILES[path]).read_text(encoding="utf-8")
            for name, value in self.replacements.items():
                text = text.replace(f"@{name}@", value)
            return 200, text.encode(), _TYPES[Path(_FILES[path]).suffix]
        if self.work is not None and path in ("job", "model", "feeds"):
            return 200, getattr(self.work, path), "application/octet-stream"
        return self._packaged(path)

    def _next(self) -> tuple[int, bytes, str]:
        if self.is_over:
            return 410, b"", "text/plain"
        if self.is_given:
            return 204, b"", "text/plain"
        self.is_given = True
        return 200, b"", "text/plain"

    def _packaged(self, path: str) -> tuple[int, bytes, str]:
        """A file of a package, by its plain name."""
        short, _, rest = path.partition("/")
        content = self.packages.get(short, {}).get(rest)
        if content is None:
            return 404, b"", "text/plain"
        return 200, content, _TYPES.get(Path(rest).suffix, "application/octet-stream")


class Server:
    """Serves a site on one address until it is closed.

    Raises:
        EnvironmentFault: The address or port cannot be used.
    """

    def __init__(self, site: Site, host: str, port: int) -> None:
        self.site = site
        try:
            self._server = _QuietServer((host, port), _handler(site))
        except OSError as err:
            raise from_os_error(err, f"serving on {host}:{port}") from err
        except OverflowError as err:
            raise EnvironmentFault(f"Cannot serve on {host}:{port}: the address is not valid.") from err
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.port = int(self._server.server_port)
        self.url = f"http://{host}:{self.port}/{site.key}/"

    def close(self) -> None:
        """Stop serving; a page that sends another request gets status 410."""
        self.site.is_over = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _QuietServer(http.server.ThreadingHTTPServer):
    """A server for which a client that goes away is nothing to tell."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what failed for debugging alone: standard error belongs to edgekit."""
        _log.debug("a request of %s failed", client_address, exc_info=True)


def _handler(site: Site) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _IDLE_S

        def do_GET(self) -> None:
            path = self._path()
            if path is not None:
                self._send(*site.respond(path))

        def do_POST(self) -> None:
            path = self._path()
            if path is None:
                return
            length = self.headers.get("Content-Length") or ""
            limit = site.limit(path)
            if not limit or not _LENGTH.fullmatch(length) or int(length) > limit:
                self.close_connection = True  # the body is not read
                self._send(413 if limit else 404, b"", "text/plain")
                return
            content = self._body(int(length))
            if content is not None:
                site.receive(path, content)
                self._send(204, b"", "text/plain")

        def _body(self, size: int) -> bytes | None:
            """The body of the request; None if it did not arrive whole and in time."""
            parts, left, deadline = [], size, monotonic() + _BODY_S
            while left and monotonic() < deadline:
                part = self.rfile.read1(min(left, _CHUNK))
                if not part:
                    break
                parts.append(part)
                left -= len(part)
            self.close_connection = self.close_connection or left > 0
            return None if left else b"".join(parts)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Log nothing: standard error belongs to edgekit."""

        def _path(self) -> str | None:
            """What is asked for behind the key; None when the client has been refused."""
            _, key, *rest = [*self.path.partition("?")[0].split("/", 2), ""][:3]
            caller = self.client_address[0]
            if not secrets.compare_digest(key.encode(), site.key.encode()) or caller != (site.client or caller):
                self._send(403, b"", "text/plain")
                return None
            site.client = caller  # the key is for the first who shows it
            return rest[0] if rest else ""

        def _send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            if site.is_isolated:
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(content)

    return Handler

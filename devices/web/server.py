"""The server for a browser that is measured: read-only routes under a random key, for one client."""

from __future__ import annotations

import http.server
import queue
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edgekit.core.errors import EnvironmentFault, from_os_error

PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}
_MAX_POST_BYTES: Final = 1 << 30
_FILES: Final = {"": "index.html"} | {name: name for name in ("page.js", "launch.html", "launch.js")}


@dataclass(frozen=True)
class Work:
    """One job for the browser: what it reads as `job`, `model` and `feeds`. `launch` is in the path of its result."""

    job: bytes
    model: bytes
    feeds: bytes
    launch: str = ""


@dataclass
class Site:
    """What is served and what was received. `key` is the first part of every path, new for every site."""

    packages: Mapping[str, Path]
    replacements: Mapping[str, str]
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    is_isolated: bool = True
    work: Work | None = None
    hello: queue.Queue[bytes] = field(default_factory=queue.Queue)
    results: queue.Queue[bytes] = field(default_factory=queue.Queue)
    is_given: bool = True
    is_over: bool = False
    client: str = ""

    def receive(self, path: str, content: bytes) -> None:
        """Keep what a page sent. One that was opened again receives the job whose launch ended with the page before."""
        if path == "hello":
            self.hello.put(content)
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
        """A file of a package, by its plain name: nothing outside its folder, no link."""
        short, _, rest = path.partition("/")
        folder = self.packages.get(short)
        if folder is not None:
            for file in folder.rglob("*"):
                if file.is_file() and not file.is_symlink() and file.relative_to(folder).as_posix() == rest:
                    return 200, file.read_bytes(), _TYPES.get(file.suffix, "application/octet-stream")
        return 404, b"", "text/plain"


class Server:
    """Serves a site on one address until it is closed.

    Raises:
        EnvironmentFault: The address or port cannot be used.
    """

    def __init__(self, site: Site, host: str, port: int) -> None:
        self.site = site
        try:
            self._server = http.server.ThreadingHTTPServer((host, port), _handler(site))
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


def _handler(site: Site) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self._path()
            if path is not None:
                self._send(*site.respond(path))

        def do_POST(self) -> None:
            path = self._path()
            if path is None:
                return
            size = int(self.headers.get("Content-Length") or 0)
            if path.partition("/")[0] not in ("hello", "result") or size > _MAX_POST_BYTES:
                self._send(404, b"", "text/plain")
                return
            site.receive(path, self.rfile.read(size))
            self._send(204, b"", "text/plain")

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

"""Serves the pages on an address until the user stops it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from edgekit.core.errors import EnvironmentFault, from_os_error

# How long requests may still take after the user stopped the server.
_LAST_S: Final = 3
_WAITING: Final = 128
_MOST_AT_ONCE: Final = 64
_KEEP_ALIVE_S: Final = 5


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens on an address; port 0 is any free one.

    Raises:
        EnvironmentFault: The address does not exist, or the port is in use.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as err:
        raise EnvironmentFault(f"Cannot serve on '{host}': {getattr(err, 'strerror', None) or err}.") from err
    with contextlib.closing(listening):
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_WAITING)
        except OSError as err:
            raise from_os_error(err, f"serving on {host}:{port}") from err
        yield listening


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(listening: socket.socket, host: str) -> str:
    """The address as a browser takes it."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"


def serve(application: Any, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which is raised again when the last requests have ended."""
    config = uvicorn.Config(
        application,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LAST_S,
    )
    uvicorn.Server(config).run(sockets=[listening])

"""Who may read the pages: the check of every request, and the headers of every response."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Any, Send], Awaitable[None]]

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cache-control": b"no-store",
}
_COOKIE: Final = "edgekit"
_REFUSALS: Final = {
    400: b"This address is not valid.",
    401: b"A token is needed: open this address with ?token=TOKEN, or send 'Authorization: Bearer TOKEN'.",
    405: b"These pages are only read.",
    421: b"This name of the host is not served. Start with: edgekit serve --name NAME",
}


@dataclass(frozen=True)
class Access:
    """Who may read: everybody who reaches the address, or only who shows `token`; `names` are those of the host.

    A page elsewhere can give this machine a name of its own and read what is served here through the browser of a user.
    The name is in the header Host; addresses are safe, because no page elsewhere comes from them.
    """

    token: str = ""
    names: frozenset[str] = frozenset({"localhost"})

    def is_served(self, host: str) -> bool:
        """Whether the header Host names this machine."""
        name = _without_port(host)
        return name in self.names or _is_address(name)

    def is_known(self, shown: str) -> bool:
        """Whether `shown` is the token."""
        return secrets.compare_digest(shown.encode("utf-8", "replace"), self.token.encode("utf-8", "replace"))

    @property
    def cookie(self) -> str:
        """What a browser keeps instead of the token."""
        return hashlib.sha256(b"edgekit serve " + self.token.encode("utf-8", "replace")).hexdigest()


class Guard:
    """Refuses requests before any page is made, and adds the headers of every response."""

    def __init__(self, application: Application, access: Access) -> None:
        self._application, self._access = application, access

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return  # a socket that is not opened is refused
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                more = [(name, value) for name, value in _HEADERS.items() if name not in present]
                if b"content-security-policy" not in present:
                    more.append((b"content-security-policy", POLICY.encode()))
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        refused, shown = self._refusal(scope, headers)
        if refused:
            await _respond(guarded, refused, _REFUSALS[refused])
        elif shown:
            await self._welcome(scope, guarded)
        else:
            await self._application(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, bool]:
        """The status of a refusal, or 0; and whether the token is in the address."""
        if scope["method"] not in ("GET", "HEAD"):
            return 405, False
        if not self._access.is_served(headers.get(b"host", "")):
            return 421, False
        if not self._access.token:
            return 0, False
        try:
            asked = dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=20))
        except ValueError:
            return 400, False
        if (shown := asked.get("token")) is not None:
            return (0, True) if self._access.is_known(shown) else (401, False)
        kind, _, bearer = headers.get(b"authorization", "").partition(" ")
        is_known = kind.lower() == "bearer" and self._access.is_known(bearer.strip())
        return (0 if is_known or self._has_cookie(headers.get(b"cookie", "")) else 401), False

    def _has_cookie(self, header: str) -> bool:
        try:
            cookie = SimpleCookie(header).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and secrets.compare_digest(cookie.value.encode(), self._access.cookie.encode())

    async def _welcome(self, scope: Scope, send: Send) -> None:
        """Give the browser a cookie, and lead it to the same page without the token in its address."""
        rest = [pair for pair in parse_qsl(scope["query_string"].decode("latin-1")) if pair[0] != "token"]
        # One slash: two would name another host.
        path = "/" + scope["raw_path"].decode("latin-1").partition("?")[0].lstrip("/\\")
        place = f"{path}?{urlencode(rest)}" if rest else path
        cookie = f"{_COOKIE}={self._access.cookie}; HttpOnly; SameSite=Lax; Path=/"
        more = [(b"location", place.encode("latin-1")), (b"set-cookie", cookie.encode())]
        await _respond(send, 303, b"", more)


def _without_port(host: str) -> str:
    """The name in a header Host, in lower case: `[::1]:80` is `::1`."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _respond(send: Send, status: int, content: bytes, more: list[tuple[bytes, bytes]] | None = None) -> None:
    sizes = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*sizes, *(more or ())]})
    await send({"type": "http.response.body", "body": content})

"""`edgekit serve`: the pages of a store of runs, on an address of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError
from edgekit.core.reports.kept_pages import ServeReport
from edgekit.core.system.files import read_bytes
from edgekit.core.system.optional import need
from edgekit.flows.keeping.runs import opened

# A guess among as many as 20 letters and digits have never succeeds.
_SHORTEST: Final = 20
_HINT: Final = "openssl rand -hex 20 > token; edgekit serve --host ADDRESS --token-file token"


@dataclass(frozen=True)
class ServedPages:
    """An address that listens, and what serves the pages there until the user stops it."""

    report: ServeReport
    run: Callable[[], None]


@contextmanager
def serve_site(
    place: str, *, host: str, port: int, token_file: Path | None, names: Sequence[str] = ()
) -> Iterator[ServedPages]:
    """The pages of the store at `place`, ready to be served.

    Args:
        host: An address of this machine. All but loopback need a token.
        port: 0 for any free one.
        token_file: A file with the token that readers show.
        names: Further names that readers use for this machine.

    Raises:
        UserError: No token, or a short one; there is no store.
        MissingExtra: A package of the extra `dashboard` is not installed.
        EnvironmentFault: The address cannot be used; as in `opened`.
        Unreadable: As in `opened`.
    """
    need("fastapi", extra="dashboard")
    need("uvicorn", extra="dashboard")
    need("jinja2", extra="report")
    from edgekit.dashboard.access import Access, Guard
    from edgekit.dashboard.application import application
    from edgekit.dashboard.listening import bound, is_loopback, serve, url_of

    token = _token(token_file) if token_file else ""
    if not token and not is_loopback(host):
        raise UserError(f"Everybody who reaches '{host}' could read the history without a token.", hint=_HINT)
    allowed = frozenset({"localhost", host.lower(), *(name.lower() for name in names)})
    with opened(place) as store, bound(host, port) as listening:
        guarded = Guard(application(store), Access(token, allowed))
        yield ServedPages(ServeReport(store=store.name, url=url_of(listening, host)), lambda: serve(guarded, listening))


def _token(path: Path) -> str:
    token = read_bytes(path).decode("utf-8", "replace").strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(
            f"The token in '{path}' is not {_SHORTEST} or more letters and digits.",
            hint=f"openssl rand -hex 20 > {path}",
        )
    return token

"""The addresses of the pages. Each gives a document, as a page for people or as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response

from edgekit.core.errors import EdgekitError, EnvironmentFault, UserError
from edgekit.core.reports.error import ErrorFacts, ErrorReport
from edgekit.core.reports.kept import KeptRunReport
from edgekit.core.reports.kept_pages import KeptDevicesReport, PageFilter, RunPageReport, RunPairsReport, SeriesReport
from edgekit.core.system.documents import encode
from edgekit.dashboard import drawn_pages
from edgekit.dashboard.page_frames import style_sheet
from edgekit.dashboard.run_pairs import pairs_of
from edgekit.report.pages.page import style_hash
from edgekit.report.registry import page_of
from edgekit.store import trends
from edgekit.store.database import Store
from edgekit.store.reading import run_of, run_without_report

_SERIES: Final = 50
_CHARTS: Final = 8
_POINTS: Final = 60
_RUNS: Final = 40
_LARGEST: Final = 2**31 - 1

Text = Annotated[str, Query(max_length=500)]
Place = Annotated[int, Query(ge=1, le=100_000)]
Number = Annotated[int, Query(ge=1, le=_LARGEST)]


def _storable(text: str) -> str:
    """The text without what no name in a store contains and PostgreSQL refuses."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _filter(
    model: Text = "", target: Text = "", artifact: Text = "", branch: Text = "", library: Text = ""
) -> PageFilter:
    return PageFilter(*map(_storable, (model, target, artifact, branch, library)))


Shown = Annotated[PageFilter, Depends(_filter)]


def application(store: Store) -> FastAPI:
    """The pages of `store`. Who may read them is checked in `access`."""
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _series(site, store)
    _runs(site, store)
    _reports(site, store)
    _get(site, "/style.css")(lambda: Response(style_sheet(), media_type="text/css"))
    site.add_exception_handler(EdgekitError, _failed)
    site.add_exception_handler(RequestValidationError, _not_valid)
    site.add_exception_handler(404, _missing)
    return site


def _get(site: FastAPI, path: str) -> Callable[[Any], Any]:
    return site.api_route(path, methods=["GET", "HEAD"], response_model=None)


def _series(site: FastAPI, store: Store) -> None:
    """The overview and the trends."""

    @_get(site, "/")
    def overview(request: Request, shown: Shown, page: Place = 1) -> Response:
        found = trends.overview(store, shown, first=(page - 1) * _SERIES, most=_SERIES)
        document = SeriesReport(store=store.name, shown=shown, series=found.series, total=found.total, page=page)
        return _response(request, document, lambda: drawn_pages.overview(document, trends.every_name(store), _SERIES))

    @_get(site, "/trends")
    def trend(request: Request, shown: Shown, page: Place = 1) -> Response:
        found = trends.trends(store, shown, first=(page - 1) * _CHARTS, most=_CHARTS, points=_POINTS)
        document = SeriesReport(store=store.name, shown=shown, series=found.series, total=found.total, page=page)
        return _response(request, document, lambda: drawn_pages.trends(document, trends.every_name(store), _CHARTS))

    @_get(site, "/devices")
    def devices(request: Request) -> Response:
        document = KeptDevicesReport(store=store.name, devices=trends.every_device(store))
        return _response(request, document, lambda: drawn_pages.devices(document))


def _runs(site: FastAPI, store: Store) -> None:
    """The list of runs, and two of them compared."""

    @_get(site, "/runs")
    def runs(request: Request, shown: Shown, before: Text = "") -> Response:
        found, older = trends.newest_that_fit(store, shown, before=_storable(before), most=_RUNS)
        document = RunPageReport(store=store.name, shown=shown, runs=found, older=older)
        return _response(request, document, lambda: drawn_pages.runs(document, trends.every_name(store)))

    @_get(site, "/compare")
    def compare(request: Request, a: Number, b: Number) -> Response:
        first, second = run_without_report(store, a), run_without_report(store, b)
        pairs, only_a, only_b = pairs_of(first, second)
        document = RunPairsReport(store=store.name, a=first, b=second, pairs=pairs, only_a=only_a, only_b=only_b)
        return _response(request, document, lambda: drawn_pages.compare(document))


def _reports(site: FastAPI, store: Store) -> None:
    """One run, and its whole report."""

    @_get(site, "/runs/{number}")
    def run(request: Request, number: Annotated[int, Path(ge=1, le=_LARGEST)]) -> Response:
        document = KeptRunReport(store=store.name, run=run_without_report(store, number), command="serve")
        return _response(request, document, lambda: drawn_pages.run(document))

    @_get(site, "/runs/{number}/report")
    def report(request: Request, number: Annotated[int, Path(ge=1, le=_LARGEST)]) -> Response:
        _, kept = run_of(store, number)
        if kept is None:
            raise UserError(f"The whole report of run {number} was removed.", hint=f"edgekit history show {number}")
        return _response(request, kept, lambda: page_of(kept), style=f"'{style_hash()}'")


def _response(
    request: Request, document: Any, page: Callable[[], str], *, status: int = 200, style: str = "'self'"
) -> Response:
    """The document as JSON if that is asked for, otherwise its page."""
    if _wants_json(request):
        return Response(encode(document), status, media_type="application/json")
    policy = f"default-src 'none'; style-src {style}; img-src data:; base-uri 'none'; form-action 'self'"
    content = page().encode("utf-8", "replace")
    return HTMLResponse(content, status, {"content-security-policy": f"{policy}; frame-ancestors 'none'"})


def _wants_json(request: Request) -> bool:
    form = request.query_params.get("format")
    accepted = request.headers.get("accept", "")
    return form == "json" or (form is None and "application/json" in accepted and "text/html" not in accepted)


def _failed(request: Request, err: Exception) -> Response:
    """What a page says of an error; the names of the store stay what they are, and no traceback leaves the server."""
    assert isinstance(err, EdgekitError)
    facts = ErrorFacts(type(err).__name__, err.message, err.hint, err.exit_code)
    status = 404 if isinstance(err, UserError) else 503 if isinstance(err, EnvironmentFault) else 500
    return _response(
        request,
        ErrorReport(command="serve", error=facts),
        lambda: drawn_pages.error(err.message, err.hint),
        status=status,
    )


def _not_valid(request: Request, err: Exception) -> Response:
    assert isinstance(err, RequestValidationError)
    name = err.errors()[0]["loc"][-1] if err.errors() else "address"
    return _refused(request, 400, f"The value of '{name}' in the address is not valid.")


def _missing(request: Request, _: Exception) -> Response:
    return _refused(request, 404, "There is no such page.")


def _refused(request: Request, status: int, message: str) -> Response:
    facts = ErrorFacts("UserError", message, "", UserError.exit_code)
    return _response(
        request, ErrorReport(command="serve", error=facts), lambda: drawn_pages.error(message, ""), status=status
    )

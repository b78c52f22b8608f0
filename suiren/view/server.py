"""The local server: the page, and what it asks for. Only this machine can reach it."""

from __future__ import annotations

import json
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from bottle import Bottle, HTTPResponse, request, response

from suiren.history.names import HistoryError
from suiren.view.page import page_html
from suiren.view.shelf import Shelf
from suiren.view.sources import CannotShow

ADDRESS = "127.0.0.1"
#: Names under which a browser may ask: another name that points here is another site's trick.
_OWN_NAMES = frozenset({ADDRESS, "localhost"})


class PortTaken(OSError):  # noqa: N818 - reads as what it is
    """Another program listens there; the sentence says what to do."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a terminal is for answers."""


def application(shelf: Shelf) -> Bottle:
    """The WSGI application of a shelf."""
    app = Bottle()

    @app.hook("before_request")  # type: ignore[untyped-decorator]
    def only_from_here() -> None:
        if request.get_header("Host", "").rsplit(":", 1)[0] not in _OWN_NAMES:
            raise HTTPResponse("Suiren answers its own machine only.", 403)

    def page() -> str:
        response.set_header("Cache-Control", "no-store")
        return page_html()

    def listing() -> Any:
        return _answered(lambda: json.dumps(shelf.listing()))

    def item(name: str) -> Any:
        return _answered(lambda: shelf.text(name))

    def comparison(a: str, b: str) -> Any:
        return _answered(lambda: json.dumps(shelf.comparison(a, b)))

    app.route("/", "GET", page)
    app.route("/api/list", "GET", listing)
    app.route("/api/item/<name>", "GET", item)
    app.route("/api/compare/<a>/<b>", "GET", comparison)
    return app


def _answered(work: Callable[[], str]) -> Any:
    """JSON, or the sentence of what went wrong."""
    try:
        body, status = work(), 200
    except (CannotShow, HistoryError) as problem:
        body, status = json.dumps({"error": str(problem)}), 404
    headers = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}
    return HTTPResponse(body, status, headers)


def server_of(shelf: Shelf, port: int) -> WSGIServer:
    """A server that listens already; port 0 takes a free one. Raises PortTaken."""
    try:
        return make_server(ADDRESS, port, application(shelf), _Server, _Quiet)
    except OSError as problem:
        raise PortTaken(
            f"port {port} of {ADDRESS} cannot be used ({problem.strerror or problem}): "
            "give another with --port, or leave it out for a free one"
        ) from None


def address_of(server: WSGIServer) -> str:
    """Where a browser finds it."""
    return f"http://{ADDRESS}:{server.server_port}/"

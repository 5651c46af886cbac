"""A web game on asyncio: `python -m bench.hosts.web --data DIR --port N`.

The API is the store's own vocabulary. A POST or PATCH is one message: its path and its JSON body are the fields, its
`Idempotency-Key` is the request id, so a client that got no answer repeats it as it was and it counts once. A GET is
one query. The store opens before the first request and closes after the last.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from bench.hosts.wire import BadRequest, Refusal, fields_of, refusal, shown, whole
from pictact_actors import (
    AddTrophy,
    AsyncStore,
    AwardPoints,
    CancelMatch,
    CloseRound,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    RecordAnalytics,
    StoreError,
    UpdateMatch,
    UpdateRound,
)

DRAIN_S = 10.0
"""How long requests in flight may take at the end: the store answers or gives up sooner."""
DATA = web.AppKey("data", Path)
STORE = web.AppKey("store", AsyncStore)
NUMBERS = {"index", "limit", "offset", "span"}
PAGE_MAX = 1000
"""Lines of a page: a longer one would hold up the event loop."""


def does(method: str, path: str, message: Callable[..., Any]) -> web.RouteDef:
    """Route requests to a message of the store; answer once it is on disk."""

    async def handler(request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            raise BadRequest("send an Idempotency-Key, a new one for each request and the same one to repeat it")
        body = {_snake(name): value for name, value in fields_of(await request.read()).items()}
        try:
            command = message(**_typed(request.match_info), **body, request_id=key)
        except TypeError as error:  # a field too many, or one too few
            raise BadRequest(str(error)) from error
        return web.json_response(shown(await request.app[STORE].ask(command)))

    return web.route(method, path, handler)


def shows(path: str, query: Callable[..., Awaitable[Any]]) -> web.RouteDef:
    """Route requests to a query of the store; what stands behind the `?` are its options."""

    async def handler(request: web.Request) -> web.Response:
        options = _typed(request.query)
        if max(options.get("limit", 0), options.get("span", 0)) > PAGE_MAX:
            raise BadRequest(f"ask for at most {PAGE_MAX} lines at once")
        try:
            answer = query(request.app[STORE], **_typed(request.match_info), **options)
        except TypeError as error:  # an option that the query does not have
            raise BadRequest(str(error)) from error
        return web.json_response(shown(await answer))

    return web.get(path, handler)


ROUTES = (
    does("POST", "/matches/{post_id}", CreateMatch),
    does("PATCH", "/matches/{post_id}", UpdateMatch),
    does("POST", "/matches/{post_id}/cancel", CancelMatch),
    does("POST", "/matches/{post_id}/complete", CompleteMatch),
    does("POST", "/matches/{post_id}/analytics", RecordAnalytics),
    does("POST", "/matches/{post_id}/awards", AwardPoints),
    does("POST", "/matches/{post_id}/rounds/{index}", CreateRound),
    does("PATCH", "/matches/{post_id}/rounds/{index}", UpdateRound),
    does("POST", "/matches/{post_id}/rounds/{index}/close", CloseRound),
    does("POST", "/players/{user}/trophies", AddTrophy),
    shows("/matches/{post_id}", AsyncStore.match),
    shows("/matches/{post_id}/analytics", AsyncStore.analytics),
    shows("/matches/{post_id}/rounds", AsyncStore.rounds),
    shows("/matches/{post_id}/rounds/{index}", AsyncStore.round),
    shows("/matches/{post_id}/leaderboard", AsyncStore.leaderboard),
    shows("/matches/{post_id}/scores/{user}", AsyncStore.score),
    shows("/matches/{post_id}/around/{user}", AsyncStore.around),
    shows("/players/{user}", AsyncStore.player),
    shows("/leaderboard", AsyncStore.lifetime_leaderboard),
)


@web.middleware
async def refuse(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer what went wrong as JSON."""
    try:
        return await handler(request)
    except (StoreError, BadRequest) as error:
        answer = refusal(error)
    except web.HTTPError as error:  # no such route, too large a body
        answer = Refusal(error.status, {"error": type(error).__name__, "message": error.reason}, {})
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


async def open_store(app: web.Application) -> AsyncIterator[None]:
    """Keep the store open for as long as the application serves."""
    async with AsyncStore.open(app[DATA]) as store:
        app[STORE] = store
        yield


def application(data: Path) -> web.Application:
    """Build the game on a data directory."""
    app = web.Application(middlewares=[refuse])
    app[DATA] = data
    app.cleanup_ctx.append(open_store)
    app.add_routes(ROUTES)
    return app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what is in flight."""
    parser = argparse.ArgumentParser(prog="python -m bench.hosts.web", description="A web game on the store.")
    parser.add_argument("--data", type=Path, default=Path("game-data"), help="its data directory (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="on this machine only; 0: any free one (%(default)s)")
    options = parser.parse_args()
    try:
        door = socket.create_server(("127.0.0.1", options.port))
        web.run_app(application(options.data), sock=door, print=partial(print, flush=True), shutdown_timeout=DRAIN_S)
    except (OSError, OverflowError, StoreError) as error:
        sys.exit(f"cannot serve: {error}")


def _typed(given: Mapping[str, str]) -> dict[str, Any]:
    return {name: whole(name, text) if name in NUMBERS else text for name, text in given.items()}


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


if __name__ == "__main__":
    main()

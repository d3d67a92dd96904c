"""The review as a small web application for one browser on this machine."""

from __future__ import annotations

import json
import logging
import mimetypes
from collections.abc import Callable
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from redact.errors import RedactError, UsageError
from redact.review import answers, wishes
from redact.review.gate import MOST_HEADERS, Gate
from redact.review.session import Conflict, Session
from redact.review.shelf import Shelf, describe

HOST = "127.0.0.1"
MOST_AT_ONCE = 1024  # connections; a request that waits holds little, and 40 at most are worked on


def make_app(shelf: Shelf, close: Callable[[], None]) -> Starlette:
    """Return the application of a review.

    Args:
        shelf: what is reviewed.
        close: ends the server; called when the page says that the person is done.
    """
    files = _page_files()

    def answer(make: Callable[[Session], Response]) -> Response:
        session = shelf.session
        try:
            return _answer(lambda: make(session))
        except Exception as error:
            if session is not shelf.session:  # it was closed meanwhile
                return _complaint(Conflict("Another clip is being reviewed now."), 409)
            logging.getLogger(__name__).exception("a request of the review failed")
            return _complaint(RedactError(f"redact has a bug: {type(error).__name__}: {error}."), 500)

    def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return Response("There is no such file.", 404)
        return Response(files[name], media_type=mimetypes.guess_type(name)[0] or "application/octet-stream")

    def frame(request: Request) -> Response:
        number = request.path_params["frame"]
        return answer(lambda session: answers.picture(session, number, request.query_params.get("w")))

    def state(request: Request) -> Response:
        return answer(lambda session: answers.Answer(answers.state(session)))

    def clip(request: Request) -> Response:
        return answer(
            lambda session: answers.Answer(answers.clip(session) | {"number": shelf.number, "plans": describe(shelf)})
        )

    def keys(request: Request) -> Response:
        return answer(lambda session: answers.Answer(answers.keys(session, request.path_params["id"])))

    def edits(request: Request) -> Response:
        return answer(lambda session: answers.Answer(answers.edits(session)))

    def seen(request: Request) -> Response:
        return answer(lambda session: answers.Answer(session.seen.runs()))

    def job(request: Request) -> Response:
        return answer(lambda session: answers.Answer(answers.job(session.job)))

    async def wish(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(
            answer, lambda session: wishes.grant(session, request.path_params["wish"], _parse(body))
        )

    def turn(body: dict[str, Any]) -> Response:
        number = body.get("number")
        if type(number) is not int:
            raise UsageError("The number of a plan is expected.")
        shelf.open(number)
        return answers.Answer({})

    async def open_other(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(answer, lambda _: turn(_parse(body)))

    async def done(request: Request) -> Response:
        close()
        return answers.Answer({})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/static/{name}", page),
            Route("/frame/{frame:int}", frame),
            Route("/api/clip", clip),
            Route("/api/state", state),
            Route("/api/keys/{id:int}", keys),
            Route("/api/edits", edits),
            Route("/api/seen", seen),
            Route("/api/job", job),
            Route("/api/close", done, methods=["POST"]),
            Route("/api/open", open_other, methods=["POST"]),
            Route("/api/{wish}", wish, methods=["POST"]),
        ]
    )


def make_server(shelf: Shelf, opened: Callable[[str], None]) -> uvicorn.Server:
    """Return what serves a review to this machine, once it is run, until it is closed or interrupted.

    Args:
        shelf: what is reviewed.
        opened: called with the link that opens the page, once the server listens.
    """
    server: _Server

    def close() -> None:
        server.should_exit = True

    gate = Gate(make_app(shelf, close))
    config = uvicorn.Config(
        gate,
        host=HOST,
        port=0,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_AT_ONCE,
        h11_max_incomplete_event_size=2 * MOST_HEADERS,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config, gate, opened)
    return server


class _Server(uvicorn.Server):
    """Says where it listens, as soon as it does."""

    def __init__(self, config: uvicorn.Config, gate: Gate, opened: Callable[[str], None]) -> None:
        super().__init__(config)
        self._gate, self._opened = gate, opened

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and tell the link."""
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            self._gate.host = f"{HOST}:{port}"
            self._opened(self._gate.link)


def _answer(make: Callable[[], Response]) -> Response:
    """Return an answer, or what went wrong, in words."""
    try:
        return make()
    except Conflict as error:
        return _complaint(error, 409)
    except RedactError as error:
        return _complaint(error, 400)
    except IndexError:
        return _complaint(UsageError("That frame is not in the excerpt.", "Choose another."), 404)


def _complaint(error: RedactError, status: int) -> Response:
    return answers.Answer({"error": str(error), "advice": error.advice}, status)


def _parse(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds.

    Raises:
        UsageError: it holds none.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise UsageError("A JSON object is expected.")
    return data


def _page_files() -> dict[str, bytes]:
    """Return the files of the page by name. Only these can be asked for, so that no path leads elsewhere."""
    folder = resources.files("redact.review") / "page"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

"""The server's pages: paths, and what each asks the cluster for.

    GET  /                                the builds               /queue   what runs and what waits
    GET  /builds/NAMESPACE/NAME           one build
    GET  …/image                          its layers and attestations, from the registry
    GET  …/runs/N                         steps and log of a run   …/events its new lines
    POST …/rerun, …/cancel                as `kubectl strake` does, then back to the build
    GET  /events                          tells that something changed

Both `events` are server-sent events (WHATWG HTML, section 9.2).

A page works without scripts; with them, parts of it are replaced when the server tells of a change.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from strake_builder.errors import BuildError
from strake_builder.unforeseen import internal_error
from strake_kubectl.builds import CANCEL, RERUN, Build
from strake_kubectl.cluster import Cluster
from strake_kubectl.errors import CommandError, ForbiddenError, NotFoundError
from strake_kubectl.ui.access import Access, Guard
from strake_kubectl.ui.board import Board
from strake_kubectl.ui.image import ReadImage
from strake_kubectl.ui.logs import Collected, Logs
from strake_kubectl.ui.pages import ROWS, asset, matching, path_of, queued, reasons, render, state_of

_TICK: Final = 0.5
"""Seconds between two reads of what is new for a stream: a browser gets what came meanwhile in one piece."""
_SILENCE: Final = 30
"""Ticks after which a comment is sent, which tells a browser that went away."""
_MOST_STREAMS: Final = 64
_MOST_BODY: Final = 4096
_LONGEST_SEARCH: Final = 200
_ACTIONS: Final = {"rerun": RERUN, "cancel": CANCEL}
_ASSETS: Final = {"ui.css": "text/css", "ui.js": "text/javascript"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where pages have what they show.

    Attributes:
        cluster: Reads and changes builds.
        board: All builds, as lists show them.
        logs: Of runs.
        read_image: Reads an image of a registry.
    """

    cluster: Cluster
    board: Board
    logs: Logs
    read_image: ReadImage


def application(sources: Sources, access: Access) -> ASGIApp:
    """Return the server's pages, behind the guard."""
    pages = _Pages(sources, access)
    build = "/builds/{namespace}/{name}"
    routes = [
        Route("/", pages.builds),
        Route("/queue", pages.queue),
        Route("/events", pages.changes),
        Route("/static/{name}", pages.static),
        Route(build, pages.build),
        Route(f"{build}/image", pages.image),
        Route(f"{build}/runs/{{run:int}}", pages.run),
        Route(f"{build}/runs/{{run:int}}/events", pages.lines),
        Route(f"{build}/{{action}}", pages.act, methods=["POST"]),
    ]
    handlers = {CommandError: _failed, BuildError: _failed, HTTPException: _missing, Exception: _unforeseen}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), access)


class _Pages:
    """Answers requests."""

    def __init__(self, sources: Sources, access: Access) -> None:
        self._sources = sources
        self._access = access
        self._streams = 0

    def builds(self, request: Request) -> Response:
        board, query = self._sources.board, request.query_params
        found = board.builds
        chosen = {name: query.get(name, "")[:_LONGEST_SEARCH] for name in ("q", "phase", "namespace")}
        matched = matching(found, chosen["q"], chosen["phase"], chosen["namespace"])
        page = _number(query.get("page", "1"))
        return HTMLResponse(
            render(
                "builds.html",
                notes=board.notes,
                builds=matched[(page - 1) * ROWS : page * ROWS],
                matched=len(matched),
                total=len(found),
                page=page,
                pages=max(1, -(-len(matched) // ROWS)),
                chosen=chosen,
                phases=sorted({state_of(each) for each in found}),
                namespaces=sorted({each.namespace for each in found}),
            )
        )

    def queue(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        board = self._sources.board
        running, waiting = queued(board.builds)
        return HTMLResponse(render("queue.html", notes=board.notes, running=running, waiting=waiting))

    def build(self, request: Request) -> Response:
        build = self._build(request)
        log = None
        if build.run and not build.is_finished:
            log = self._sources.logs.read(build, build.run)
        told = request.query_params.get("asked", "")
        return HTMLResponse(
            render(
                "build.html",
                build=build,
                log=log,
                can=reasons(build),
                csrf=self._access.csrf,
                asked=told if told in _ACTIONS else "",
            )
        )

    def image(self, request: Request) -> Response:
        build = self._build(request)
        if build.status.image is None:
            raise NotFoundError(f"{build.name} has no image yet")
        found = self._sources.read_image(build.status.image)
        return HTMLResponse(render("image.html", build=build, image=found))

    def run(self, request: Request) -> Response:
        build, run = self._build(request), request.path_params["run"]
        words = request.query_params.get("q", "")[:_LONGEST_SEARCH]
        log = self._sources.logs.read(build, run, words)
        return HTMLResponse(render("run.html", build=build, run=run, log=log, words=words))

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404)
        return Response(asset(name), media_type=_ASSETS[name])

    async def act(self, request: Request) -> Response:
        """Ask for a rerun or a cancel, and go back to the build."""
        annotation = _ACTIONS.get(request.path_params["action"])
        if annotation is None:
            raise HTTPException(404)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BODY:
                raise HTTPException(413)
        given = parse_qs(body.decode(errors="replace"), max_num_fields=20).get("csrf", [""])[0]
        if not self._access.permits_change(given):
            raise HTTPException(
                403, "This form is not of this server. Reload the build's page, and try again."
            )
        build = await run_in_threadpool(self._build, request)
        cluster = self._sources.cluster.within(build.namespace)
        await run_in_threadpool(cluster.ask, build.name, annotation)
        action = request.path_params["action"]
        return RedirectResponse(f"{path_of(build)}?asked={action}", 303)

    async def changes(self, request: Request) -> Response:
        """Tell of changes, of a build or of any."""
        board, name = self._sources.board, request.query_params.get("build", "")
        namespace, _, name = name.partition("/")
        key = (namespace, name) if name else None

        async def events() -> AsyncIterator[str]:
            known = board.version(key)
            yield "retry: 2000\n\n"
            quiet = 0
            while True:
                await asyncio.sleep(_TICK)  # the board notes changes in a thread, and wakes no task
                version = board.version(key)
                quiet += 1
                if version != known:
                    known, quiet = version, 0
                    yield "event: change\ndata: \n\n"
                elif quiet % _SILENCE == 0:
                    yield ": still here\n\n"

        return self._stream(events())

    async def lines(self, request: Request) -> Response:
        """Send the lines of the log of a run that goes on, after those that the page has."""
        build = await run_in_threadpool(self._build, request)
        run, logs = request.path_params["run"], self._sources.logs
        collected = logs.followed(build, run)
        if collected is None and (build.is_finished or run != build.run):
            return self._stream(_ended())
        if collected is None:
            collected = await run_in_threadpool(logs.follow, build)
        after = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        words = request.query_params.get("q", "")[:_LONGEST_SEARCH]
        return self._stream(_new_lines(collected, _number(after, least=0), words))

    def _stream(self, events: AsyncIterator[str]) -> Response:
        if self._streams >= _MOST_STREAMS:
            raise HTTPException(503, "Too many pages are open: close some.")

        async def counted() -> AsyncIterator[str]:
            self._streams += 1
            try:
                async for event in events:
                    yield event
            finally:
                self._streams -= 1

        return StreamingResponse(counted(), media_type="text/event-stream")

    def _build(self, request: Request) -> Build:
        parts = request.path_params
        return self._sources.cluster.within(parts["namespace"]).get(parts["name"])


async def _ended() -> AsyncIterator[str]:
    yield f"event: end\ndata: {json.dumps('The run has ended: reload the page for all of its log.')}\n\n"


async def _new_lines(collected: Collected, after: int, words: str) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    quiet = 0
    while True:
        view = collected.view(after=after, search=words)
        quiet += 1
        if view.lines:
            after, quiet = view.lines[-1][0], 0
            yield f"id: {after}\nevent: lines\ndata: {json.dumps(view.lines)}\n\n"
        elif quiet % _SILENCE == 0:
            yield ": still here\n\n"
        if not view.is_live:
            yield f"event: end\ndata: {json.dumps(view.trouble)}\n\n"
            return
        await asyncio.sleep(_TICK)  # a log is read in a thread, too


def _number(text: str, *, least: int = 1) -> int:
    return max(least, int(text)) if text.isascii() and text.isdigit() and len(text) <= 9 else least  # noqa: PLR2004 - digits


def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    assert isinstance(error, CommandError | BuildError)  # noqa: S101 - those it is registered for
    status = 404 if isinstance(error, NotFoundError) else 403 if isinstance(error, ForbiddenError) else 502
    return _problem(status, error.message, error.hint or "")


def _missing(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    assert isinstance(error, HTTPException)  # noqa: S101 - that it is registered for
    told: Mapping[int, str] = {404: "There is no such page.", 405: "This page cannot be asked so."}
    return _problem(error.status_code, told.get(error.status_code, error.detail), "")


def _unforeseen(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    told = internal_error(error)
    return _problem(500, told.message, told.hint or "")


def _problem(status: int, message: str, hint: str) -> Response:
    return HTMLResponse(render("problem.html", message=message, hint=hint), status)

"""The read-only JSON API. Rule: the shapes of `--json`, and nothing that the command line does not print."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import anyio.to_thread
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from interlock import __version__
from interlock.agents.logs import readable
from interlock.agents.program import log_path
from interlock.ports import UsageError
from interlock.readmodel.history import AttemptPhase
from interlock.readmodel.run import OVER
from interlock.service.diffs import visible_diff
from interlock.service.formats import document, line
from interlock.text.cleaning import clean, plain
from interlock.web.live import STREAMS_MAX, Hub, TooManyStreams
from interlock.web.site import site_of

_PIECE_MAX = 200_000  # bytes
_DIGITS_MAX = 15
_DOCUMENTS: Mapping[str, tuple[str, str]] = {
    "/api/v1/streams": ("How many streams of events are open", "streams"),
    "/api/v1/runs": ("The newest runs, newest first, as `interlock list --json`", "runs"),
    "/api/v1/runs/{run}": ("A run with all its past, as `interlock show RUN --json`", "run"),
    "/api/v1/runs/{run}/stages/{stage}": ("A stage, as `interlock show RUN STAGE --json`", "stage"),
    "/api/v1/runs/{run}/attempts/{stage}/{number}": ("An attempt, as `interlock show RUN STAGE/1.2 --json`", "attempt"),
    "/api/v1/runs/{run}/verification": ("The signed records, as `interlock verify RUN --json`", "verdict"),
    "/api/v1/runs/{run}/log/{stage}/{number}": ("What an attempt at work printed, from byte `offset` on", "log"),
    "/api/v1/runs/{run}/changes/{stage}/{number}": ("Files changed, as `interlock diff --json`", "changes"),
}


def _json(**parts: object) -> Response:
    return Response(line(**parts), media_type="application/json")  # indented it would take four times as long


def runs(request: Request) -> Response:
    try:
        count = min(max(int(request.query_params.get("count", "50")), 1), 10_000)
    except ValueError:
        raise UsageError("count: expected a whole number") from None
    app = site_of(request).app
    found = app.service.list_runs(count)
    return _json(runs=found, held_up=[held for run in found if run.owner for held in app.waiting_work(run.id)])


def run(request: Request) -> Response:
    view = site_of(request).view(request)
    app = site_of(request).app
    held_up = app.waiting_work(view.id) if view.owner else ()
    return _json(run=view, untold=app.undelivered(view.id), held_up=held_up)


def stage(request: Request) -> Response:
    view = site_of(request).view(request)
    return _json(run=view.id, stage=site_of(request).stage(request, view))


def attempt(request: Request) -> Response:
    view = site_of(request).view(request)
    return _json(run=view.id, attempt=site_of(request).attempt(request, view))


def verification(request: Request) -> Response:
    """Everything is checked again at each request."""
    return Response(site_of(request).verification(request).as_json(), media_type="application/json")


def changed_files(request: Request) -> Response:
    site = site_of(request)
    view = site.view(request)
    made = site.attempt(request, view)
    new = site.app.service.commit_of(view, str(made.id))
    found = visible_diff(site.app.workspaces, view, made.input_tree, new, patch=False)
    return _json(run=view.id, old=made.input_tree, new=new, changes=found.changes)


def log(request: Request) -> Response:
    """The output of an attempt at work beyond byte `offset`, in whole lines; `over` once its work is done."""
    site = site_of(request)
    view = site.view(request)
    made = site.attempt(request, view)
    offset = _number(request.query_params.get("offset", "0"), "offset: expected a number of bytes")
    over = made.phase is not AttemptPhase.WORKING
    checkout = None if over else site.app.workspaces.checkout_root(view.id, made.id)
    text, end = _piece(log_path(checkout), offset) if checkout is not None else ("", offset)
    return _json(run=view.id, log={"text": text, "next_offset": end, "over": over})


def _number(text: str, words: str) -> int:
    """Raises UsageError with these words for what is no number that a file or a journal has."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise UsageError(words)
    return int(text)


def _piece(path: Path, offset: int) -> tuple[str, int]:
    """Whole lines from `offset` on, and the offset of the next ones; a line that is too long comes in pieces."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(_PIECE_MAX)
    except OSError:
        return "", offset
    whole = content.rfind(b"\n") + 1 or (len(content) if len(content) == _PIECE_MAX else 0)
    shown = clean(readable(plain(content[:whole].decode("utf-8", "replace"), 2 * _PIECE_MAX)))
    return shown + "\n" if shown else "", offset + whole


async def events(request: Request) -> Response:
    """Server-sent events: the id of each is its seq in the journal; after `Last-Event-ID` the next ones follow. The
    stream ends with the run; 204 if the run has ended and nothing is left to read."""
    site = site_of(request)
    name = request.path_params["run"]
    given = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    after = _number(given, "Last-Event-ID: expected the number of an event")
    newest = await anyio.to_thread.run_sync(site.locate, name)
    if after > newest.seq:
        raise UsageError(f"Last-Event-ID: the newest event of run {name} is {newest.seq}, so none follows {after}")
    if after == newest.seq and newest.phase in OVER:
        return Response(status_code=204)
    return EventStream(site.hub, site.hub.events(name, after))


async def changes(request: Request) -> Response:
    """Server-sent events: again and again, the runs that changed, with the seq of their newest event."""
    site = site_of(request)

    async def stream() -> AsyncGenerator[ServerSentEvent]:
        async with aclosing(site.hub.changes()) as found:
            async for newest in found:
                yield ServerSentEvent(line(runs=newest), event="changes")

    return EventStream(site.hub, stream())


def streams(request: Request) -> Response:
    return _json(streams=site_of(request).hub.streams)


class EventStream(EventSourceResponse):
    """A stream of the hub from the first byte to the last, whether or not anything of `content` is read."""

    def __init__(self, hub: Hub, content: AsyncGenerator[bytes | ServerSentEvent]) -> None:
        async def opened() -> AsyncIterator[bytes | ServerSentEvent]:
            yield ServerSentEvent(comment="here", retry=1000)
            async with aclosing(content):
                async for part in content:
                    yield part

        super().__init__(opened(), ping=15, send_timeout=30)
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._hub.stream():
                await super().__call__(scope, receive, send)
        except TooManyStreams:
            words = document(error=f"{STREAMS_MAX} streams are open: close one")
            await Response(words, 503, media_type="application/json")(scope, receive, send)


def openapi(request: Request) -> Response:
    paths: dict[str, object] = {path: _path(path, words, part) for path, (words, part) in _DOCUMENTS.items()}
    streamed = {"200": {"description": "The events", "content": {"text/event-stream": {}}}}
    operation = {"summary": "Events of the journal as they come; ids are their numbers", "responses": streamed}
    told = {"summary": "The runs that changed, as they change", "responses": streamed}
    paths["/api/v1/changes"] = {"get": told}
    paths["/api/v1/runs/{run}/events"] = {"get": {**operation, "parameters": _parameters("{run}")}}
    return _json(
        openapi="3.1.0",
        info={"title": "Interlock", "version": __version__},
        security=[{"token": []}],
        components={"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        paths=paths,
    )


def _path(path: str, words: str, part: str) -> object:
    shape = {"type": "object", "required": ["version", part], "properties": {"version": {"const": 1}, part: {}}}
    found = {"description": "found", "content": {"application/json": {"schema": shape}}}
    known = {"200": found, "401": {"description": "no token"}, "404": {"description": "no such thing"}}
    return {"get": {"summary": words, "parameters": _parameters(path), "responses": known}}


def _parameters(path: str) -> list[object]:
    names = [word[1:-1] for word in path.split("/") if word.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


ROUTES = (
    Route("/api/v1/openapi.json", openapi),
    Route("/api/v1/changes", changes),
    Route("/api/v1/streams", streams),
    Route("/api/v1/runs", runs),
    Route("/api/v1/runs/{run}", run),
    Route("/api/v1/runs/{run}/events", events),
    Route("/api/v1/runs/{run}/verification", verification),
    Route("/api/v1/runs/{run}/stages/{stage}", stage),
    Route("/api/v1/runs/{run}/attempts/{stage}/{number}", attempt),
    Route("/api/v1/runs/{run}/log/{stage}/{number}", log),
    Route("/api/v1/runs/{run}/changes/{stage}/{number}", changed_files),
)

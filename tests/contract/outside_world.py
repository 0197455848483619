"""The outside world on loopback: a server that follows GitHub's public API for checks and statuses, and keeps
every request that it got. https://docs.github.com/en/rest/checks/runs, https://docs.github.com/en/rest/commits/statuses
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

LIMIT_S = 60.0


@dataclass
class GitHub:
    """`runs` and `statuses` say what there is for a commit, when it is asked for the nth time. `refusals` are answers
    that come first: status and headers."""

    runs: Callable[[str, int], list[dict[str, Any]]] = lambda commit, asked: []
    statuses: Callable[[str, int], list[dict[str, Any]]] = lambda commit, asked: []
    annotations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    token: str = "secret-token"
    asked: list[tuple[float, str, str | None]] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def app(self) -> Starlette:
        base = "/repos/{owner}/{name}"
        return Starlette(
            routes=[
                Route(f"{base}/commits/{{commit}}/check-runs", self._runs),
                Route(f"{base}/commits/{{commit}}/status", self._status),
                Route(f"{base}/check-runs/{{id:int}}/annotations", self._annotations),
            ]
        )

    def _refused(self, request: Request) -> Response | None:
        self.asked.append((time.monotonic(), request.url.path, request.headers.get("authorization")))
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return JSONResponse({"message": "no"}, status, headers)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"message": "Bad credentials"}, 401)
        if request.path_params.get("owner") != "acme":
            return JSONResponse({"message": "Not Found"}, 404)
        return None

    def _runs(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        commit = request.path_params["commit"]
        self._counts[commit] = self._counts.get(commit, 0) + 1
        found = self.runs(commit, self._counts[commit])
        return JSONResponse({"total_count": len(found), "check_runs": _page(request, found)})

    def _status(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        commit = request.path_params["commit"]
        found = self.statuses(commit, self._counts.get(commit, 1))
        return JSONResponse(
            {"state": "pending", "sha": commit, "total_count": len(found), "statuses": _page(request, found)}
        )

    def _annotations(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse(self.annotations.get(request.path_params["id"], []))


def _page(request: Request, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    page, size = int(request.query_params.get("page", 1)), int(request.query_params.get("per_page", 30))
    return found[(page - 1) * size : page * size]


def run(name: str, conclusion: str | None, number: int = 7, **output: str) -> dict[str, Any]:
    """A check run as the API tells it; without a conclusion it is at work."""
    status = "completed" if conclusion else "in_progress"
    url = f"https://ci.example.org/{number}"
    return {
        "id": number, "name": name, "status": status, "conclusion": conclusion, "html_url": url,
        "output": {"title": None, "summary": None, **output},
    }  # fmt: skip


def status(context: str, state: str) -> dict[str, Any]:
    return {"context": context, "state": state, "description": "told so", "target_url": None}


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Its address. The server has ended afterwards."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    limit = time.monotonic() + LIMIT_S
    while not server.started:
        assert thread.is_alive(), "the server does not start"
        assert time.monotonic() < limit, "the server does not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)

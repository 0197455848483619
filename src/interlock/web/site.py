"""The site: what its pages share, and the Starlette application around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from interlock.application import Application
from interlock.ports import InterlockError, UsageError
from interlock.readmodel.history import AttemptView
from interlock.readmodel.run import RunSummary, RunView, StageView
from interlock.service.verification import Verification, verify_run
from interlock.web.guard import Guard, Keys
from interlock.web.live import Hub

_FOLLOWED_MAX = 500  # runs, the newest: as many as the list shows

Lifespan = Callable[[], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Site:
    """What requests are answered from. `person` started the server."""

    app: Application
    keys: Keys
    person: str
    hub: Hub

    def view(self, request: Request) -> RunView:
        """The run in the path, by its whole id. Raises UsageError."""
        return self.app.service.describe_run(self._known(request.path_params["run"]))

    def locate(self, run: str) -> RunSummary:
        """A run by its whole id. Raises UsageError."""
        return self.app.service.locate_run(self._known(run))

    def verification(self, request: Request) -> Verification:
        """The signed records of the run in the path, checked now. Raises UsageError."""
        return verify_run(self.app.sources(), self._known(request.path_params["run"]))

    def stage(self, request: Request, view: RunView) -> StageView:
        """Raises UsageError."""
        try:
            return view.stage(request.path_params["stage"])
        except KeyError:
            known = ", ".join(stage.id for stage in view.stages)
            raise UsageError(f"run {view.id} has no stage of that name: it has {known}") from None

    def attempt(self, request: Request, view: RunView) -> AttemptView:
        """Raises UsageError."""
        stage = self.stage(request, view)
        name = f"{stage.id}/{request.path_params['number']}"
        for attempt in stage.attempts:
            if str(attempt.id) == name:
                return attempt
        raise UsageError(f"run {view.id} has no attempt {name}")

    def _known(self, run: str) -> str:
        if not self.app.service.adopt(run):
            raise UsageError(f"no run {run} in this repository")
        return run


def site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def application(
    app: Application,
    keys: Keys,
    person: str,
    hosts: frozenset[str],
    mounts: Mapping[str, tuple[ASGIApp, Lifespan]],
) -> ASGIApp:
    """The whole site behind its guard. `mounts` are other surfaces by path, each with its lifespan."""
    from interlock.web import api, pages  # lazy: they import this module

    site = Site(app, keys, person, Hub(app.service.page, partial(app.service.engine.heads, _FOLLOWED_MAX)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _app, alive in mounts.values():
                await stack.enter_async_context(alive())
            yield

    static = Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    others: list[BaseRoute] = [Mount(path, mounted) for path, (mounted, _) in mounts.items()]
    routes: list[BaseRoute] = [*api.ROUTES, *pages.ROUTES, static, *others]
    made = Starlette(routes=routes, lifespan=lifespan, exception_handlers={InterlockError: _error_response})
    made.state.site = site
    return Guard(made, keys, hosts, f"interlock_{_port(hosts)}")


def _port(hosts: frozenset[str]) -> str:
    """That of this server; a proxy in front may have another."""
    return min(hosts, key=lambda host: (not host.startswith("127.0.0.1:"), host)).rpartition(":")[2]


def _error_response(request: Request, error: Exception) -> Response:
    """A wrong request is 4xx; data that cannot be read is 500, with the reason."""
    usage = isinstance(error, UsageError)
    if request.url.path.startswith("/api/"):
        from interlock.service.formats import document

        return Response(document(error=str(error)), 404 if usage else 500, media_type="application/json")
    from interlock.web.pages import error_page

    return error_page(request, str(error), 0 if usage else 500)

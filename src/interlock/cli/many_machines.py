"""What `interlock doctor` finds out about the Temporal server, its blobs and who is at work there.

Rule: what it writes to the blobs is a trial, and to the server nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from interlock.cli.diagnosis import DoctorResult
from interlock.cli.exits import Exit
from interlock.ports import InterlockError, UsageError

if TYPE_CHECKING:
    from interlock.engines.temporal.checks import ServerLook
    from interlock.settings import Paths, Settings

_SHOWN_MAX = 5


def check_many_machines(environ: Mapping[str, str], *, asked: bool) -> Iterator[DoctorResult]:
    """Only where the settings name a server or it is `asked` for."""
    from interlock.settings import Settings, load_settings, paths_of

    try:
        paths = paths_of(environ)
        settings = load_settings(paths.config)
    except InterlockError:
        return  # told with the settings
    if asked or settings.engine == "temporal" or settings.temporal != Settings().temporal:
        yield from _tried("blobs", lambda: _blobs(settings, paths, environ))
        yield from _tried("temporal", lambda: _server(settings, paths, environ))


def _tried(topic: str, check: Callable[[], list[DoctorResult]]) -> Iterator[DoctorResult]:
    try:
        yield from check()
    except InterlockError as error:
        code = Exit.USAGE if isinstance(error, UsageError) else Exit.INFRASTRUCTURE
        yield DoctorResult(topic, "bad", str(error), code)


def _blobs(settings: Settings, paths: Paths, environ: Mapping[str, str]) -> list[DoctorResult]:
    from interlock.bootstrap import check_blobs

    where = check_blobs(settings, paths, environ)
    return [DoctorResult("blobs", "ok", f"{where}: written and read back")]


def _server(settings: Settings, paths: Paths, environ: Mapping[str, str]) -> list[DoctorResult]:
    from interlock.bootstrap import look_at_server

    given, look = settings.temporal, look_at_server(settings, paths, environ)
    way = "TLS" if given.tls is not None or given.api_key else "no TLS"
    text = f"{given.address}: {look.version}, namespace {given.namespace}, {way}, {_clock(look)}"
    return [
        DoctorResult("temporal", "ok", text),
        *(DoctorResult("temporal", "warn", warning) for warning in look.warnings()),
        _polling("controllers", look.controllers, given.queue, "interlock worker --controller"),
        _polling("workers", look.workers, given.queue, "interlock worker"),
    ]


def _clock(look: ServerLook) -> str:
    if look.ahead_s is None:
        return "its clock is not known"
    return "its clock is ours" if abs(look.ahead_s) < 1 else f"its clock differs by {abs(look.ahead_s):.0f} s"


def _polling(topic: str, names: tuple[str, ...], queue: str, command: str) -> DoctorResult:
    if not names:
        return DoctorResult(topic, "warn", f"none serves the queue {queue}: start one: {command}")
    shown = ", ".join(names[:_SHOWN_MAX]) + (", ..." if len(names) > _SHOWN_MAX else "")
    return DoctorResult(topic, "ok", f"{len(names)} on the queue {queue}: {shown}")

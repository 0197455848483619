"""(b) Appends and folds per second, and `resume` of a run of 100,000 events."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

from bench.shell import environment, repository, timed
from interlock.bootstrap import Application, build
from interlock.core.events import (
    AttemptErrored,
    AttemptStarted,
    Event,
    InputPrepared,
    Paused,
    PauseReason,
    TimeReached,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId
from interlock.journal.chain import link
from interlock.journal.codec import VERSION, encode, kind_of
from interlock.service import RunRequest
from interlock.spec import load_pipeline, locate_pipeline

EVENTS = 100_000
APPENDS = 2_000
GOAL_S = 1.0

PIPELINE = """version: 1
name: history
agents:
  nobody: {use: command, run: ["true"]}
stages:
  work:
    agent: nobody
    gates:
      - id: ok
        approve: Well?
"""


def measure() -> dict[str, float]:
    """Per second, and seconds of `resume` of a paused run: one of a few events, one of EVENTS."""
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(Path(folder))
        place = repository(Path(folder) / "repo", environ, PIPELINE, files=20)
        application = build(place, environ)
        try:
            return _measure(application, place, environ)
        finally:
            application.close()


def _measure(application: Application, place: Path, environ: dict[str, str]) -> dict[str, float]:
    run = _started(application, place)
    short = _resume(place, environ, application, run, 2)
    long_run = _started(application, place)
    seconds = _append(application, long_run, APPENDS)
    long = _resume(place, environ, application, long_run, EVENTS)
    records = application.journal.records(long_run)
    began = time.perf_counter()
    fold(records)
    folds = len(records) / (time.perf_counter() - began)
    return {
        "appends_per_s": APPENDS / seconds,
        "folds_per_s": folds,
        "resume_short_s": short,
        "resume_long_s": long,
        "goal_s": GOAL_S,
    }


def _started(application: Application, place: Path) -> str:
    loaded = load_pipeline(locate_pipeline(place), place)
    base = application.workspaces.import_base()
    return application.service.start_run(RunRequest(loaded.pipeline, "wait", base.commit, base.tree))


def _append(application: Application, run: str, count: int) -> float:
    fence = application.journal.take(run)
    seq = len(application.journal.records(run))
    began = time.perf_counter()
    for number in range(count):
        application.journal.append(run, fence, seq + number, time.time(), TimeReached(0.0))
    return time.perf_counter() - began


def _resume(place: Path, environ: dict[str, str], application: Application, run: str, count: int) -> float:
    """Fill the history up to `count` events and a pause, then let a new process find out that it waits."""
    _fill(application, run, count)
    return min(timed(["resume", run], place, environ, code=3) for _ in range(3))


def _fill(application: Application, run: str, count: int) -> None:
    seq = len(application.journal.records(run))
    connection = apsw.Connection(str(application.paths.journal))
    number = next(iter(connection.execute("SELECT number FROM run WHERE id = ?", (run,))))[0]
    before = next(iter(connection.execute("SELECT digest FROM event WHERE run = ? AND seq = ?", (number, seq))))[0]
    with connection:
        for place, event in enumerate(_history(max(1, (count - seq) // 2)), start=seq + 1):
            row = (place, 1.0, kind_of(event), VERSION, encode(event))
            before = link(before, row)
            connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", (number, *row, before))
    connection.close()


def _history(pairs: int) -> Iterator[Event]:
    """Attempts that a quota ended, one after the other, then a pause."""
    yield InputPrepared(AttemptId("work", 1, 0), "0" * 40, "0" * 40, ("0" * 40,))
    for number in range(1, pairs + 1):
        attempt = AttemptId("work", 1, number)
        yield AttemptStarted(attempt, "nobody", "some-model", "0" * 40)
        yield AttemptErrored(attempt, "rate_limited: come back later", 2.0, quota=True)
    yield Paused("work", PauseReason.RULE, "enough")

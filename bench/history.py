"""(b) Appends and folds per second, `resume` of a run of 100,000 events, and an event of a run of 2,002 stages.

`resume` is measured in processor time: the goal is one second. An event is admitted, applied and planned after; its
cost with 2,002 stages, all but one settled, is shown beside that with 22.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import apsw

from bench.shell import environment, repository, timed
from interlock.application import Application
from interlock.bootstrap import build
from interlock.core.admission import admit
from interlock.core.events import (
    AttemptErrored,
    AttemptStarted,
    CandidateProduced,
    Event,
    HandoffAccepted,
    InputPrepared,
    Paused,
    PauseReason,
    Recorded,
    RunStarted,
    TimeReached,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.fold import apply, fold
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.pipeline import Gate, GateKind, Pipeline, Stage
from interlock.core.plan import plan
from interlock.core.wire import encode_event, kind_of
from interlock.journal.chain import next_digest
from interlock.journal.codec import VERSION
from interlock.pipelinefile import load_pipeline, locate_pipeline
from interlock.service import RunRequest

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
    began = time.process_time()
    fold(records)
    folds = len(records) / (time.process_time() - began)
    few, many = (min(_event_s(stages) for _ in range(3)) for stages in (22, 2_002))
    return {
        "appends_per_s": APPENDS / seconds,
        "folds_per_s": folds,
        "resume_short_s": short,
        "resume_long_s": long,
        "goal_s": GOAL_S,
        "event_22_stages_s": few,
        "event_2002_stages_s": many,
        "event_ratio": many / few,
    }


def long_history(place: Path, environ: dict[str, str], count: int) -> str:
    """A run of `count` events, whatever the pipeline there; it waits for a person."""
    return histories(place, environ, count, 1)[0]


def histories(place: Path, environ: dict[str, str], count: int, runs: int) -> list[str]:
    """Runs of `count` events each, whatever the pipeline there; they wait for a person."""
    (place / "interlock.history.yaml").write_text(PIPELINE)
    application = build(place, environ)
    try:
        loaded = load_pipeline(place / "interlock.history.yaml", place)
        base = application.workspaces.import_base()
        request = RunRequest(loaded.pipeline, "wait", base.commit, base.tree)
        begun = [application.service.start_run(request) for _ in range(runs)]
        for run in begun:
            _fill(application, run, count)
        return begun
    finally:
        application.close()


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
    return min(_processor_s(["resume", run], place, environ) for _ in range(3))


def _processor_s(words: list[str], place: Path, environ: dict[str, str]) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    timed(words, place, environ, code=3)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _event_s(stages: int) -> float:
    """Of an attempt that begins or errs, in a run in which all stages but the last one are settled."""
    names = tuple(f"s{number}" for number in range(stages))
    gate = Gate("ok", GateKind.RUN, digest="ok")
    needs = ((), *((name,) for name in names))
    pipeline = Pipeline(
        "long", tuple(Stage(name, need, gates=(gate,)) for name, need in zip(names, needs, strict=False))
    )
    state = fold(Recorded(seq, 1.0, event) for seq, event in enumerate(_settled(names), 1))
    events = [event for event in _attempts(names[-1], 500) if not isinstance(event, InputPrepared)]
    began = time.process_time()
    for event in events:
        if why := admit(state, event):
            raise SystemExit(f"{event} was not admitted: {why}")
        state = apply(state, Recorded(state.seq + 1, 1.0, event))
        plan(pipeline, state)
    return (time.process_time() - began) / len(events)


def _settled(names: tuple[str, ...]) -> Iterator[Event]:
    yield RunStarted("run", "long", "digest", "task", "base", "tree", names)
    for name in names:
        yield VerdictGiven(base_of(name), f"{name}/ok", 1, VerdictStatus.PASSED)
    for name in names:
        attempt = AttemptId(name, 1, 1)
        yield InputPrepared(input_of(name, 1), "c", "t", ("c",))
        if name != names[-1]:
            yield AttemptStarted(attempt, "", "", "t")
            yield CandidateProduced(attempt, "c", "t")
            yield HandoffAccepted(attempt, "c", "t", "record")


def _fill(application: Application, run: str, count: int) -> None:
    seq = len(application.journal.records(run))
    connection = apsw.Connection(str(application.paths.journal))
    number = next(iter(connection.execute("SELECT number FROM run WHERE id = ?", (run,))))[0]
    before = next(iter(connection.execute("SELECT digest FROM event WHERE run = ? AND seq = ?", (number, seq))))[0]
    with connection:
        for place, event in enumerate(_history(max(1, (count - seq) // 2)), start=seq + 1):
            row = (place, 1.0, kind_of(event), VERSION, encode_event(event))
            before = next_digest(before, row)
            connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", (number, *row, before))
    connection.close()


def _history(pairs: int) -> Iterator[Event]:
    """Attempts that a quota ended, one after the other, then a pause."""
    yield from _attempts("work", pairs)
    yield Paused("work", PauseReason.RULE, "enough")


def _attempts(stage: str, pairs: int) -> Iterator[Event]:
    yield InputPrepared(AttemptId(stage, 1, 0), "0" * 40, "0" * 40, ("0" * 40,))
    for number in range(1, pairs + 1):
        attempt = AttemptId(stage, 1, number)
        yield AttemptStarted(attempt, "nobody", "some-model", "0" * 40)
        yield AttemptErrored(attempt, "rate_limited: come back later", 2.0, quota=True)

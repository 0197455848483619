"""Retries: when a program that retries is stopped, when its session is resumed, and what the limits leave for that."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import pytest
from tests.unit.agents.attempts import checkout_in, request_in

from interlock.agents import driven, retries
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.retries import Session, errors_since_output, give_up_reason, may_retry
from interlock.core.effects import Remaining
from interlock.core.events import Usage
from interlock.ports import Ended, Outcome
from interlock.process import Finished, How


@dataclass
class _Tries(Driven):
    """Each try ends at a limit that resets at once."""

    cumulative: frozenset[str] = frozenset()
    lefts: list[Remaining] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind = Kind(
            "own", lambda request: Start(()), lambda request, log: AgentReport(), resume=lambda request, session: None
        )
        super().__init__(replace(kind, cumulative=self.cumulative), {})

    def _run_once(
        self, program: str, request: AttemptRequest, *others: object
    ) -> tuple[Outcome, AgentReport, Session | None]:
        self.lefts.append(request.brief.remaining)
        used = Usage(30, 10, cost_usd=0.5)
        outcome = Outcome(Ended.RATE_LIMITED, retry_at=time.time() + 0.05, usage=used)
        return outcome, AgentReport(usage=used, begun=True), Session("s", "s", "")


@pytest.mark.parametrize(
    ("left", "cumulative", "lefts"),
    [
        (Remaining(100, 9), frozenset(), [Remaining(100, 9), Remaining(60, 8.5), Remaining(20, 8)]),
        (Remaining(60, 9), frozenset(), [Remaining(60, 9), Remaining(20, 8.5)]),
        (Remaining(), frozenset(), [Remaining()] * 3),
        (Remaining(100, 9), frozenset({"cost_usd"}), [Remaining(100, 9), Remaining(60, 9), Remaining(20, 9)]),
    ],
    ids=["less each time", "none left", "no limit", "the program counts the whole session"],
)
def test_each_try_reduces_the_remaining_limits(
    left: Remaining, cumulative: frozenset[str], lefts: list[Remaining], tmp_path: Path
) -> None:
    tries = _Tries(cumulative)
    tries._with_retries("own", request_in(tmp_path, remaining=left), checkout_in(tmp_path), Event(), ())
    assert tries.lefts == lefts


@pytest.mark.parametrize(
    ("how", "done", "ended"),
    [(How.EXITED, True, Ended.COMPLETED), (How.EXITED, False, Ended.UNAVAILABLE), (How.CANCELLED, True, None)],
)
def test_a_program_that_succeeded_was_not_stopped(
    how: How, done: bool, ended: Ended | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reported an error at the moment in which it recovered from it."""
    monkeypatch.setattr(retries, "_POLL_S", 0.0)

    def supervise(work: object, cancel: retries.RetryWatch, meter: object) -> Finished:
        assert cancel.is_set()
        return Finished(how, 0, 0.0, truncated=False, tail=b"")

    monkeypatch.setattr(driven, "supervise", supervise)
    kind = Kind(
        "own",
        lambda request: Start(()),
        lambda request, log: AgentReport(done),
        give_up_reason=lambda request, log: "status 500",
    )
    outcome, _, _ = Driven(kind, {})._run_once("own", request_in(tmp_path), checkout_in(tmp_path), Event(), ())
    assert outcome.ended is (ended or Ended.UNAVAILABLE)


@pytest.mark.parametrize(("begun", "sessions"), [(True, ["", "s"]), (False, [""])])
def test_a_stopped_program_is_resumed_if_it_had_begun(
    begun: bool, sessions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the session that it named first, and once: it had already retried long enough."""
    monkeypatch.setattr(retries, "_POLL_S", 0.0)
    monkeypatch.setattr(retries, "_RESUME_WAITS_S", (0.01,))
    started: list[str] = []

    def start(request: AttemptRequest) -> Start:
        started.append(request.session.name if request.session is not None else "")
        return Start(())

    def supervise(work: object, cancel: retries.RetryWatch, meter: object) -> Finished:
        assert cancel.is_set()
        return Finished(How.CANCELLED, None, 0.0, truncated=False, tail=b"")

    def read(request: AttemptRequest, log: Path) -> AgentReport:
        return AgentReport(session="s", begun=begun) if request.session is None else AgentReport()

    monkeypatch.setattr(driven, "supervise", supervise)
    kind = Kind("own", start, read, session_in_state=True, give_up_reason=lambda request, log: "status 500")
    outcome, _ = Driven(kind, {})._with_retries("own", request_in(tmp_path), checkout_in(tmp_path), Event(), ())
    assert started == sessions
    assert outcome.ended is Ended.UNAVAILABLE


def test_a_program_that_fails_before_it_names_its_session_is_resumed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_RESUME_WAITS_S", (0.01,))
    monkeypatch.setattr(driven, "supervise", lambda *_: Finished(How.EXITED, 1, 0.0, truncated=False, tail=b""))
    started: list[str] = []

    def start(request: AttemptRequest) -> Start:
        started.append(request.session.name if request.session is not None else "")
        return Start(())

    def read(request: AttemptRequest, log: Path) -> AgentReport:
        first = request.session is None
        return AgentReport(session="s" if first else "", begun=first, error="status 500")

    Driven(Kind("own", start, read, session_in_state=True), {})._with_retries(
        "own", request_in(tmp_path), checkout_in(tmp_path), Event(), ()
    )
    assert started == ["", "s", "s"]


_AGAIN, _NEAR, _FAR = "status 500", "Rate limit. Try again in 5s", "Rate limit. Try again in 300s"


@pytest.mark.parametrize(
    ("errors", "silent_s", "ended"),
    [
        ([_AGAIN], 60, False),  # a retry is running: a model may think this long
        ([_AGAIN], 400, True),
        ([_NEAR], 100, False),
        (["status 429"], 45, False),
        (["status 429"], 100, True),  # it waits silently, for as long as it was told to
        ([_FAR], 0, True),
        ([_AGAIN] * 5, 0, True),
        ([], 400, False),
    ],
)
def test_when_a_program_that_retries_is_stopped(errors: list[str], silent_s: int, ended: bool, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    os.utime(log, (time.time() - silent_s,) * 2)
    assert bool(give_up_reason(errors, log)) is ended


@pytest.mark.parametrize(
    ("ended", "permanent", "in_s", "begun", "on"),
    [
        (Ended.RATE_LIMITED, False, 0, True, True),
        (Ended.RATE_LIMITED, False, 300, True, False),
        (Ended.UNAVAILABLE, False, 0, True, True),
        (Ended.UNAVAILABLE, False, 0, False, False),
        (Ended.UNAVAILABLE, True, 0, True, False),
        (Ended.CRASHED, False, 0, True, False),
    ],
)
def test_a_session_is_resumed_if_the_endpoint_failed_in_the_middle(
    ended: Ended, permanent: bool, in_s: int, begun: bool, on: bool
) -> None:
    outcome = Outcome(ended, permanent=permanent, retry_at=time.time() + in_s if in_s else 0.0)
    assert may_retry(outcome, begun=begun) is on


@pytest.mark.parametrize(
    ("ended", "in_s", "tried", "on"),
    [
        (Ended.UNAVAILABLE, 0, 0, True),
        (Ended.UNAVAILABLE, 0, 1, False),
        (Ended.RATE_LIMITED, 30, 0, True),
        (Ended.RATE_LIMITED, 0, 0, False),  # it waited silently for a minute, and would again
        (Ended.RATE_LIMITED, 0, -1, True),  # it gave up by itself
    ],
)
def test_a_stopped_program_is_resumed_once(ended: Ended, in_s: int, tried: int, on: bool) -> None:
    outcome = Outcome(ended, retry_at=time.time() + in_s if in_s else 0.0)
    assert may_retry(outcome, begun=True, tried=tried) is on


def test_errors_count_from_when_the_log_was_written_last(tmp_path: Path) -> None:
    """A line without a time is a quotation, not a line of the log."""
    log = tmp_path / "log"
    log.write_text("")
    os.utime(log, (1_800_000_000,) * 2)
    report = [("2027-01-15T07:59:00Z", "before"), ("yesterday", "quoted"), ("2027-01-15T08:01:00Z", "after")]
    assert errors_since_output(report, log) == ["after"]
    assert errors_since_output(report, tmp_path / "none") == ["before", "after"]

"""Tries of one attempt: what former ones used is no longer left, and one that ended well was not ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import pytest

from interlock.agents import driven, retries
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.sessions import Session
from interlock.core.effects import Remaining
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.ports import Brief, Checkout, Ended, Outcome
from interlock.process import Finished, How


@dataclass
class _Tries(Driven):
    """Each ends at a limit that is over in a moment."""

    cumulative: frozenset[str] = frozenset()
    lefts: list[Remaining] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind = Kind(
            "own", lambda asked: Start(()), lambda asked, log: AgentReport(), resume=lambda asked, session: None
        )
        super().__init__(replace(kind, cumulative=self.cumulative), {})

    def _once(
        self, program: str, asked: AttemptRequest, *others: object
    ) -> tuple[Outcome, AgentReport, Session | None]:
        self.lefts.append(asked.brief.remaining)
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
def test_what_former_tries_used_is_not_left(
    left: Remaining, cumulative: frozenset[str], lefts: list[Remaining], tmp_path: Path
) -> None:
    tries = _Tries(cumulative)
    tries._in_tries("own", _asked(tmp_path, left), _place(tmp_path), Event(), ())
    assert tries.lefts == lefts


@pytest.mark.parametrize(
    ("how", "done", "ended"),
    [(How.EXITED, True, Ended.COMPLETED), (How.EXITED, False, Ended.UNAVAILABLE), (How.CANCELLED, True, None)],
)
def test_one_that_ended_well_was_not_ended(
    how: How, done: bool, ended: Ended | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It told of an error in the very moment in which it got over it."""
    monkeypatch.setattr(retries, "_LOOK_S", 0.0)

    def supervise(work: object, cancel: retries.Patience, meter: object) -> Finished:
        assert cancel.is_set()
        return Finished(how, 0, 0.0, truncated=False, tail=b"")

    monkeypatch.setattr(driven, "supervise", supervise)
    kind = Kind(
        "own", lambda asked: Start(()), lambda asked, log: AgentReport(done), of_no_use=lambda asked, log: "status 500"
    )
    outcome, _, _ = Driven(kind, {})._once("own", _asked(tmp_path, Remaining()), _place(tmp_path), Event(), ())
    assert outcome.ended is (ended or Ended.UNAVAILABLE)


@pytest.mark.parametrize(("begun", "sessions"), [(True, ["", "s"]), (False, [""])])
def test_one_that_was_ended_goes_on_where_it_had_begun(
    begun: bool, sessions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the session that it named at first, and once: it had tried for long enough by itself."""
    monkeypatch.setattr(retries, "_LOOK_S", 0.0)
    monkeypatch.setattr(retries, "_WAITS_S", (0.01,))
    started: list[str] = []

    def start(asked: AttemptRequest) -> Start:
        started.append(asked.session.name if asked.session is not None else "")
        return Start(())

    def supervise(work: object, cancel: retries.Patience, meter: object) -> Finished:
        assert cancel.is_set()
        return Finished(How.CANCELLED, None, 0.0, truncated=False, tail=b"")

    def read(asked: AttemptRequest, log: Path) -> AgentReport:
        return AgentReport(session="s", begun=begun) if asked.session is None else AgentReport()

    monkeypatch.setattr(driven, "supervise", supervise)
    kind = Kind("own", start, read, stays=True, of_no_use=lambda asked, log: "status 500")
    outcome, _ = Driven(kind, {})._in_tries("own", _asked(tmp_path, Remaining()), _place(tmp_path), Event(), ())
    assert started == sessions
    assert outcome.ended is Ended.UNAVAILABLE


def test_one_that_fails_again_before_it_names_its_session_goes_on_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_WAITS_S", (0.01,))
    monkeypatch.setattr(driven, "supervise", lambda *_: Finished(How.EXITED, 1, 0.0, truncated=False, tail=b""))
    started: list[str] = []

    def start(asked: AttemptRequest) -> Start:
        started.append(asked.session.name if asked.session is not None else "")
        return Start(())

    def read(asked: AttemptRequest, log: Path) -> AgentReport:
        first = asked.session is None
        return AgentReport(session="s" if first else "", begun=first, trouble="status 500")

    Driven(Kind("own", start, read, stays=True), {})._in_tries(
        "own", _asked(tmp_path, Remaining()), _place(tmp_path), Event(), ()
    )
    assert started == ["", "s", "s"]


def _asked(root: Path, left: Remaining) -> AttemptRequest:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0, remaining=left)
    return AttemptRequest(brief, "", login=False, state=root / "agent" / "state", tree=root)


def _place(root: Path) -> Checkout:
    return Checkout(root, root, root, root)

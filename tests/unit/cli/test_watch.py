"""When `watch` has seen enough of a run that nobody owns."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from interlock.cli import drive
from interlock.readmodel.run import RunPhase

verb: Any = importlib.import_module("interlock.cli.verbs.runs")


class Service:
    """A run at event `seq`; `owner` and `answer` say who drives it and whether an answer lies in its inbox. `remote`: a
    server drives it; `behind` says why that cannot be asked."""

    def __init__(
        self, phase: RunPhase, *, owner: str = "", answer: bool = False, remote: bool = False, behind: str = ""
    ) -> None:
        engine = "temporal" if remote or owner == "who delivers" else ""
        self.seen = SimpleNamespace(phase=phase, seq=7, engine=engine, is_remote=remote, behind=behind)
        self.owner, self.answer = owner, answer

    def follower_of(self, run: str) -> str:
        return self.owner

    def owner_of(self, run: str) -> str:
        return self.owner

    def locate_run(self, run: str) -> SimpleNamespace:
        return self.seen

    def has_answer(self, run: str) -> bool:
        return self.answer


def left_after(service: Service, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The second at which it counts as left; None within a minute."""
    app: Any = SimpleNamespace(service=service)
    left = drive._AtRest(app, "r1")
    for second in range(60):
        monkeypatch.setattr(drive.time, "monotonic", lambda at=second: 100.0 + at)
        if left():
            return second
    return None


def test_a_run_that_waits_or_is_over_is_left_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for phase in (RunPhase.WAITING, RunPhase.ACCEPTED, RunPhase.CANCELLED):
        assert left_after(Service(phase), monkeypatch) == 0


def test_one_without_an_owner_may_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left_after(Service(RunPhase.INTERRUPTED), monkeypatch) == 3
    assert left_after(Service(RunPhase.RUNNING, owner="process 1"), monkeypatch) is None


def test_one_that_a_server_drives_is_watched_while_the_server_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left_after(Service(RunPhase.RUNNING, remote=True), monkeypatch) is None
    assert left_after(Service(RunPhase.WAITING, remote=True), monkeypatch) == 0
    assert left_after(Service(RunPhase.INTERRUPTED, remote=True), monkeypatch) == 3
    assert left_after(Service(RunPhase.RUNNING, remote=True, behind="it is silent"), monkeypatch) == 3


def test_who_delivers_for_a_repository_keeps_nobody_at_a_run_that_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    for phase, second in ((RunPhase.WAITING, 0), (RunPhase.ACCEPTED, 0), (RunPhase.RUNNING, None)):
        assert left_after(Service(phase, owner="who delivers"), monkeypatch) == second


def test_one_that_was_answered_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left_after(Service(RunPhase.INTERRUPTED, answer=True), monkeypatch) == 20


@pytest.mark.parametrize("owner", ["process 1", ""])
def test_the_run_goes_on_unwatched(owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Watched(RunPhase.RUNNING, owner=owner)
    monkeypatch.setattr(verb, "application", lambda: nullcontext(SimpleNamespace(service=service)))
    monkeypatch.setattr(drive, "watch_run", interrupted)
    done = CliRunner().invoke(verb.watch, ["r1"])
    assert ("run r1 continues\nnext: interlock watch r1\n" in done.output) is bool(owner)
    assert done.exit_code == 1  # as click ends what was interrupted; the program has a code of its own


class Watched(Service):
    def latest_run(self, run: str) -> SimpleNamespace:
        return SimpleNamespace(id=run)


def interrupted(*_: object) -> int:
    raise KeyboardInterrupt

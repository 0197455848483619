"""Runs that cannot be read, as verbs that pass them over tell of them, and what is next."""

from __future__ import annotations

import os

import pytest

from interlock.cli.application import unreadable_runs_noted
from interlock.cli.exits import report
from interlock.cli.verbs.doctor import set_aside
from interlock.ports import Damaged, InfrastructureError, UsageError
from interlock.readmodel.run import RunPhase, unreadable

WHY = "event 5 is not as it was recorded"


def test_a_reason_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with unreadable_runs_noted() as passed_over:
        for number in range(25):
            passed_over(unreadable(f"r{number}", WHY, damaged=True))
        passed_over(unreadable("n1", "of a newer Interlock", damaged=False))
    names = ", ".join(f"r{number}" for number in range(20))
    assert capsys.readouterr().err.splitlines() == [
        f"note: 25 runs ({names}, ...) are damaged: {WHY}",
        "note: run n1 is unreadable: of a newer Interlock",
    ]


def test_it_is_told_of_what_then_fails_too(capsys: pytest.CaptureFixture[str]) -> None:
    def looked() -> None:
        with unreadable_runs_noted() as passed_over:
            passed_over(unreadable("r1", WHY, damaged=True))
            raise UsageError("no such stage")

    with pytest.raises(UsageError):
        looked()
    assert "run r1 is damaged" in capsys.readouterr().err


def test_what_is_damaged_names_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(Damaged(f"run r1 cannot be read: {WHY}"), os.environ) == 5
    assert capsys.readouterr().err.splitlines()[-1] == "next: interlock doctor"
    assert report(Damaged("gone: `interlock doctor` says more"), os.environ) == 5
    assert report(InfrastructureError("no room"), os.environ) == 5
    assert "next:" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("phase", "words"),
    [(RunPhase.ACCEPTED, "nothing to do"), (RunPhase.WAITING, "`interlock cancel r1` ends it")],
)
def test_a_run_that_can_be_read_is_not_set_aside(phase: RunPhase, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.cli.verbs.doctor.application", lambda: Opened(phase))
    with pytest.raises(UsageError, match=f"run r1 is {phase}, and not damaged: {words}"):
        set_aside(["@"])


class Opened:
    """An application with one run."""

    def __init__(self, phase: RunPhase) -> None:
        self.phase = phase
        self.service = self

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def damaged_runs(self) -> list[object]:
        return []

    def run_ids(self) -> list[str]:
        return ["r1"]

    def locate_run(self, run: str) -> Opened:
        return self

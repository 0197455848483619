"""A known program that cannot be started by the shell is not tried again."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start, _exited, _outcome
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout, Ended, Outcome
from interlock.process import Finished, How

_KIND = Kind("own", lambda asked: Start(()), lambda asked, log: AgentReport())


@pytest.mark.parametrize(("code", "permanent"), [(1, False), (126, True), (127, True)])
def test_a_command_that_is_not_there_is_for_a_person(code: int, permanent: bool) -> None:
    finished = Finished(How.EXITED, code, 0.0, truncated=False, tail=b"env: node: No such file or directory\n")
    outcome = _exited(_KIND, _asked(Path()), finished, AgentReport(), Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.CRASHED, permanent)


def test_what_the_endpoint_said_goes_before_the_exit_code() -> None:
    finished = Finished(How.EXITED, 127, 0.0, truncated=False, tail=b"")
    told = AgentReport(trouble="status 500", status=500)
    outcome = _exited(_KIND, _asked(Path()), finished, told, Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, False)


@pytest.mark.parametrize("told", [AgentReport(trouble="status 429", status=429), AgentReport(done=True, refused=True)])
def test_what_a_signal_ended_has_crashed_whatever_it_told(told: AgentReport, tmp_path: Path) -> None:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    finished = Finished(How.EXITED, -9, 0.0, truncated=False, tail=b"")
    kind = Kind("own", lambda asked: Start(()), lambda asked, log: AgentReport())
    outcome = _outcome(kind, AttemptRequest(brief, "", False, tmp_path, tmp_path), finished, told, tmp_path / "log")
    assert (outcome.ended, outcome.message) == (Ended.CRASHED, "own: ended by signal 9")


@pytest.mark.parametrize(
    ("told", "worked"),
    [
        (AgentReport(trouble="status 429", status=429), False),
        (AgentReport(trouble="status 429", status=429, begun=True), True),
        (AgentReport(trouble="status 429", status=429, usage=Usage(100, 1)), True),
    ],
)
def test_a_limit_after_an_answer_came_in_the_middle_of_work(told: AgentReport, worked: bool, tmp_path: Path) -> None:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    kind = Kind("own", lambda asked: Start(()), lambda asked, log: AgentReport())
    finished = Finished(How.EXITED, 1, 0.0, truncated=False, tail=b"")
    outcome = _outcome(kind, AttemptRequest(brief, "", False, tmp_path, tmp_path), finished, told, tmp_path / "log")
    assert (outcome.ended, outcome.worked) == (Ended.RATE_LIMITED, worked)


@pytest.mark.parametrize(
    ("how", "silent_s", "ended"),
    [
        (How.TIMED_OUT, 10, Ended.RATE_LIMITED),
        (How.TIMED_OUT, 400, Ended.TIMED_OUT),  # its next try was at work
        (How.EXITED, 400, Ended.RATE_LIMITED),
    ],
)
def test_an_error_of_long_ago_is_not_why_the_time_ran_out(
    how: How, silent_s: int, ended: Ended, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("")
    os.utime(log, (time.time() - silent_s,) * 2)
    finished = Finished(how, 1, 0.0, truncated=False, tail=b"")
    one_at_once = replace(_KIND, of_no_use=lambda asked, log: "", silent_s=900)
    for kind in (_KIND, one_at_once):
        assert _outcome(kind, _asked(tmp_path), finished, AgentReport(trouble="status 429"), log).ended is ended


def test_keys_that_are_named_and_not_set_are_told_before_any_start(tmp_path: Path) -> None:
    """Of the program's keys one will do, and so does one that the stage gives it."""
    kind = Kind("sh", _never, lambda asked, log: AgentReport())
    spec = AgentSpec("coder", "sh", secrets=("ONE_KEY", "OPENAI_API_KEY"))
    brief = Brief("r", AttemptId("code", 1, 1), "x", "x", "", {"PATH": os.environ["PATH"], "ONE_KEY": ""}, 10, 0)
    outcome = Driven(kind, {}).work(spec, brief, Checkout(tmp_path, tmp_path, tmp_path, tmp_path), Event())
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True)
    wanted = "set ONE_KEY or OPENAI_API_KEY, then `interlock resume`"
    assert outcome.message == f"sh: none of the agent's `secrets` is set: {wanted}"


def _never(asked: AttemptRequest) -> Start:
    raise AssertionError("it was started")


def _asked(root: Path) -> AttemptRequest:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    return AttemptRequest(brief, "", login=False, state=root, tree=root)

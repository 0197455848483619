"""A known program that cannot be started by the shell is not tried again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from interlock.agents.driven import Asked, Kind, Start, Told, _exited, _outcome
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.ports import Brief, Ended, Outcome
from interlock.process import Finished, How


@pytest.mark.parametrize(("code", "permanent"), [(1, False), (126, True), (127, True)])
def test_a_command_that_is_not_there_is_for_a_person(code: int, permanent: bool) -> None:
    finished = Finished(How.EXITED, code, 0.0, truncated=False, tail=b"env: node: No such file or directory\n")
    outcome = _exited("claude", finished, Told(), Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.CRASHED, permanent)


def test_what_the_endpoint_said_goes_before_the_exit_code() -> None:
    finished = Finished(How.EXITED, 127, 0.0, truncated=False, tail=b"")
    outcome = _exited("claude", finished, Told(trouble="status 500", status=500), Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, False)


@pytest.mark.parametrize("told", [Told(trouble="status 429", status=429), Told(done=True, refused=True)])
def test_what_a_signal_ended_has_crashed_whatever_it_told(told: Told, tmp_path: Path) -> None:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    finished = Finished(How.EXITED, -9, 0.0, truncated=False, tail=b"")
    kind = Kind("own", lambda asked: Start(()), lambda asked, log: Told())
    outcome = _outcome(kind, Asked(brief, "", False, tmp_path, tmp_path), finished, told, tmp_path / "log")
    assert (outcome.ended, outcome.message) == (Ended.CRASHED, "own: ended by signal 9")


@pytest.mark.parametrize(
    ("told", "worked"),
    [
        (Told(trouble="status 429", status=429), False),
        (Told(trouble="status 429", status=429, begun=True), True),
        (Told(trouble="status 429", status=429, usage=Usage(100, 1)), True),
    ],
)
def test_a_limit_after_an_answer_came_in_the_middle_of_work(told: Told, worked: bool, tmp_path: Path) -> None:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    kind = Kind("own", lambda asked: Start(()), lambda asked, log: Told())
    finished = Finished(How.EXITED, 1, 0.0, truncated=False, tail=b"")
    outcome = _outcome(kind, Asked(brief, "", False, tmp_path, tmp_path), finished, told, tmp_path / "log")
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
    kind = Kind("own", lambda asked: Start(()), lambda asked, log: Told())
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    asked = Asked(brief, "", login=False, state=tmp_path, tree=tmp_path)
    finished = Finished(how, 1, 0.0, truncated=False, tail=b"")
    assert _outcome(kind, asked, finished, Told(trouble="status 429"), log).ended is ended

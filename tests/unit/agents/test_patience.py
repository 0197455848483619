"""How long a program that tries again is let, and what is resumed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from interlock.agents.retries import goes_on, of_no_use, since
from interlock.ports import Ended, Outcome

_AGAIN, _NEAR, _FAR = "status 500", "Rate limit. Try again in 5s", "Rate limit. Try again in 300s"


@pytest.mark.parametrize(
    ("errors", "silent_s", "ended"),
    [
        ([_AGAIN], 60, False),  # the next try is at work: a model may think for as long
        ([_AGAIN], 400, True),
        ([_NEAR], 100, False),
        (["status 429"], 45, False),
        (["status 429"], 100, True),  # it waits for as long as it was told, without a word
        ([_FAR], 0, True),
        ([_AGAIN] * 5, 0, True),
        ([], 400, False),
    ],
)
def test_silence_after_an_error_is_let_for_minutes(
    errors: list[str], silent_s: int, ended: bool, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("")
    os.utime(log, (time.time() - silent_s,) * 2)
    assert bool(of_no_use(errors, log)) is ended


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
def test_an_endpoint_that_failed_in_the_middle_is_gone_on_with(
    ended: Ended, permanent: bool, in_s: int, begun: bool, on: bool
) -> None:
    outcome = Outcome(ended, permanent=permanent, retry_at=time.time() + in_s if in_s else 0.0)
    assert goes_on(outcome, begun=begun) is on


@pytest.mark.parametrize(
    ("ended", "in_s", "tried", "on"),
    [
        (Ended.UNAVAILABLE, 0, 0, True),
        (Ended.UNAVAILABLE, 0, 1, False),
        (Ended.RATE_LIMITED, 30, 0, True),
        (Ended.RATE_LIMITED, 0, 0, False),  # it waited for a minute without a word, and would again
        (Ended.RATE_LIMITED, 0, -1, True),  # it gave up by itself
    ],
)
def test_one_that_was_ended_goes_on_once(ended: Ended, in_s: int, tried: int, on: bool) -> None:
    outcome = Outcome(ended, retry_at=time.time() + in_s if in_s else 0.0)
    assert goes_on(outcome, begun=True, tried=tried) is on


def test_errors_count_from_when_the_log_was_written_last(tmp_path: Path) -> None:
    """What looks like a line of the log, and has no time, is a quotation."""
    log = tmp_path / "log"
    log.write_text("")
    os.utime(log, (1_800_000_000,) * 2)
    told = [("2027-01-15T07:59:00Z", "before"), ("yesterday", "quoted"), ("2027-01-15T08:01:00Z", "after")]
    assert since(told, log) == ["after"]
    assert since(told, tmp_path / "none") == ["before", "after"]

"""Waits on clocks that jump: none is longer than it was meant to be, and none than a day."""

from __future__ import annotations

from interlock.core.events import RunStarted
from interlock.core.limits import WAIT_MAX_S
from interlock.core.pipeline import Pipeline
from interlock.engines.waits import Alarm, NoEarlier
from interlock.execution.context import Context

HOUR = 3600.0


class Hands:
    """Seconds that pass, whatever the clock says."""

    def __init__(self) -> None:
        self.passed = 500.0

    def __call__(self) -> float:
        return self.passed


class Fixed:
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def elapsed(self) -> float:
        return 0.0


def test_a_wait_ends_when_the_clock_says_so() -> None:
    alarm = Alarm(Hands())
    assert alarm.left_s(1_010.0, now=1_004.0, newest=1_000.0) == 6.0
    assert alarm.left_s(1_010.0, now=1_010.0, newest=1_000.0) == 0.0


def test_a_clock_that_goes_back_adds_nothing() -> None:
    hands = Hands()
    alarm = Alarm(hands)
    assert alarm.left_s(1_010.0, now=1_000.0 - HOUR, newest=1_000.0) == 10.0
    hands.passed += 9.0
    assert alarm.left_s(1_010.0, now=1_000.0 - HOUR, newest=1_000.0) == 1.0
    hands.passed += 1.0
    assert alarm.left_s(1_010.0, now=1_000.0 - HOUR, newest=1_000.0) == 0.0


def test_a_clock_that_goes_forward_ends_it() -> None:
    assert Alarm(Hands()).left_s(1_010.0, now=1_000.0 + HOUR, newest=1_000.0) == 0.0


def test_each_wait_is_measured_from_its_own_beginning() -> None:
    hands = Hands()
    alarm = Alarm(hands)
    alarm.left_s(1_010.0, now=0.0, newest=1_000.0)
    hands.passed += 100.0
    assert alarm.left_s(1_015.0, now=0.0, newest=1_010.0) == 5.0


def test_no_wait_is_longer_than_a_day() -> None:
    assert Alarm(Hands()).left_s(1e12, now=1_000.0, newest=1_000.0) == WAIT_MAX_S


def test_what_comes_next_is_never_before_the_newest_fact() -> None:
    assert NoEarlier(Fixed(50.0), lambda: 80.0).now() == 80.0
    assert NoEarlier(Fixed(90.0), lambda: 80.0).now() == 90.0


def test_a_named_time_is_kept_to_where_it_is_to_come() -> None:
    started = RunStarted("r", "p", "d", "t", "c", "t", ())
    context = Context("r", Pipeline("p", ()), started, 0.0, backoff_s=2.0)
    assert context.retry_at(1_000.0, 0, named=1_500.0) == 1_500.0
    assert context.retry_at(1_000.0, 0, named=1e12) == 1_000.0 + WAIT_MAX_S
    assert context.retry_at(1_000.0, 1, named=900.0) == 1_008.0  # it is over: no reason to ask again at once
    assert context.retry_at(1_000.0, 9) == 1_060.0

"""Questions on a terminal: what is typed is taken, and a Ctrl-C is never lost."""

from __future__ import annotations

import ctypes
import operator
import os
import pty
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click
import pytest

from interlock.cli.terminal import confirm, prompt


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other side of the terminal that is standard input."""
    ours, theirs = pty.openpty()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield ours
    signal.signal(signal.SIGINT, before)
    os.close(ours)


def test_an_answer_is_a_line_without_its_blanks(screen: int) -> None:
    os.write(screen, b"  stop \n\n\nright\n")
    assert prompt("what", "d") == "stop"
    assert prompt("what", "d") == "d"
    assert prompt("what") == "right"  # an empty one is none where there is no default


@pytest.mark.parametrize(("typed", "meant"), [(b"y\n", True), (b"YES\n", True), (b"\n", False), (b"hm\nn\n", False)])
def test_only_a_yes_confirms(screen: int, typed: bytes, meant: bool) -> None:
    os.write(screen, typed)
    assert confirm("for good?") is meant


def test_the_end_of_the_input_is_no_answer(screen: int) -> None:
    os.write(screen, b"\x04")
    with pytest.raises(click.Abort):
        prompt("what", "d")


def test_a_ctrl_c_right_before_the_reading_begins_is_heard(screen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes between two calls of C: Python looks for signals after both."""
    raised = ctypes.CDLL(None)["raise"]
    real: Callable[..., Any] = select.select

    def interrupted(*waits: Any) -> Any:
        monkeypatch.setattr(select, "select", real)
        return list(map(operator.call, (partial(raised, signal.SIGINT), partial(real, *waits))))[1]

    monkeypatch.setattr(select, "select", interrupted)
    too_late = threading.Timer(2, os.write, (screen, b"d\n"))
    too_late.start()
    with pytest.raises(click.Abort):
        prompt("what", "s")
    assert too_late.is_alive(), "it was heard only when something was typed"
    too_late.cancel()

"""Driving a run while somebody presses Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.cli import drive as drive_module
from interlock.cli.screens import DisplayOptions


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Each interrupt that arrived."""
    arrived: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        arrived.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    yield arrived
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_while_the_run_is_being_stopped_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], heard: list[int]
) -> None:
    ended: list[str] = []

    def drive(run: str, *, stop: threading.Event, owned: Callable[[], None], **others: object) -> None:
        owned()
        stop.wait()
        for number in range(3):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            for _ in range(100):
                time.sleep(0.05)
                if len(heard) > number:
                    break
            time.sleep(0.1)  # it waits again
        ended.append(run)

    monkeypatch.setattr(drive_module, "screen", lambda *_, **__: None)
    monkeypatch.setattr(drive_module, "_show_events", lambda *_: 0)
    monkeypatch.setattr(drive_module, "_ask_after_interrupt", lambda *_: "stop")
    app: Any = SimpleNamespace(owner=SimpleNamespace(drive=drive))
    try:
        choice = drive_module._drive_shown(app, "r1", DisplayOptions())
    except KeyboardInterrupt:
        choice = "interrupted"
        threading.Event().wait(1)  # the others of them
    assert (choice, ended) == ("stop", ["r1"])
    assert capsys.readouterr().err.count("stopping the run") == 1

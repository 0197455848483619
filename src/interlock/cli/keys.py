"""Single keys of the person at the terminal, without Enter.

Rule: while keys are read, the terminal neither shows them nor waits for whole lines; after every exit, also by a
signal, it is as it was before. A process in the background reads nothing.
"""

from __future__ import annotations

import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

ESCAPE = "\x1b"
END_OF_INPUT = "\x04"
_BYTES = 4096
_SETTLE_S = 0.02  # what follows so soon is pasted, or belongs to the name of another key: nobody answers with it
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Keys:
    """The keys that are typed on `stream` between `with` and its end."""

    def __init__(self, stream: TextIO) -> None:
        self._fd = stream.fileno()
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Keys:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._handlers[number] = signal.signal(number, self._end)
            self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        self._begin()
        return self

    def __exit__(self, *raised: object) -> None:
        self._restore()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    @property
    def is_open(self) -> bool:
        """Whether keys can be read: not in the background."""
        return self._before is not None

    def typed(self, seconds: float = 0.0) -> str:
        """The key that was typed by now, or within `seconds`; empty if none was, or if several came at once."""
        self._begin()
        if not select.select([self._fd] if self.is_open else [], [], [], seconds)[0]:
            return ""
        text = piece = os.read(self._fd, _BYTES)
        while piece and select.select([self._fd], [], [], _SETTLE_S)[0]:
            piece = os.read(self._fd, _BYTES)
            text += piece
        key = text.decode("utf-8", "ignore") or END_OF_INPUT
        return key if len(key) == 1 else ""

    def forget(self) -> None:
        """Drop what was typed before now."""
        if self.is_open:
            termios.tcflush(self._fd, termios.TCIFLUSH)

    @contextmanager
    def released(self) -> Iterator[None]:
        """The terminal as it was before, for lines and for other programs. What is typed ahead of its end is no key."""
        self._restore()
        try:
            yield
        finally:
            self._begin()
            self.forget()

    @contextmanager
    def lines(self) -> Iterator[Callable[[], str]]:
        """As `released`, with a function that reads a line: it is empty at Esc, at once and without Enter."""
        with self.released():
            before = termios.tcgetattr(self._fd)
            ending = [*before[:6], [*before[6]]]
            ending[6][termios.VEOL] = ESCAPE.encode()
            termios.tcsetattr(self._fd, termios.TCSADRAIN, ending)
            try:
                yield self._line
            finally:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, before)

    def _line(self) -> str:
        line = b""
        while piece := os.read(self._fd, _BYTES):
            line += piece
            if line.endswith(b"\n"):
                return line.decode("utf-8", "replace")
            if line.endswith(ESCAPE.encode()):
                if not self._goes_on():
                    return ""
                line = line[:-1]  # of an arrow or another key, which means nothing here
        return ""

    def _goes_on(self) -> bool:
        """Whether more follows an Esc at once: then it was the beginning of another key's name. It is dropped."""
        before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd, termios.TCSANOW)
        try:
            rest = os.read(self._fd, _BYTES) if select.select([self._fd], [], [], _SETTLE_S)[0] else b""
            return bool(rest) and not rest.endswith(ESCAPE.encode())
        finally:
            termios.tcsetattr(self._fd, termios.TCSANOW, before)

    def _begin(self) -> None:
        if self._before is not None or not _is_in_foreground(self._fd):
            return
        with suppress(termios.error):
            before = termios.tcgetattr(self._fd)
            self._before = before
            tty.setcbreak(self._fd, termios.TCSADRAIN)

    def _restore(self) -> None:
        before, self._before = self._before, None
        if before is not None and _is_in_foreground(self._fd):
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, before)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z. The terminal is taken again when the next key is read in the foreground."""
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)


def _is_in_foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False

"""Single keys on a pseudo-terminal, which is as before after every end."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.terminal.world import LIMIT_S

PROGRAM = """
import sys, time
from interlock.cli.keys import Keys
with Keys(sys.stdin) as keys:
    print("ready", flush=True)
    while (typed := keys.typed(0.1)) != "q":
        if typed:
            print(f"<{typed!r}>", flush=True)
        if typed == "L":
            with keys.released():
                line = sys.stdin.readline().strip()
                time.sleep(0.3 * (line == "slow"))
            print("line", line, flush=True)
        if typed == "!":
            raise SystemExit("broken")
"""


@dataclass
class Typist:
    """A program on a terminal of its own."""

    pid: int
    fd: int
    before: list[object]
    said: str = ""

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def until(self, words: str) -> None:
        end = time.monotonic() + LIMIT_S
        while words not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([self.fd], [], [], 0.1)[0]:
                self.said += os.read(self.fd, 4096).decode()

    def modes(self) -> list[object]:
        return termios.tcgetattr(self.fd)


@pytest.fixture
def typist() -> Iterator[Typist]:
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    made = Typist(pid, fd, termios.tcgetattr(fd))
    made.until("ready")
    yield made
    for number in (signal.SIGCONT, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
    os.close(fd)


def test_a_key_needs_no_enter_and_is_not_shown(typist: Typist) -> None:
    assert typist.modes() != typist.before
    typist.type("a")
    typist.until("<'a'>")
    assert typist.said.replace("<'a'>", "").count("a") == 1  # of `ready`


def test_what_is_pasted_and_other_keys_are_nobodys_answer(typist: Typist) -> None:
    typist.type("approve it")
    time.sleep(0.3)
    typist.type("\x1b[A")
    time.sleep(0.3)
    typist.type("\x1b")
    typist.until("<'\\x1b'>")
    assert typist.said.count("<") == 1


@pytest.mark.parametrize("text", ["ay", "way", "x" * 64 + "a", "x" * 128 + "ay", "x" * 4097], ids=len)
def test_no_part_of_what_is_pasted_is_a_key(typist: Typist, text: str) -> None:
    typist.type(text)
    time.sleep(0.3)
    typist.type("b")
    typist.until("<'b'>")
    assert typist.said.count("<") == 1


def test_what_is_typed_ahead_while_the_terminal_is_released_is_no_key(typist: Typist) -> None:
    typist.type("L")
    typist.until("<'L'>")
    end = time.monotonic() + LIMIT_S
    while typist.modes() != typist.before:
        assert time.monotonic() < end
    typist.type("slow\na")
    typist.until("line slow")
    typist.type("b")
    typist.until("<'b'>")
    assert "<'a'>" not in typist.said


def test_a_line_is_typed_between_keys(typist: Typist) -> None:
    typist.type("L")
    typist.until("<'L'>")
    end = time.monotonic() + LIMIT_S
    while typist.modes() != typist.before:
        assert time.monotonic() < end
    typist.type("too short\n")
    typist.until("line too short")
    typist.type("x")
    typist.until("<'x'>")


@pytest.mark.parametrize("key", ["q", "!", "\x03", "\x1c"], ids=["end", "error", "ctrl-c", "ctrl-backslash"])
def test_the_terminal_is_as_before_after_every_end(typist: Typist, key: str) -> None:
    typist.type(key)
    ended(typist)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(typist: Typist, number: int) -> None:
    os.kill(typist.pid, number)
    ended(typist)


def ended(typist: Typist) -> None:
    end = time.monotonic() + LIMIT_S
    while typist.modes() != typist.before:
        assert time.monotonic() < end, "the terminal stayed without its echo"
        time.sleep(0.02)


def test_after_ctrl_z_and_fg_keys_are_read_again(tmp_path: Path) -> None:
    program = tmp_path / "p.py"
    program.write_text(PROGRAM)
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["PS1"] = "$ "
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    typist = Typist(pid, fd, termios.tcgetattr(fd))
    try:
        typist.until("$ ")
        typist.type(f"{shlex.join([sys.executable, str(program)])}\n")
        typist.until("ready")
        typist.type("\x1a")
        typist.until("Stopped")
        typist.type("fg\n")
        typist.until("fg\r\n")
        time.sleep(0.3)
        typist.type("b")
        typist.until("<'b'>")
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.close(fd)

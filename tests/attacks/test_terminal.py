"""An attack on the terminal of a person who looks at a candidate with `interlock shell`: what they start there types a line
for the shell of the user. Where the kernel forbids that by itself there is nothing to show."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest
from tests.rooms_here import FENCES, LEVEL

LEGACY = Path("/proc/sys/dev/tty/legacy_tiocsti")
TYPES = """
import fcntl, termios
for letter in b"echo TYP''ED > @file@\\n":
    fcntl.ioctl(0, termios.TIOCSTI, bytes([letter]))
"""
SHELL = """
import os, sys
from pathlib import Path
from tests.contract.sandbox.rooms import checkout_in
from interlock.ports import Sandbox
from interlock.process import Supervised, checkout_environment, run_in_terminal
from interlock.sandbox import Room, confine, seccomp
from dataclasses import replace
folder, level, hole, code = sys.argv[1:]
if hole: seccomp._TYPES = ()
made = replace(checkout_in(Path(folder) / "place"), sandbox=Sandbox(level))
work = Supervised((sys.executable, "-c", code), made.tree, checkout_environment(os.environ, made), made.root / "log", 0)
run_in_terminal(confine(work, Room(made, terminal=True, judges=True)), print)
print("END" + "ED")
"""


@pytest.mark.skipif(
    LEGACY.exists() and LEGACY.read_text().strip() == "0", reason="the kernel forbids it (legacy_tiocsti)"
)
@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize("level", ["full", "fs"])
def test_21_nothing_is_typed_for_the_shell_of_the_user(level: str, hole: bool, tmp_path: Path) -> None:
    if (level == "full" and LEVEL != "full") or (level == "fs" and FENCES.missing):
        pytest.skip(f"no sandbox {level} here")
    words = (sys.executable, "-c", SHELL, str(tmp_path), level, "hole" if hole else "")
    code = TYPES.replace("@file@", str(tmp_path / "typed"))
    user, terminal = pty.fork()
    if user == 0:
        os.execve("/bin/sh", ["/bin/sh", "-c", '"$@"; read -r line && eval "$line"', "sh", *words, code], os.environ)
    said = _said(terminal)
    os.waitpid(user, 0)
    os.close(terminal)
    assert b"ENDED" in said, said
    assert (tmp_path / "typed").exists() == hole, said


def _said(terminal: int) -> bytes:
    """Until the shell has ended; after the program's end there is one line for it to read."""
    said, until, pressed = b"", time.monotonic() + 60, False
    while time.monotonic() < until:
        if b"ENDED" in said and not pressed:
            pressed = os.write(terminal, b"true\n") > 0
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 4096)
            except OSError:  # nobody holds the other end any more
                break
    return said

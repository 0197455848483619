"""A real terminal: tmux on a socket of its own, with keys sent to it and its screen read."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.cli_world import World

LIMIT_S = 60  # only a hang meets it
SIZES = ((80, 24), (80, 15), (200, 50), (40, 15))


@dataclass(frozen=True)
class Terminal:
    """A shell-less screen with one program in it; after the program its exit code is shown as `ended CODE`."""

    socket: Path
    environ: dict[str, str]

    def tmux(self, *words: str) -> str:
        argv = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=LIMIT_S, check=True)
        return done.stdout

    def screen(self, *, history: bool = False, raw: bool = False) -> str:
        """What is to be seen. `history`: what scrolled away too; `raw`: with its colours."""
        more = [*(["-S", "-"] if history else []), *(["-e"] if raw else [])]
        return self.tmux("capture-pane", "-p", *more).rstrip("\n")

    def keys(self, *names: str) -> None:
        self.tmux("send-keys", *names)

    def resize(self, width: int, height: int) -> None:
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def until(self, *words: str, history: bool = False) -> str:
        """The screen once it shows each of `words`."""
        return self.when(lambda screen: all(word in screen for word in words), f"{words}", history=history)

    def when(self, holds: Callable[[str], bool], what: str, *, history: bool = False) -> str:
        end = time.monotonic() + LIMIT_S
        while not holds(screen := self.screen(history=history)):
            assert time.monotonic() < end, f"never seen: {what}\n{screen}"
            time.sleep(0.05)
        return screen

    def ended(self) -> tuple[int, str]:
        """The exit code of the program, and all that stays to be seen of it."""
        said = self.when(lambda screen: "\nended " in screen, "the end of the program", history=True)
        before, _, code = said.rpartition("\nended ")
        return int(code.split()[0]), before

    def close(self) -> None:
        subprocess.run(
            ["tmux", "-S", str(self.socket), "kill-server"], capture_output=True, check=False, timeout=LIMIT_S
        )
        self.socket.unlink(missing_ok=True)


def opened(world: World, words: tuple[str, ...], size: tuple[int, int], name: str = "", **environ: str) -> Terminal:
    """`interlock WORDS` in a terminal of `size`, columns by lines. `name` tells several apart.
    Skips where there is no tmux."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: apt-get install tmux")
    env = {**world.environment(**environ), "LC_ALL": "C.UTF-8"}
    # A socket's path is short by law, and a test's folder is not.
    terminal = Terminal(Path("/tmp") / f"il-{abs(hash((str(world.root), name))):x}.tmux", {**env, "TMUX": ""})
    inner = shlex.join([sys.executable, "-m", "interlock", *words])
    term = f"TERM={shlex.quote(environ['TERM'])} " if "TERM" in environ else ""
    command = f"{term}{inner}; code=$?; echo; echo ended $code; sleep {LIMIT_S * 5}"
    width, height = size
    terminal.tmux(
        "new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(world.repository), command,
        ";", "set", "-g", "status", "off", ";", "set", "-g", "remain-on-exit", "on",
    )  # fmt: skip
    return terminal

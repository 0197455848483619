"""Agents that misbehave: each ends in a clean rejection or a clear error, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest
from tests.contract.bad_input_world import GOOD, Ground, Said, repository
from tests.nightly import rest_at_night

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux's own files")
JUNK = r"""
import os, sys
sys.stdout.buffer.write(os.urandom(200_000) + b'\xff\xfe\x00\x1b]0;owned\x07\x1b[2J\x1b[31m\r\n'
    b'::error::injected\n##[error]injected\n::add-mask::x\n\x9b31m' + bytes(range(256)))
sys.stdout.flush()
sys.exit(7)
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, repository(tmp_path / "project"))


def script(ground: Ground, text: str) -> str:
    """A Python program outside the repository, as a line of bash that runs it."""
    path = ground.root / "agent.py"
    path.write_text(text)
    return f"exec {sys.executable} -B {path}"


def paused(said: Said, *words: str) -> Said:
    """It waits for a person, says why, and which commands answer."""
    assert said.code == 3, said.text
    assert "One of:\n  interlock " in said.text, said.text
    for word in words:
        assert word in said.text, said.text
    return said


def is_harmless(said: Said) -> None:
    """Nothing that a terminal or a build service would obey."""
    output = said.out + said.err
    for bad in (b"\x1b", b"\0", b"\x07", b"\x9b", b"\r"):
        assert bad not in re.sub(rb"[\xc2-\xf4][\x80-\xbf]+", b"", output), output[:2000]
    lines = [line.strip() for line in output.splitlines()]
    assert not [line for line in lines if line.startswith((b"::", b"##["))], lines


# --- output ----------------------------------------------------------------------------------------


def test_a_gigabyte_of_output_is_kept_in_bounds(ground: Ground):
    ground.pipeline("head -c 1000000000 /dev/zero | tr '\\0' 'x'; echo; echo done > made.txt")
    assert ground.delivered(ground.run())
    kept = sum(path.stat().st_size for path in ground.state.rglob("*") if path.is_file())
    assert kept < 30_000_000
    logs = ground.ask("logs", "code")
    assert b"left out" in logs.out
    assert len(logs.out) < 30_000_000


@pytest.mark.parametrize("gate", ["true", None], ids=["agent", "gate"])
def test_binary_junk_on_the_output_comes_out_harmless(ground: Ground, gate: str | None):
    junk = script(ground, JUNK)
    ground.pipeline(junk, gate) if gate else ground.pipeline(gate=junk)
    said = paused(ground.run())
    for answer in (said, *(ground.ask(*words) for words in (("status",), ("show",), ("list",)))):
        is_harmless(answer)


def test_a_gate_that_prints_much_without_a_line_break_is_bounded(ground: Ground):
    ground.pipeline(gate="head -c 100000000 /dev/zero; exit 1")
    paused(ground.run(), "done")
    kept = sum(path.stat().st_size for path in ground.state.rglob("*") if path.is_file())
    assert kept < 30_000_000


def test_an_agent_that_closes_its_output_and_lingers_is_waited_for(ground: Ground):
    ground.pipeline("exec >&- 2>&-; sleep 0.3; echo done > made.txt")
    assert ground.delivered(ground.run())


def test_an_agent_that_reads_nothing_of_a_long_brief_is_fine(ground: Ground):
    ground.pipeline("echo done > made.txt")
    task = ground.root / "task.txt"
    task.write_text("x" * 100_000)
    said = ground.ask("run", "--task-file", str(task), "--plain")
    assert ground.delivered(said)


# --- processes -------------------------------------------------------------------------------------


def test_daemons_are_ended_with_their_attempt(ground: Ground):
    daemon = (
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.environ.clear(); os.chdir('/')\n        time.sleep(1000)\n    os._exit(0)\n"
        "open('made.txt', 'w').write('done')\n"
    )
    ground.pipeline(script(ground, daemon) + f" {ground.root}")
    assert ground.delivered(ground.run())


def test_one_that_ignores_sigterm_is_ended_at_its_deadline(ground: Ground):
    ground.pipeline("trap '' TERM INT HUP; echo half > half.txt; while :; do sleep 1000; done", timeout="1s")
    began = time.monotonic()
    said = paused(ground.run(), "code")
    assert time.monotonic() - began < 60  # a hang, not a matter of speed
    assert "done" in said.text  # its half was judged, and rejected by the gate


def test_a_modest_fork_bomb_is_swept(ground: Ground):
    bomb = (
        "import os, time\nfor _ in range(200):\n    if os.fork() == 0:\n"
        "        os.setsid()\n        time.sleep(1000)\nopen('made.txt', 'w').write('done')\n"
    )
    ground.pipeline(script(ground, bomb))
    assert ground.delivered(ground.run())


def test_an_agent_that_kills_itself_or_its_group_is_an_error_and_no_hang(ground: Ground):
    ground.pipeline("kill -9 0")
    paused(ground.run(), "signal 9")


def test_an_agent_that_is_not_there_says_which(ground: Ground):
    ground.pipeline("x")
    path = ground.repository / "interlock.yaml"
    path.write_text(path.read_text().replace("run: [bash, -c, 'x']", "run: [./no-such-agent]"))
    paused(ground.run(), "./no-such-agent: not found")


@LINUX
def test_an_agent_cannot_reach_the_programs_own_streams(ground: Ground):
    ground.pipeline("ls -l /proc/self/fd > fds.txt; echo x > /dev/tty || true; echo done > made.txt")
    branch = ground.delivered(ground.run())
    fds = ground.content(branch, "fds.txt").decode()
    assert "journal" not in fds
    assert "socket" not in fds


# --- its workspace ---------------------------------------------------------------------------------

REFUSED = {
    "pipe: a fifo": "mkfifo pipe",
    "sock: a socket": f"{sys.executable} -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'",
    "inner/.git: a repository inside the tree": "git init -q inner; echo x > inner/x",
    "s/.git: a repository inside the tree": "mkdir s; echo 'gitdir: /' > s/.git",
    "t/.GiT: a repository inside the tree": "mkdir -p t/.GiT; echo x > t/.GiT/x",
    "sparse: 3,221,225,472 bytes": "truncate -s 3G sparse",
    "folders nested deeper than 200": "(for i in $(seq 250); do mkdir d && cd -P d; done; echo x > x)",
}
LINKS = {
    "secret: a symlink that leads out": "ln -s /etc/passwd secret",
    "s/up: a symlink that leads out": "mkdir s; ln -s ../../x s/up",
    "conf: a symlink that leads out": "ln -s .git/config conf",
    "b: a symlink that leads out": "ln -s a b; ln -s .. a",
}


@pytest.mark.parametrize("misdeeds", [REFUSED, LINKS], ids=["files", "links"])
def test_what_no_commit_can_hold_is_refused_by_name(ground: Ground, misdeeds: dict[str, str]):
    ground.pipeline("; ".join([GOOD, *misdeeds.values()]), gate="true")
    paused(ground.run(), "gate scope failed")
    assert not list(ground.cache.glob("*/*/places/*/*")), "its place is gone"
    shown = ground.ask("show", "code/1.1")
    for said in misdeeds:
        assert said in shown.text, shown.text
    is_harmless(shown)


@pytest.mark.parametrize("then", ["", "; ln -s /etc tree"], ids=["gone", "a link"])
def test_one_that_removes_its_own_workspace_is_told_so(ground: Ground, then: str):
    ground.pipeline(f"cd ..; rm -rf tree{then}", gate="true")
    paused(ground.run(), "removed its own workspace")
    assert not list(ground.cache.glob("*/*/places/*/*")), "its place is gone"


@LINUX
@pytest.mark.root
def test_a_device_is_refused(ground: Ground):
    if os.getuid() != 0:
        pytest.skip("only root can make a device")
    ground.pipeline("echo done > made.txt; mknod dev c 1 3")
    paused(ground.run(), "dev: a device")


TAKEN = {
    "its .git is evil": [
        "git config core.fsmonitor 'touch /tmp/owned-$$; false'; git config core.hooksPath .",
        "printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/pre-commit",
        "touch .git/index.lock .git/HEAD.lock .git/config.lock",
    ],
    "odd modes": [
        "chmod 6755 made.txt; mkdir d; echo x > d/x; chmod 1777 d",
        "mkdir -p e/f; echo x > e/f/g; truncate -s 20M sparse; chmod -R 000 .",
    ],
    "odd names": [
        "touch -- --help '-rf *' $'new\\nline' $'\\xff\\xfe' 'a\\b' ' ' '~' $'\\e[31mred' ':(top)x' '!x' 'x;y'",
        "ln -s loop loop; mkdir d; ln -s ../d d/d; ln -s b a; ln -s a b",
        "echo '*.o' > .gitignore; for i in $(seq 1000); do echo x > $i.o; done",
    ],
    # At night: whatever its .git is, an evil one included, it is not read.
    "its .git is gone": ["rm -rf .git"],
    "its .git is a file": ["rm -rf .git; echo 'gitdir: /etc' > .git"],
}


@pytest.mark.parametrize("name", rest_at_night([*TAKEN], 3))
def test_what_a_commit_can_hold_is_taken(ground: Ground, name: str):
    ground.pipeline("; ".join([GOOD, *TAKEN[name]]))
    branch = ground.delivered(ground.run())
    assert ground.content(branch, "made.txt") == b"done\n"
    is_harmless(ground.ask("diff", "base", "code"))


@LINUX
def test_hard_links_to_the_outside_are_copies_in_the_candidate(ground: Ground):
    outside = ground.root / "outside.txt"
    outside.write_text("outside\n")
    ground.pipeline(f"echo done > made.txt; ln {outside} inside.txt; chmod 000 inside.txt", gate="echo x >> inside.txt")
    branch = ground.delivered(ground.run())
    assert ground.content(branch, "inside.txt") == b"outside\n"
    assert outside.read_text() == "outside\n"


def test_one_that_fills_its_home_and_temporary_folder_leaves_nothing(ground: Ground):
    ground.pipeline('mkdir -p "$HOME/a"; head -c 1000000 /dev/zero > "$HOME/a/b"; chmod 000 "$HOME/a";'
                    ' mkfifo "$TMPDIR/f"; echo done > made.txt')  # fmt: skip
    assert ground.delivered(ground.run())
    assert not list(ground.cache.glob("*/*/places/*/*"))

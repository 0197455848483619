"""Short calls, detached programs, environments and identities."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.ports import InfrastructureError
from interlock.process import alive, capture, detach, identity, kill_tree, scrubbed, table

ENV = {"PATH": os.environ["PATH"]}


def wait_until_gone(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        file = os.pidfd_open(pid)
        assert select.select([file], [], [], 10)[0], "still there after 10 s"
        os.close(file)


def test_capture_keeps_out_and_err_apart(tmp_path: Path) -> None:
    done = capture(
        ["sh", "-c", "cat; pwd; echo $NAME >&2; exit 3"], cwd=tmp_path, env={**ENV, "NAME": "x"}, stdin=b"in\n"
    )
    assert (done.code, done.out, done.err) == (3, b"in\n" + os.fsencode(tmp_path.resolve()) + b"\n", b"x\n")


def test_capture_finds_programs_on_the_given_path_alone(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="git: not found") as raised:
        capture(["git", "--version"], env={"PATH": str(tmp_path)})
    assert raised.value.permanent


def test_capture_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="no such folder") as raised:
        capture(["true"], cwd=tmp_path / "gone", env=ENV)
    assert raised.value.permanent


def test_capture_ends_what_takes_too_long_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"not finished after 0\.5 s") as raised:
        capture(["sh", "-c", "sleep 600 & echo $! > pid; sleep 600"], cwd=tmp_path, env=ENV, timeout_s=0.5)
    assert not raised.value.permanent
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_scrubbed_keeps_the_base_and_what_is_allowed() -> None:
    environ = {"PATH": "/bin", "LC_ALL": "C", "TERM": "xterm", "HOME": "/h", "KEY": "k", "TOKEN": "t", "GIT_DIR": "/g"}
    assert scrubbed(environ, ["KEY", "GIT_DIR", "UNSET"]) == {"PATH": "/bin", "LC_ALL": "C", "KEY": "k"}


def test_a_detached_program_outlives_us(tmp_path: Path) -> None:
    code = """
import os, pathlib, sys
from interlock.process import detach
print(detach(["sleep", "600"], dict(os.environ), pathlib.Path(sys.argv[1])))
"""
    log = str(tmp_path / "new" / "log")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, log], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    assert identity(pid)
    assert os.getsid(pid) == pid
    assert kill_tree(pid)
    assert (done.stderr, identity(pid)) == ("", "")


def test_detach_names_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="nonesuch: not found"):
        detach(["nonesuch"], ENV, tmp_path / "log")


def test_alive_tells_a_process_from_its_pid() -> None:
    program = subprocess.Popen(["sleep", "600"])
    started = identity(program.pid)
    assert alive(program.pid, started)
    assert not alive(os.getpid(), started)
    assert not alive(program.pid, "")
    program.kill()
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
    assert not alive(program.pid, started)
    program.wait()
    assert not alive(program.pid, started)


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="needs ps")
def test_ps_tells_what_proc_tells() -> None:
    ours = os.getpid()
    by_ps, known = table._ps("-p", str(ours))[ours], table.process(ours)
    assert known is not None
    assert (by_ps.parent, by_ps.group, by_ps.dead) == (known.parent, known.group, False)
    everyone = table._ps("-ax")
    assert ours in everyone
    assert not [each for each in everyone.values() if each.parent == ours and not table.process(each.pid)]


@pytest.mark.parametrize(("text", "expected"), [("00:01:02", 62), ("1-01:00:00", 90000), ("0:01.50", 1.5)])
def test_times_of_ps(text: str, expected: float) -> None:
    assert table._seconds(text) == expected

"""Starting runs, going on with them, and what a person may say to one."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of
from tests.contract.program import PROGRAM
from tests.nightly import rest_at_night

AGENT = """\
agents:
  coder: {use: command, run: [bash, -c, 'cp "$BRIEF" brief.txt; echo "$INTERLOCK_ATTEMPT" > made.txt']}
"""
ONE = f"""\
version: 1
name: one
{AGENT}
stages:
  code:
    agent: coder
    gates:
      - id: ok
        run: "true"
"""
ASKS = f"""\
version: 1
name: asks
{AGENT}
stages:
  code:
    agent: coder
    attempts: 2
    gates:
      - id: look
        approve: Is it right?
"""
FAILS = ONE.replace('"true"', "test ! -e made.txt || grep -q right made.txt").replace("    agent: coder\n    gates",
    "    agent: coder\n    attempts: 2\n    gates")  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "user"


def content(world: World, path: str) -> str:
    return world.git("show", f"{world.show()['branch']}:{path}")


# --- run ------------------------------------------------------------------------------------------


def test_the_task_comes_in_every_way(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ONE, "task.txt": "from a file"})
    world.ask("run", "--task-file", "task.txt").ended(0)
    assert content(world, "brief.txt").startswith("## Task\n\nfrom a file\n")
    world.ask("run", stdin="from standard input").ended(0)
    assert world.show(world.ask("list", "--json").json()["runs"][0]["id"])["task"] == "from standard input"
    world.ask("run", "--task-file", "-", stdin="from a dash").ended(0)
    world.ask("run").ended(2, "the task is empty")


def test_a_dry_run_writes_nothing(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ONE})
    world.ask("run", "-t", "x", "--dry-run").ended(0, "code")
    world.ask("list").ended(0, "no runs in this repository yet")


def test_inputs_are_checked_and_reach_the_prompt(root: Path) -> None:
    prompt = "    prompt: {text: 'Count to {{ inputs.count }}: {{ task }}'}\n    agent: coder\n"
    declared = "inputs:\n  count: {type: integer}\nstages:"
    world = new_world(root, {"interlock.yaml": ONE.replace("    agent: coder\n", prompt).replace("stages:", declared)})
    world.ask("run", "-t", "x").ended(2, "input count is required: give it with -i count=VALUE")
    world.ask("run", "-t", "x", "-i", "count=three").ended(2, "expected a whole number")
    world.ask("run", "-t", "x", "-i", "size=3").ended(2, "no such input, there are: count")
    world.ask("run", "-t", "x", "-i", "count=3").ended(0)
    assert content(world, "brief.txt").startswith("## Task\n\nCount to 3: x\n")


def test_it_starts_from_what_is_named(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ONE, "a.txt": "old"})
    world.git("branch", "before")
    world.commit({"a.txt": "new"})
    (world.repository / "a.txt").write_text("dirty")
    world.ask("run", "-t", "x").ended(0, "1 file has uncommitted changes that are not included")
    assert content(world, "a.txt") == "new"
    for base, expected in (("before", "old"), ("worktree", "dirty")):
        said = world.ask("run", "-t", "x", "--base", base, "--json").ended(0)
        branch = said.lines()[-1]["branch"]
        assert world.git("show", f"{branch}:a.txt") == expected
    assert (world.repository / "a.txt").read_text() == "dirty"


def test_until_a_stage_delivers_nothing(root: Path) -> None:
    two = f"{ONE}  more:\n    needs: [code]\n    agent: coder\n"
    world = new_world(root, {"interlock.yaml": two})
    world.ask("run", "-t", "x", "--until", "code").ended(0, "accepted")
    assert [stage["id"] for stage in world.show()["stages"]] == ["code"]
    assert world.git("branch", "--list", "interlock/*") == ""


def test_followed_as_json_each_line_is_a_document(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ONE})
    lines = world.ask("run", "-t", "x", "--json").ended(0).lines()
    assert lines[0]["kind"] == "RunStarted"
    assert lines[-1]["kind"] == "outcome"
    assert [line["seq"] for line in lines[:-1]] == list(range(1, len(lines)))


def test_a_detached_run_goes_on_and_can_be_watched(root: Path) -> None:
    slow = ONE.replace('cp "$BRIEF" brief.txt;', "read < go.fifo;")
    world = new_world(root, {"interlock.yaml": slow.replace("go.fifo", f"{root}/go.fifo")})
    os.mkfifo(root / "go.fifo")
    world.ask("run", "-d", "-t", "x").ended(0, "continues in the background", "next: interlock watch")
    assert world.ask("list", "--json").json()["runs"][0]["phase"] == "running"
    run = world.show()["id"]
    world.ask("resume", "@").ended(5, "is being run by process", f"`interlock watch {run}` follows it")
    world.ask("resume", "--raise", "attempts=2").ended(
        0, "the answer went to process", f"run {run} may use 2 more of attempts"
    )
    world.ask("resume", "--branch", "work/mine").ended(0, f"run {run} will deliver branch work/mine")
    watching = world.start("watch", "--plain")
    (root / "go.fifo").write_text("go\n")
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, out + err
    assert "delivered: branch work/mine" in out


def test_a_detached_run_says_so_as_json(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ONE})
    (said,) = world.ask("run", "-d", "-t", "x", "--json").ended(0).lines()
    assert said["kind"] == "detached"
    assert Path(said["log"]).is_file()
    world.ask("watch", said["run"], "--plain").ended(0, "accepted")


def test_several_runs_at_once(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ONE})
    runs = [world.start("run", "-t", f"number {number}", "--plain") for number in range(3)]
    for each in runs:
        out, err = each.communicate(timeout=120)
        assert each.returncode == 0, out + err
    assert [run["phase"] for run in world.ask("list", "--json").json()["runs"]] == ["accepted"] * 3
    assert len(world.git("branch", "--list", "interlock/*").splitlines()) == 3


# --- what a person says -----------------------------------------------------------------------------


def test_a_no_is_feedback_and_a_yes_delivers(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ASKS})
    world.ask("run", "-t", "x").ended(3, "Is it right?", "interlock approve", "interlock reject")
    world.ask("reject", "-m", "no, greener").ended(3, "code/1.2")
    world.ask("approve", "code/1.1").ended(2, "error: ")
    world.ask("approve", "-m", "fine").ended(0, "accepted")
    assert "no, greener" in content(world, "brief.txt")
    assert content(world, "made.txt") == "code/1.2"
    verdict = stage_of(world.show(), "code")["attempts"][1]["verdicts"][-1]["verdict"]
    assert verdict["by"]
    world.ask("approve").ended(2)
    world.ask("approve", world.show()["id"]).ended(2, "is accepted: ", "approved code/1.2 (gate look) at ")


def test_work_that_a_no_at_a_later_stage_sends_back_is_in_the_brief(root: Path) -> None:
    ship = "  ship:\n    needs: [code]\n    gates: [{id: merge, approve: Merge it?}]\n    on_reject: [{goto: code}]\n"
    world = new_world(root, {"interlock.yaml": ONE + ship})
    world.ask("run", "-t", "x").ended(3, "Merge it?")
    world.ask("reject", "-m", "no, greener").ended(3, "code/2.1")
    told = world.ask("show", "code/2.1", "--brief").ended(0, "no, greener").out
    assert "The patch of code/1.1, which was sent back." in told
    assert "+code/1.1\n" in told


def test_a_no_without_a_word_is_asked_for_one(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ASKS})
    world.ask("run", "-t", "x").ended(3)
    world.ask("reject").ended(2, "-m")


def test_what_waits_is_named_where_no_run_is(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ASKS, "fails.yaml": FAILS})
    world.ask("run", "-p", "fails.yaml", "-t", "x").ended(3)
    world.ask("approve").ended(2, "code is paused (attempts). One of:", "interlock retry")
    for task in ("one", "two"):
        world.ask("run", "-p", "interlock.yaml", "-t", task).ended(3)
    said = world.ask("approve").ended(2, "name a run:").err
    assert said.count("code/1.1 waits for an approval of gate") == 2
    assert "paused" not in said


def test_used_up_attempts_pause_and_every_way_on_works(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": FAILS})
    said = world.ask("run", "-t", "x").ended(3, "is paused (attempts)", "--override", "interlock retry")
    assert "code/1.2" in said.text
    world.ask("accept", "code/1.1").ended(2, "a hard gate rejected code/1.1: `--override`")
    world.ask("retry", "code", "-m", "write right").ended(
        3, "code/1.3", "all 2 attempts since the last retry were rejected (4 in all)"
    )
    assert "write right" in world.ask("shell", "code/1.3", "-c", "cat brief.txt").out
    fixed = commit_beside(world, {"made.txt": "right\n"})
    world.ask("retry", "code", "--with", fixed).ended(0, "submitted by", "accepted")
    assert content(world, "made.txt") == "right"


def test_an_override_is_shown_for_good(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": FAILS})
    world.ask("run", "-t", "x").ended(3)
    world.ask("accept", "code/1.1", "--override", "-m", "I know").ended(0, "although gate ok did not pass", "code/1.1")
    for words in (["list"], ["status"], ["show"]):
        assert "OVERRIDDEN" in world.ask(*words).text
    assert world.show()["overrides"] == ["code/1.1"]


def test_a_cancelled_run_delivers_nothing(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ASKS})
    world.ask("run", "-t", "x").ended(3)
    said = world.ask("cancel", "-m", "enough").ended(0, "answered cancel", " cancelled by ").text
    assert "cancelled: " not in said
    for verb in ("show", "status"):
        assert re.search(r"^ended +cancelled by \S+ .*: enough$", world.ask(verb).text, re.MULTILINE)
    assert "next:" not in world.ask("show").text
    assert world.git("branch", "--list", "interlock/*") == ""
    run = world.show()["id"]
    world.ask("resume", run).ended(1, "has ended")
    world.ask("resume", run, "--branch", "mine").ended(2, f"run {run} has ended: it is cancelled: it delivers nothing")
    world.ask("resume", run, "--raise", "attempts=2").ended(2, "its limits cannot be raised")


def test_a_cancel_of_a_run_at_work_elsewhere_says_how_it_ended(root: Path) -> None:
    waits = ONE.replace('cp "$BRIEF" brief.txt;', f"touch {root}/begun; sleep 100;")
    world = new_world(root, {"interlock.yaml": waits})
    world.ask("run", "-t", "x", "--detach").ended(0)
    run = world.show()["id"]
    until_there(root / "begun")
    said = world.ask("cancel").ended(0, f"run {run} cancelled", f"next: interlock show {run}").text
    assert "watch" not in said
    assert said.count("next:") == 1
    world.ask("cancel", run).ended(0, f"run {run} was cancelled before")
    assert "‖ code           cancelled code/1.1 coder" in world.ask("status").text


def test_more_of_a_limit_lets_it_go_on(root: Path) -> None:
    limited = FAILS.replace("stages:", "limits: {attempts: 1}\nstages:")
    world = new_world(root, {"interlock.yaml": limited})
    world.ask("run", "-t", "x").ended(3, "attempts: 1 of 1 used", "--raise attempts=N")
    world.ask("resume", "--raise", "attempts=1").ended(3, "code/1.2")
    world.ask("resume", "--raise", "wishes=3").ended(2, "wishes")


def test_a_branch_that_is_there_is_for_a_person(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": f"{ONE}deliver: {{branch: release}}\n"})
    world.git("branch", "release")
    world.ask("run", "-t", "x").ended(3, "release")
    world.git("branch", "-D", "release")
    world.ask("resume").ended(0, "branch release")


def test_a_script_with_the_same_input_is_not_run_again(root: Path) -> None:
    counted = f"version: 1\nname: s\nstages:\n  made:\n    run: echo x >> {root}/runs; echo y > made.txt\n"
    world = new_world(root, {"interlock.yaml": counted})
    world.ask("run", "-t", "x").ended(0)
    world.ask("run", "-t", "x").ended(0, "cached")
    assert (root / "runs").read_text() == "x\n"
    world.ask("run", "-t", "another task").ended(0)
    assert (root / "runs").read_text() == "x\nx\n"


def test_gc_keeps_what_is_unfinished(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ASKS})
    world.ask("run", "-t", "x").ended(3)
    world.ask("gc").ended(0)
    world.ask("approve").ended(0)


# --- on a terminal ----------------------------------------------------------------------------------


@contextmanager
def terminal(world: World, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The program on a terminal of its own."""
    ours, theirs = pty.openpty()
    environ = world.environment(TERM="xterm-256color", COLUMNS="100", LINES="30")
    child = subprocess.Popen(
        [*PROGRAM, *words], cwd=world.repository, env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
        preexec_fn=lambda: _own_terminal(theirs), start_new_session=False,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield child, ours
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        os.close(ours)


def _own_terminal(descriptor: int) -> None:
    os.setsid()
    import fcntl
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def until_there(path: Path) -> None:
    ends = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < ends, f"{path} never came"
        time.sleep(0.05)


def until(descriptor: int, *marks: bytes) -> bytes:
    """What the terminal showed, up to one of `marks`, or to its end."""
    said, silences = b"", 0
    while not any(mark in said for mark in marks):
        if not select.select([descriptor], [], [], 5)[0]:
            silences += 1
            assert silences < 24, f"nothing more comes after {said!r}"
            continue
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            return said
        if not part:
            return said
        said += part
    return said


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="terminals are made differently elsewhere")


@LINUX
def test_on_a_terminal_the_view_is_live(root: Path) -> None:
    world = new_world(root, {"interlock.yaml": ONE})
    with terminal(world, "run", "-t", "x") as (child, screen):
        said = until(screen, b"git merge interlock/")
        assert child.wait(timeout=60) == 0
    assert b"\x1b[" in said
    assert b"code" in said


ASKED = (b"[s]: ", b"branch? [y/N]: ")
INTERRUPTS = {
    "stop": ([b"s\r"], 130, "interrupted"),
    "the word, confirmed": ([b"cancel\r", b"y\r"], 1, "cancelled"),
    "the word, not confirmed": ([b"cancel\r", b"n\r", b"s\r"], 130, "interrupted"),
    "a Ctrl-C in place of confirming": ([b"cancel\r", b"\x03"], 130, "interrupted"),
    # At night: a Ctrl-C stops here as it does above, and a letter is asked again as a word that is not confirmed.
    "a second Ctrl-C": ([b"\x03"], 130, "interrupted"),
    "a letter is not the word": ([b"c\r", b"s\r"], 130, "interrupted"),
}


@LINUX
@pytest.mark.parametrize("name", rest_at_night([*INTERRUPTS], 4))
def test_an_interrupt_asks_what_is_meant(root: Path, name: str) -> None:
    keys, code, phase = INTERRUPTS[name]
    waits = ONE.replace('cp "$BRIEF" brief.txt;', f"touch {root}/begun; sleep 100;")
    world = new_world(root, {"interlock.yaml": waits})
    with terminal(world, "run", "-t", "x", "--plain") as (child, screen):
        until(screen, b"coder works")
        os.write(screen, b"\x03")
        told = b""
        for key in keys:
            told += until(screen, *ASKED)
            os.write(screen, key)
        until(screen, b"next: ")
        assert child.wait(timeout=60) == code
    assert b"running: code/1.1 (" in told
    assert b"it starts again when the run continues" in told
    assert (b"the run is not cancelled" in told) == (b"n\r" in keys)
    assert world.show()["phase"] == phase
    if name == "stop":  # what nobody does is not shown as at work
        assert "interrupted code/1.1 coder" in world.ask("status").text
        assert "working" not in world.ask("show").text


def test_an_interrupt_elsewhere_stops_it_and_it_can_go_on(root: Path) -> None:
    waits = ONE.replace('cp "$BRIEF" brief.txt;', f"test -e {root}/go || sleep 100;")
    world = new_world(root, {"interlock.yaml": waits})
    child = world.start("run", "-t", "x", "--json")
    assert child.stdout is not None
    for line in child.stdout:
        if json.loads(line)["kind"] == "AttemptStarted":
            break
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    (root / "go").touch()
    world.ask("resume").ended(0, "accepted")


def commit_beside(world: World, files: dict[str, str]) -> str:
    """A commit on a branch of the user's own."""
    world.git("checkout", "-q", "-b", "mine")
    commit = world.commit(files)
    world.git("checkout", "-q", "main")
    return commit

"""Supervised programs, on real processes: whatever they do, none is left, and everything has a bound."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interlock.ports import InfrastructureError
from interlock.process import (
    Finished,
    How,
    Supervised,
    controller,
    end_supervised,
    identity,
    kill_tree,
    scrubbed,
    supervise,
)
from interlock.process.spawner import Spawner

Run = Callable[..., Finished]

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")

DAEMON = """
import os, sys, time
hears, says = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1], "a") as pids:
            pids.write(f"{os.getpid()}\\n")
        os.write(says, b"x")
        time.sleep(600)
    os._exit(0)
os.read(hears, 1)
"""


@pytest.fixture(params=["reaper", "portable"])
def by(request: pytest.FixtureRequest) -> Iterator[Spawner]:
    if request.param == "reaper" and sys.platform != "linux":
        pytest.skip("needs a subreaper")
    made = Spawner(os.environ, portable=request.param == "portable")
    yield made
    made.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Supervise a shell line (or an argv) in a folder of its own."""
    (tmp_path / "work").mkdir()

    def start(program: str | tuple[str, ...], cancel: threading.Event | None = None, **given: object) -> Finished:
        argv = ("sh", "-c", program) if isinstance(program, str) else program
        on_output, spawner = given.pop("on_output", None), given.pop("by", None)
        given = {"timeout_s": 60, "env": scrubbed(os.environ), "cwd": tmp_path / "work", **given}
        work = Supervised(argv=argv, **{"log": tmp_path / "log", **given})  # type: ignore[arg-type]
        return supervise(work, cancel or threading.Event(), on_output, spawner)  # type: ignore[arg-type]

    return start


@pytest.fixture
def pids(tmp_path: Path) -> Callable[[], list[int]]:
    return lambda: [int(line) for line in (tmp_path / "pids").read_text().split()]


def dead(numbers: list[int]) -> bool:
    return bool(numbers) and not any(identity(number) for number in numbers)


# --- starting ----------------------------------------------------------------------------------


def test_output_is_merged_and_the_code_returned(run: Run, tmp_path: Path, by: Spawner) -> None:
    heard: list[bytes] = []
    done = run("cat; echo err >&2; exit 3", stdin=b"in ", on_output=heard.append, by=by)
    assert (done.how, done.code, done.tail, done.truncated) == (How.EXITED, 3, b"in err\n", False)
    assert b"".join(heard) == (tmp_path / "log").read_bytes() == b"in err\n"


def test_a_signal_shows_as_a_negative_code(run: Run) -> None:
    assert run("kill -9 $$").code == -9


def test_the_environment_is_what_was_given(run: Run) -> None:
    env = {"PATH": os.environ["PATH"], "NAME": "a=b\nc", "EMPTY": "", "RAW": "\udcff"}
    done = run((sys.executable, "-I", "-S", "-c", "print(open('/proc/self/environ','rb').read())"), env=env)
    expected = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in env.items())
    assert done.tail == repr(expected).encode() + b"\n"


@linux
def test_no_descriptor_of_ours_reaches_the_program(run: Run, tmp_path: Path, by: Spawner) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        done = run((sys.executable, "-I", "-S", "-c", "import os; print(os.listdir('/proc/self/fd'))"), by=by)
    assert done.tail == b"['0', '1', '2', '3']\n"  # 3 is the listing itself


@linux
def test_no_signal_is_ignored_or_blocked(run: Run, by: Spawner) -> None:
    done = run("grep -E '^Sig(Blk|Ign)' /proc/self/status", by=by)
    assert done.tail.split() == [b"SigBlk:", b"0000000000000000", b"SigIgn:", b"0000000000000000"]


def test_a_session_of_its_own(run: Run) -> None:
    code = "import os; print(os.getsid(0) == os.getpid() == os.getpgrp())"
    assert run((sys.executable, "-c", code)).tail == b"True\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no-such-program", b"not on the PATH"),
        ("./missing", b"there is no such file"),
        ("./plain", b"Permission denied"),
        ("./orphan", b"interpreter"),
        ("./empty", b"Exec format"),
    ],
)
def test_a_program_that_cannot_start(run: Run, tmp_path: Path, name: str, says: bytes) -> None:
    (tmp_path / "work" / "plain").write_text("x")
    for script, text in (("orphan", "#!/no/such/interpreter\n"), ("empty", "\x7f")):
        (tmp_path / "work" / script).write_text(text)
        (tmp_path / "work" / script).chmod(0o755)
    done = run((name,))
    assert (done.how, done.code) == (How.NOT_FOUND, None)
    assert name.encode() in done.tail
    assert says in done.tail


def test_a_missing_folder_is_explained(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"cannot work in .*gone: No such file") as raised:
        run("true", cwd=tmp_path / "gone")
    assert raised.value.permanent


def test_a_nul_is_explained(run: Run) -> None:
    with pytest.raises(InfrastructureError, match="NUL"):
        run(("true", "a\0b"))


def test_a_long_argument_list_and_a_long_brief_pass(run: Run) -> None:
    words = tuple("x" * 1000 for _ in range(1000))
    done = run(("sh", "-c", "echo $#; wc -c", "sh", *words), stdin=b"y" * 5_000_000)
    assert done.tail.split() == [b"1000", b"5000000"]


def test_a_program_may_leave_its_stdin_unread(run: Run) -> None:
    assert run("exit 0", stdin=b"y" * 5_000_000).code == 0


def test_many_at_once(tmp_path: Path) -> None:
    found: list[Finished] = []

    def one(number: int) -> None:
        argv = ("sh", "-c", f"exit {number}")
        log = tmp_path / str(number)
        found.append(supervise(Supervised(argv, tmp_path, dict(os.environ), log, 60), threading.Event()))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done.code or 0 for done in found) == list(range(20))


# --- ending the tree ---------------------------------------------------------------------------


@linux
def test_a_daemon_is_dead_after_return(run: Run, tmp_path: Path, pids: Callable[[], list[int]]) -> None:
    assert run((sys.executable, "-c", DAEMON, str(tmp_path / "pids"))).code == 0
    assert dead(pids())


@linux
def test_a_deaf_daemon_is_killed(run: Run, tmp_path: Path, pids: Callable[[], list[int]]) -> None:
    deaf = "import signal\nfor each in (1, 2, 15): signal.signal(each, signal.SIG_IGN)\n"
    assert run((sys.executable, "-c", deaf + DAEMON, str(tmp_path / "pids"))).code == 0
    assert dead(pids())


def test_a_year_is_a_time_limit_like_another(run: Run, by: Spawner) -> None:
    assert run("sleep 0.2", by=by, timeout_s=366 * 86_400.0).code == 0


def test_children_left_in_the_group_are_dead(run: Run, pids: Callable[[], list[int]], by: Spawner) -> None:
    assert run("sleep 600 & echo $! >> ../pids; (sleep 600 & echo $! >> ../pids)", by=by).code == 0
    assert len(pids()) == 2
    assert dead(pids())


def test_a_session_below_a_living_parent_is_dead(run: Run, pids: Callable[[], list[int]], by: Spawner) -> None:
    line = "setsid sh -c 'echo $$ >> ../pids; sleep 600; true' & echo $$ >> ../pids; sleep 600; true"
    assert run(line, by=by, timeout_s=1.5).how is How.TIMED_OUT
    assert len(pids()) == 2
    assert dead(pids())


def test_an_orphan_that_was_seen_with_its_parent_is_dead(run: Run, pids: Callable[[], list[int]], by: Spawner) -> None:
    line = "(setsid sh -c 'echo $$ >> ../pids; exec sleep 600' & sleep 2.5); true"  # portable ones look every second
    assert run(line, by=by).code == 0
    assert dead(pids())


def test_a_stopped_child_is_ended(run: Run, pids: Callable[[], list[int]], by: Spawner) -> None:
    assert run("sleep 600 & echo $! >> ../pids; kill -STOP $!", by=by).code == 0
    assert dead(pids())


def test_a_stopped_child_hears_the_end(run: Run, tmp_path: Path, by: Spawner) -> None:
    child = "trap 'echo heard > ../heard; exit' TERM; kill -STOP $$; sleep 600; true"
    code = f"""
import os, subprocess
child = subprocess.Popen(["sh", "-c", {child!r}])
os.waitid(os.P_PID, child.pid, os.WSTOPPED)
"""
    assert run((sys.executable, "-W", "ignore", "-c", code), by=by).code == 0
    assert (tmp_path / "heard").read_text() == "heard\n"


@linux
def test_a_grandchild_that_holds_the_pipe_does_not_block(run: Run, pids: Callable[[], list[int]]) -> None:
    done = run("setsid sh -c 'trap \"\" TERM; echo held; echo $$ >> ../pids; sleep 600; true' & sleep 0.2")
    assert (done.how, done.tail) == (How.EXITED, b"held\n")
    assert dead(pids())


@linux
def test_a_fork_bomb_is_ended(run: Run, tmp_path: Path) -> None:
    bomb = """
import os, sys, time
for depth in range(6):
    os.fork()
with open(sys.argv[1], "a") as pids:
    pids.write(f"{os.getpid()}\\n")
while True:
    if os.fork() == 0:
        time.sleep(0.05)
        os._exit(0)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
"""
    done = run((sys.executable, "-c", bomb, str(tmp_path / "pids")), timeout_s=1)
    assert done.how is How.TIMED_OUT
    assert dead([int(line) for line in (tmp_path / "pids").read_text().split()])


@linux
def test_a_runner_that_forks_and_exits_is_caught(run: Run) -> None:
    """Each generation lives for a moment only, and always under another pid."""
    done = run(
        (
            sys.executable,
            "-c",
            "import os, signal\nif os.fork(): signal.pause()\nwhile True:\n if os.fork(): os._exit(0)",
        ),
        timeout_s=0.5,
    )
    assert done.how is How.TIMED_OUT


@linux
def test_killing_the_supervisor_leaves_nothing(run: Run, tmp_path: Path, pids: Callable[[], list[int]]) -> None:
    line = f"{sys.executable} -c '{DAEMON}' ../pids; kill -9 $PPID; sleep 600"
    with pytest.raises(InfrastructureError, match="supervisor was killed"):
        run(line)
    assert dead(pids())


@linux
def test_stopping_the_supervisor_does_not_stop_us(
    run: Run, pids: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "_ENDS_MAX_S", 5)
    cancel = threading.Event()
    with pytest.raises(InfrastructureError, match="supervisor was killed"):
        run("echo $$ >> ../pids; kill -STOP $PPID; echo; sleep 600; true", cancel, on_output=lambda _: cancel.set())
    assert dead(pids())


@linux
def test_a_killed_fork_server_is_replaced(run: Run) -> None:
    made = Spawner(os.environ)
    assert run("true", by=made).code == 0
    done = run("kill -9 $(ps -o ppid= -p $PPID); echo still here", by=made)
    assert (done.how, done.tail) == (How.EXITED, b"still here\n")
    assert run("exit 4", by=made).code == 4
    made.close()


@contextmanager
def ids_from(fifo: Path) -> Iterator[Callable[[], list[int]]]:
    """Waits for two ids that programs write there. It stays open: who has opened it to write is never left alone."""
    os.mkfifo(fifo)
    with os.fdopen(os.open(fifo, os.O_RDWR), "rb", buffering=0) as lines:
        yield lambda: [int(lines.readline()) for _ in range(2)]


CONTROLLER = """
import os, sys, threading
from pathlib import Path
from interlock.process import Supervised, supervise
line = "echo $$ > ../fifo; setsid sh -c 'trap \\"\\" TERM; echo $$ > ../fifo; sleep 600; true' & sleep 600; true"
work = Supervised(("sh", "-c", line), Path(sys.argv[1]) / "work", dict(os.environ), Path(sys.argv[1]) / "log", 600)
supervise(work, threading.Event())
"""


@linux
def test_kill_9_of_the_controller_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with ids_from(tmp_path / "fifo") as two:
        controller = subprocess.Popen([sys.executable, "-c", CONTROLLER, str(tmp_path)])
        found = two()
    watched = [os.pidfd_open(number) for number in found]
    controller.kill()
    controller.wait()
    for file in watched:
        assert select.select([file], [], [], 10)[0], "still there 10 s after its controller died"
        os.close(file)


STOPPED = """
import os, sys, threading
from pathlib import Path
from interlock.process import Supervised, supervise
folder = Path(sys.argv[1])
line = "echo $$ > ../fifo; setsid sh -c 'echo $$ > ../fifo; sleep 600; true' & kill -STOP $PPID; sleep 600; true"
work = Supervised(("sh", "-c", line), folder / "work", dict(os.environ), folder / "agent/log", 600)
supervise(work, threading.Event())
"""


@linux
def test_what_a_stopped_supervisor_leaves_is_ended_by_who_clears_the_place(tmp_path: Path) -> None:
    for folder in ("work", "agent"):
        (tmp_path / folder).mkdir()
    with ids_from(tmp_path / "fifo") as two:
        controller = subprocess.Popen([sys.executable, "-c", STOPPED, str(tmp_path)])
        found = two()
    controller.kill()
    controller.wait()
    assert not dead(found)
    end_supervised(tmp_path)
    assert dead(found)
    end_supervised(tmp_path)  # and again, where there is nothing any more


def test_a_note_about_another_process_of_that_pid_ends_nobody(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    other = subprocess.Popen(["sleep", "600"])
    (tmp_path / "agent/supervisor").write_text(f"{other.pid} boot:1")
    end_supervised(tmp_path)
    assert other.poll() is None
    other.kill()
    other.wait()


# --- bounds ------------------------------------------------------------------------------------


def test_the_deadline_ends_it(run: Run, pids: Callable[[], list[int]], by: Spawner) -> None:
    done = run("echo $$ >> ../pids; echo begun; exec sleep 600", timeout_s=3, by=by)  # a shell may say how sleep ended
    assert (done.how, done.code, done.tail) == (How.TIMED_OUT, None, b"begun\n")
    assert dead(pids())


def test_cancel_ends_it(run: Run, pids: Callable[[], list[int]], by: Spawner) -> None:
    cancel = threading.Event()
    done = run("echo $$ >> ../pids; echo begun; exec sleep 600", cancel, on_output=lambda _: cancel.set(), by=by)
    assert (done.how, done.code) == (How.CANCELLED, None)
    assert dead(pids())


def test_a_cancel_lets_it_say_goodbye(run: Run) -> None:
    cancel = threading.Event()
    line = "trap 'echo bye; exit' TERM; echo begun; sleep 600 & wait"
    assert run(line, cancel, on_output=lambda _: cancel.set()).tail == b"begun\nbye\n"


def test_what_on_output_raises_ends_it(run: Run, pids: Callable[[], list[int]]) -> None:
    def refuse(_: bytes) -> None:
        raise KeyError("seen")

    with pytest.raises(KeyError, match="seen"):
        run("echo $$ >> ../pids; echo begun; sleep 600", on_output=refuse)
    assert dead(pids())


def test_silence_ends_it(run: Run) -> None:
    assert run("sleep 600", idle_timeout_s=0.4).how is How.IDLE


@pytest.mark.parametrize(
    "line",
    [
        "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.15; echo $i; done",
        "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.15; echo $i > sub/file; done",
        f"{sys.executable} -c 'import time\nwhile time.process_time() < 1.5: pass'",
    ],
    ids=["output", "file", "cpu"],
)
def test_life_is_seen(run: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "work" / "sub").mkdir()
    done = run(line, idle_timeout_s=0.8, watch=(tmp_path / "work",))
    assert (done.how, done.code) == (How.EXITED, 0)


def test_writes_elsewhere_are_not_life(run: Run) -> None:
    assert run("while true; do sleep 0.3; echo x > ../file; done", idle_timeout_s=1).how is How.IDLE


def test_a_gigabyte_is_bounded(run: Run, tmp_path: Path) -> None:
    done = run("echo first; head -c 1G /dev/zero; echo last", log_bytes_max=1_000_000)
    assert (done.how, done.truncated, len(done.tail)) == (How.EXITED, True, 65_536)
    written = (tmp_path / "log").read_bytes()
    assert written.startswith(b"first\n\0")
    assert written.endswith(b"\0last\n")
    missing = (1 << 30) + len(b"first\nlast\n") - 1_000_000
    assert b"\n[... %d bytes left out ...]\n" % missing in written
    assert len(written) < 1_000_100


def test_a_long_line_of_junk_is_kept_as_it_is(run: Run, tmp_path: Path) -> None:
    junk = bytes(range(256)) * 1000
    (tmp_path / "work" / "junk").write_bytes(junk)
    assert run("cat junk").truncated is False
    assert (tmp_path / "log").read_bytes() == junk


def test_it_may_delete_its_own_folder(run: Run, tmp_path: Path) -> None:
    done = run('rm -rf "$PWD"; echo done', watch=(tmp_path / "work",), idle_timeout_s=5)
    assert (done.code, done.tail) == (0, b"done\n")


def test_a_log_that_cannot_be_written_is_explained(run: Run, pids: Callable[[], list[int]]) -> None:
    with pytest.raises(InfrastructureError, match="cannot write the log /dev/full: No space left"):
        run("echo $$ >> ../pids; echo begun; sleep 600", log=Path("/dev/full"))
    assert dead(pids())


# --- identity ----------------------------------------------------------------------------------


def test_kill_tree_takes_the_children_along(tmp_path: Path) -> None:
    program = subprocess.Popen(["sh", "-c", "setsid sleep 600 & echo $!; sleep 600"], stdout=subprocess.PIPE)
    assert program.stdout is not None
    child = int(program.stdout.readline())
    assert kill_tree(program.pid)
    assert program.wait() == -signal.SIGKILL
    assert dead([child])
    program.stdout.close()

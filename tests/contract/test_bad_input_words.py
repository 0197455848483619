"""What people type, and a journal that is not as it was left: one message, the right code, and nothing changed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest
from tests.contract.bad_input_world import Ground, alive, end, fingerprint, repository
from tests.contract.program import PROGRAM
from tests.nightly import rest_at_night


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path, repository(tmp_path / "project"))
    ground.pipeline()
    return ground


# --- the task --------------------------------------------------------------------------------------

ODD_TASKS = {
    "control characters": b"a\x1b[31mred\x07 \x9b \x7f\r\n::error::x\n\t"
    + "\u202e\u200b".encode()
    + b"\xff\xfe caf\xe9 --help {{ run.id }} {% for %} ${HOME} $(touch pwned) `id` 'q' \"q\"",
    "the most that fits, of wide letters": "\U0001f600".encode() * 25_000,
}


@pytest.mark.parametrize("name", ODD_TASKS)
def test_a_task_is_words_and_nothing_else(ground: Ground, name: str):
    ground.pipeline('printf "%s" "${TASK-}" | wc -c > made.txt; cat > brief.txt')
    said = ground.ask("run", "--plain", stdin=ODD_TASKS[name])
    branch = ground.delivered(said)
    assert ground.content(branch, "brief.txt")
    for answer in (said, ground.ask("show"), ground.ask("list", "--json")):
        assert answer.code == 0
        assert not {0x1B, 0x07, 0x7F, 0x00} & set(answer.out + answer.err), answer.text[:500]
    assert not (ground.repository / "pwned").exists()


def test_a_task_that_cannot_be_taken_is_refused(ground: Ground):
    ground.ask("run", stdin=b"").refused("the task is empty")
    ground.ask("run", "-t", " \n\t").refused("the task is empty")
    ground.ask("run", stdin=b"before\0after").refused("the task contains a NUL character")
    ground.ask("run", stdin="\U0001f600".encode() * 300_000).refused("the task is longer than 100000 bytes", "a file")
    ground.ask("run", "-t", "x", "--task-file", "y").refused("exclude each other")
    ground.ask("run", "--task-file", "nope").refused("--task-file nope", "there is no file nope")
    ground.ask("run", "--task-file", "/dev/zero").refused("the task contains a NUL character")
    (ground.root / "bad").write_bytes(b"\xff")
    ground.ask("run", "--task-file", str(ground.root / "bad")).refused("cannot be read as UTF-8")
    ground.ask("run", "-t", "x", "-i", "nothing").refused("KEY=VALUE")
    ground.ask("run", "-t", "x", "-i", "a=b").refused("no such input")
    ground.ask("run", "-t", "x", "--until", "nope").refused("no such stage", "code")
    assert "no run" in ground.ask("status").text


@pytest.mark.parametrize(
    "words", [("-t", b"caf\xe9"), ("-t", "-"), ("--task-file", "-")], ids=["latin-1", "dash", "stdin"]
)
def test_odd_ways_to_say_it(ground: Ground, words: tuple[str | bytes, ...]):
    assert ground.delivered(ground.ask("run", "--plain", *words, stdin=b"do it"))


@pytest.mark.parametrize("base", rest_at_night(["nope", "--help", "", "HEAD:a.txt", "\x1b[31m"], 2))
def test_a_base_that_is_none_is_refused(ground: Ground, base: str):
    said = ground.ask("run", "-t", "x", "--base", base).refused("base")
    assert b"\x1b" not in said.err


# --- runs by name ----------------------------------------------------------------------------------


def test_a_run_that_is_not_there_or_is_not_the_only_one(ground: Ground):
    ground.ask("show", "nope").refused("no run", "interlock run")
    ground.run()
    ground.run()
    shared = "".join(each[0] for each in takewhile(lambda pair: pair[0] == pair[1], zip(*runs(ground), strict=True)))
    assert len(shared) > 2
    for verb in ("status", "resume"):
        ground.ask(verb, "zzzzzz").refused("zzzzzz")
    ground.ask("status", shared).refused(f"{shared} matches 2 runs", *runs(ground))
    ground.ask("show", "\x1b[31m/../..").refused()
    ground.ask("show", "code/9.9").refused("no attempt code/9.9", "code/1.1")
    ground.ask("logs", "code/1.1", "nope").refused("nope", "done")
    ground.ask("diff", "code/1.1", "nope").refused("nope", "expected base, a stage (code)", "there are code/1.1")
    ground.ask("diff", "code/7.7").refused("has no attempt code/7.7: there are code/1.1")
    ground.ask("retry", "code", "--with", "nope").refused()
    ground.ask("nosuchverb").refused("no such verb")


# --- the journal -----------------------------------------------------------------------------------


def newer(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 999")
    base.close()


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE t (x)")
    base.close()


def half_gone(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def holed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(255 for _ in content[4096:])
    path.write_bytes(content)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def unknown_events(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute("DROP TRIGGER event_is_never_changed")
        base.execute("UPDATE event SET body = 'garbage', kind = 'Nonsense' WHERE seq = 2")
    base.close()


SPOILED: dict[Callable[[Path], None], str] = {
    newer: "upgrade Interlock",
    foreign: "another program",
    half_gone: "damaged",
    holed: "damaged",
    (lambda path: path.write_bytes(os.urandom(5000))): "damaged",  # type: ignore[dict-item]
    a_folder: "journal",
    unknown_events: "journal",
}


def test_a_spoiled_journal_is_named_by_every_verb(ground: Ground):
    assert ground.delivered(ground.run())
    (path,) = ground.state.glob("*/*/journal.db")
    good = path.read_bytes()
    for spoil, words in SPOILED.items():
        spoil(path)
        for verb in (("show",), ("run", "-t", "x")) if spoil in (newer, holed) else (("show",),):
            said = ground.ask(*verb)
            assert said.code == 5, (spoil, said.text)
            assert words in said.text, (spoil, said.text)
            assert "journal" in said.text, (spoil, said.text)
        if path.is_dir():
            path.rmdir()
        for each in path.parent.glob("journal.db*"):
            each.unlink()
        path.write_bytes(good)
    assert ground.ask("show").code == 0


def test_blobs_and_store_that_went_missing_are_named(ground: Ground):
    assert ground.delivered(ground.run())
    (state,) = (path.parent for path in ground.state.glob("*/*/journal.db"))
    (state / "blobs").rename(state / "away")
    for words in (("show",), ("status",), ("list",)):
        assert ground.ask(*words).code in (0, 5)
    logs = ground.ask("logs", "code/1.1")
    logs.refused("evidence", "is missing", "restore it from a backup", code=5)
    (state / "store.git").rename(state / "store.away")
    diff = ground.ask("diff", "base", "code")
    assert diff.code in (2, 5), diff.text
    assert "store" in diff.text
    (state / "away").rename(state / "blobs")
    assert ground.delivered(ground.run())


def test_a_locked_journal_can_be_read_and_is_waited_for(ground: Ground):
    assert ground.delivered(ground.run())
    (path,) = ground.state.glob("*/*/journal.db")
    base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    base.execute("BEGIN IMMEDIATE")
    try:
        assert ground.ask("show").code == 0
        release = threading.Timer(1.0, base.rollback)
        release.start()
        assert ground.delivered(ground.run())
        release.join()
    finally:
        base.close()


# --- interrupts ------------------------------------------------------------------------------------

PHASES = {
    "while it starts": ("", ""),
    "while the agent works": ("touch {root}/here; trap '' TERM INT; sleep 1000", ""),
    "while a gate judges": (
        "echo done > made.txt",
        "[ ! -s made.txt ] || {{ touch {root}/here; trap '' INT; sleep 1000; }}",
    ),
}


@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupt_leaves_a_run_that_can_be_resumed(ground: Ground, phase: str):
    number = signal.SIGTERM if phase == "while a gate judges" else signal.SIGINT
    agent, gate = (line.format(root=ground.root) for line in PHASES[phase])
    ground.pipeline(agent or "echo done > made.txt", gate or "true")
    before = fingerprint(ground.repository)
    program = subprocess.Popen(
        [*PROGRAM, "run", "-t", "x", "--plain"], cwd=ground.repository, env=ground.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        if agent:
            wait_for(ground.root / "here")
        program.send_signal(number)
        out, err = program.communicate(timeout=60)
    finally:
        end(program)
    assert b"Traceback" not in err + out, err
    assert b"defect" not in err, err
    if not agent:  # it may have come before Python could hear of it
        assert program.returncode in (130, -number, 143), err
        return
    ground.untouched(before)
    assert program.returncode == 130, err
    assert b"next: interlock resume" in out
    ground.ask("cancel")
    assert "cancelled" in ground.ask("status").text


def test_ctrl_c_through_the_terminals_whole_group_twice(ground: Ground):
    ground.pipeline(f"trap '' INT TERM; touch {ground.root}/here; sleep 1000")
    before = fingerprint(ground.repository)
    program = subprocess.Popen(
        [*PROGRAM, "run", "-t", "x", "--plain"], cwd=ground.repository, env=ground.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(ground.root / "here")
        os.killpg(program.pid, signal.SIGINT)
        again = threading.Timer(0.3, lambda: program.poll() is None and os.killpg(program.pid, signal.SIGINT))
        again.start()
        out, err = program.communicate(timeout=60)
        again.join()
    finally:
        end(program)
    assert b"Traceback" not in err + out, err
    assert program.returncode == 130, err
    assert alive(ground.root) == []
    ground.untouched(before)


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGTERM, True), (signal.SIGHUP, False)])
def test_started_with_signals_ignored_it_hears_a_kill_and_no_hangup(ground: Ground, number: int, ends: bool):
    """As `nohup interlock run &` starts it."""
    ground.pipeline(f"touch {ground.root}/here; sleep 5; echo done > made.txt")
    deaf = 'trap "" INT HUP; exec "$0" "$@"'
    program = subprocess.Popen(
        ["sh", "-c", deaf, *PROGRAM, "run", "-t", "x", "--plain"], cwd=ground.repository, env=ground.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_for(ground.root / "here")
        program.send_signal(number)
        out, err = program.communicate(timeout=60)
    finally:
        end(program)
    assert program.returncode == (130 if ends else 0), err
    assert (b"next: interlock resume" in out) is ends


def runs(ground: Ground) -> list[str]:
    return [path.stem for path in ground.state.glob("*/*/locks/*.lock")]


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.02)

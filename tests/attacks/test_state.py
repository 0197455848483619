"""Attacks by what an agent's program leaves in its own state, which Interlock reads with the rights of the user. What plays
the program is a script; with the defence taken away, the user has lost something.

Rule: where an attack works, it harms what was laid out for it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.rooms_here import needs_rooms

from interlock.agents import adapters, driven, isolation
from interlock.agents.kinds import goose
from interlock.agents.logs import events, tail
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout, Ended, Outcome, Sandbox

ANSWER = {
    "type": "message",
    "message": {"id": "1", "role": "assistant", "content": [{"type": "text", "text": "Done."}]},
}
SAYS_IT_IS_DONE = f"echo '{json.dumps(ANSWER)}'; echo '{json.dumps({'type': 'complete', 'total_tokens': 5})}'"
FAILS_ONCE = """
mkdir -p $CODEX_HOME/sessions/1/1/1; : > $CODEX_HOME/sessions/1/1/1/rollout-abc.jsonl
echo '{"type":"thread.started","thread_id":"abc"}'
echo '{"type":"item.completed","item":{"type":"agent_message","text":"hi"}}'
echo '{"type":"error","message":"exceeded retry limit, last status: 503 Service Unavailable"}'; exit 1
"""
ENV = {"GOOSE_MODEL": "m", "OPENAI_API_KEY": "sk-test-0123456789"}


@dataclass(frozen=True, slots=True)
class Ground:
    """A user's home, with a link that leads out of it, and an attempt by a program that is a script."""

    home: Path
    checkout: Checkout
    programs: Path

    def work(self, name: str, script: str, timeout_s: int = 60) -> Outcome:
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{script.replace('@home@', str(self.home))}\n")
        program.chmod(0o755)
        made = self.checkout
        env = {**ENV, "PATH": f"{self.programs}:{os.environ['PATH']}", "HOME": made.seen(made.home)}
        brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "m", env, timeout_s, 0, hosts=())
        spec = AgentSpec("own", name, model="m", secrets=("OPENAI_API_KEY",))
        return adapters(os.environ)[name].work(spec, brief, made, threading.Event())


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    home, root, programs = tmp_path / "ann", tmp_path / "place", tmp_path / "bin"
    made = Checkout(root, root / "tree", root / "home", root / "tmp", sandbox=Sandbox("full"))
    for folder in (home, programs, made.tree, made.home, made.tmp):
        folder.mkdir(parents=True)
    (tmp_path / "notes").write_text("of the user")
    (home / "notes").symlink_to(tmp_path / "notes")
    subprocess.run(["git", "init", "-q", str(made.tree)], check=True)
    return Ground(home, made, programs)


def once(folder: Path) -> None:
    """As an earlier version did it: only links that lead to something outside were removed."""
    root = folder.resolve()
    for above, folders, files in os.walk(folder):
        for path in (Path(above, name) for name in (*folders, *files)):
            if path.is_symlink() and path.exists() and not Path(os.path.realpath(path)).is_relative_to(root):
                path.unlink()


@needs_rooms
@pytest.mark.parametrize("hole", [False, True])
def test_a_state_that_is_a_link_to_a_home_removes_nothing_there(
    hole: bool, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hole:
        monkeypatch.setattr(driven, "settle", once)
    outcome = ground.work("goose", f"rm -rf $GOOSE_PATH_ROOT; ln -s @home@ $GOOSE_PATH_ROOT\n{SAYS_IT_IS_DONE}")
    assert outcome.ended is Ended.COMPLETED, outcome
    assert (ground.home / "notes").is_symlink() != hole


@needs_rooms
@pytest.mark.parametrize("hole", [False, True])
def test_through_a_link_to_nothing_no_file_is_made(hole: bool, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings are written again where its session is resumed."""
    if hole:
        monkeypatch.setattr(driven, "settle", once)
    monkeypatch.setattr(driven, "retry_delay_s", lambda outcome, tries: 0.0)
    outcome = ground.work("codex", f"ln -sf @home@/.profile $CODEX_HOME/config.toml\n{FAILS_ONCE}")
    assert outcome.ended is Ended.UNAVAILABLE, outcome
    assert (ground.home / ".profile").exists() == hole


@needs_rooms
def test_a_fifo_in_place_of_a_log_stops_no_clock(ground: Ground) -> None:
    log = "$XDG_DATA_HOME/opencode/log"
    outcome = ground.work("opencode", f"mkdir -p {log}; mkfifo {log}/opencode.log; sleep 60", timeout_s=3)
    assert outcome.ended is Ended.TIMED_OUT


@needs_rooms
def test_deep_folders_in_its_state_end_nothing(ground: Ground) -> None:
    deep = 'python3 -c \'import os\nos.chdir(os.environ["GOOSE_PATH_ROOT"])\nfor _ in range(1500): os.mkdir("a"); os.chdir("a")\''
    assert ground.work("goose", f"{deep}\n{SAYS_IT_IS_DONE}").ended is Ended.COMPLETED


def test_only_folders_regular_files_and_links_inside_are_left(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann/key").write_text("secret")
    state = tmp_path / "one/state"
    (state / "sessions/1").mkdir(parents=True)
    (state / "log").write_text("mine")
    (state / "latest").symlink_to("sessions/1")
    (state / "sessions/1/link").symlink_to("../../log")
    (state / "sessions/1/key").symlink_to(tmp_path / "ann/key")
    (state / "sessions/2").symlink_to(tmp_path / "ann")
    (state / "up").symlink_to("../..")
    (state / "none").symlink_to("/nowhere/at/all")
    (state / "loop").symlink_to("loop")
    os.mkfifo(state / "fifo")
    (state / "closed").mkdir()
    (state / "closed/file").write_text("mine")
    (state / "closed/file").chmod(0)
    (state / "closed").chmod(0)
    isolation.settle(state)
    left = {str(path.relative_to(state)) for path in state.rglob("*")}
    assert left == {"log", "latest", "sessions", "sessions/1", "sessions/1/link", "closed", "closed/file"}
    assert (state / "closed/file").read_text() == "mine"
    assert (tmp_path / "ann/key").read_text() == "secret"


def test_a_state_of_too_many_files_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_ENTRIES_MAX", 10)
    for number in range(5):
        (tmp_path / f"state/{number}").mkdir(parents=True)
        (tmp_path / f"state/{number}/file").touch()
    isolation.settle(tmp_path / "state")
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize("hole", [False, True])
def test_the_log_of_a_program_at_work_is_not_read_through_a_link(hole: bool, tmp_path: Path) -> None:
    state = tmp_path / "agent/state"
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann/log").write_text("secret")
    state.parent.mkdir()
    state.symlink_to(tmp_path / "ann")
    assert tail(state / "log", None if hole else state) == ("secret" if hole else "")


def test_a_line_without_an_end_is_read_in_parts(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        file.truncate(2_000_000_000)
    assert list(events(tmp_path / "log")) == []


def test_a_database_that_never_answers_is_left(tmp_path: Path) -> None:
    path = tmp_path / "data/sessions/sessions.db"
    path.parent.mkdir(parents=True)
    columns = "x as accumulated_input_tokens, x as accumulated_output_tokens, iif(x < 0, 'interlock', '') as name"
    numbers = "with recursive c(x) as (select 1 union all select x + 1 from c)"
    with sqlite3.connect(path) as made:
        made.execute(f"create view sessions as {numbers} select {columns} from c")
    made.close()
    from tests.unit.agents.attempts import request_in

    found: list[object] = []
    ask: Callable[[], None] = lambda: found.append(goose._session_usage(request_in(tmp_path)))  # noqa: E731
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(60)
    assert found == [driven.Usage()]

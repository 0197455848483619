"""The live view of `run` in a real tmux: three sizes, a resize, Ctrl-C; and what an agent says cannot steer it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of
from tests.contract.terminal.world import SIZES, Terminal, opened
from tests.nightly import rest_at_night

PIPELINE = """\
version: 1
name: feature
agents:
  own: {use: command, run: [bash, agent.sh]}
stages:
  code:
    agent: own
    writes: [a.txt]
    gates:
      - {id: done, run: "grep -q two a.txt"}
  ship:
    needs: [code]
    gates:
      - {id: merge, approve: "Merge this?"}
    on_reject: [{pause: true}]
"""
AGENT = r"""printf '\033[2J\033]0;owned\007::error::owned\n'; printf '\033[31mreading the code\033[0m\033]0;owned\007\n'
for _ in $(seq 900); do [ ! -e "$GO" ] || break; sleep 0.1; done
echo two > a.txt
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    pipeline = PIPELINE.replace("agent.sh]", "agent.sh], env: [GO]")
    return new_world(tmp_path / "w", {"interlock.yaml": pipeline, "agent.sh": AGENT, "a.txt": "one\n"})


@pytest.fixture(params=rest_at_night([f"{columns}x{lines}" for columns, lines in SIZES]))
def terminal(world: World, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    made = opened(
        world, ("run", "-t", "Make it two."), tuple(map(int, request.param.split("x"))), GO=str(tmp_path / "go")
    )
    yield made
    made.close()


def test_a_run_is_seen_at_work_and_ends_with_what_it_waits_for(terminal: Terminal, tmp_path: Path) -> None:
    at_work = terminal.until("code", "own", "working", "ship", "│ reading the code", "· done")
    assert "owned" not in at_work
    (tmp_path / "go").touch()
    terminal.until("[a]pprove")
    assert "✓ done" in terminal.screen(history=True)  # a small screen has room for the question alone
    terminal.keys("l")
    code, said = terminal.ended()
    assert code == 3, said
    assert "interlock approve" in said
    assert "owned" not in said


def test_it_survives_a_resize_while_it_works(terminal: Terminal, tmp_path: Path) -> None:
    terminal.until("code", "working")
    for width, height in ((30, 10), (30, 3), (120, 40), (60, 20)):
        terminal.resize(width, height)
        time.sleep(1)  # some drawings
        terminal.until("total")
        assert terminal.screen().count("feature ") == 1, terminal.screen()
    (tmp_path / "go").touch()
    terminal.until("[a]pprove")
    terminal.keys("Escape")
    assert terminal.ended()[0] == 3


def test_ctrl_c_asks_and_the_run_can_be_cancelled(terminal: Terminal, world: World) -> None:
    terminal.until("code", "working")
    terminal.keys("C-c")
    terminal.until("for good [s]:")
    terminal.keys("cancel", "Enter")
    terminal.until("[y/N]")
    terminal.keys("y", "Enter")
    assert terminal.ended()[0] == 1
    assert world.show()["phase"] == "cancelled"


def test_a_second_ctrl_c_stops_and_the_run_can_be_resumed(terminal: Terminal, world: World) -> None:
    terminal.until("code", "working")
    terminal.keys("C-c")
    terminal.until("for good [s]:")
    terminal.keys("C-c")
    assert terminal.ended()[0] == 130
    assert world.show()["phase"] == "interrupted"


def test_an_approval_is_answered_in_place(terminal: Terminal, world: World, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    assert "  1 file, +1 -1, base to ship" in terminal.until("[a]pprove", "ship/1.1 asks:")
    terminal.keys("x")
    terminal.until("type one of the letters")
    terminal.keys("a")
    terminal.until("Approve ship/1.1? [y/N]")
    terminal.keys("n")
    terminal.when(lambda screen: screen.count("[a]pprove") == 3, "the question again")
    terminal.keys("a")
    terminal.when(lambda screen: screen.count("[y/N]") == 2, "the second question")
    terminal.keys("y")
    code, said = terminal.ended()
    assert code == 0, said
    assert world.show()["phase"] == "accepted"


def test_a_question_that_somebody_else_answers_goes_by_itself(terminal: Terminal, world: World, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    terminal.until("[a]pprove")
    terminal.keys("a")
    terminal.until("Approve ship/1.1? [y/N]")
    world.ask("approve")
    code, said = terminal.ended()
    assert code == 0, said
    assert "it was answered elsewhere" in said


def test_a_rejection_in_place_says_why(terminal: Terminal, world: World, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    terminal.until("[a]pprove")
    terminal.keys("r")
    terminal.until("what is wrong (")
    terminal.keys("too short", "Enter")
    assert terminal.ended()[0] == 3
    assert "too short" in world.ask("show", "-v").text


def test_escape_leaves_a_rejection_at_once(terminal: Terminal, world: World, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    terminal.until("[a]pprove")
    terminal.keys("r")
    terminal.until("what is wrong (")
    terminal.keys("too", "Up", "Escape")
    terminal.until("not rejected")
    terminal.keys("r")
    terminal.when(lambda screen: screen.count("what is wrong (") == 2, "the prompt again", history=True)
    terminal.keys("too short", "Enter")
    assert terminal.ended()[0] == 3
    assert "too short" in world.ask("show", "-v").text


@pytest.mark.parametrize("setting", [{"TERM": "dumb"}, {"NO_COLOR": "1"}], ids=["dumb", "no-colour"])
def test_without_colours_nothing_is_coloured(world: World, tmp_path: Path, setting: dict[str, str]) -> None:
    (tmp_path / "go").touch()
    terminal = opened(world, ("run", "-t", "Make it two."), (80, 24), GO=str(tmp_path / "go"), **setting)
    try:
        terminal.until("[a]pprove")
        assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", terminal.screen(history=True, raw=True))
        terminal.keys("d")
        terminal.until("diff --git", "+two", history=True)
        terminal.when(lambda screen: screen.count("ship/1.1 asks:") == 2, "the question after the diff", history=True)
        assert terminal.screen(history=True).count("1 file, +1 -1, base to ship/1.1") == 3
        terminal.keys("a")
        assert terminal.ended()[0] == 0
    finally:
        terminal.close()


# --- while other stages work ------------------------------------------------------------------------

SIDE = """\
  side:
    gates:
      - {id: merge, approve: "Is it right?"}
    on_reject: [{pause: true}]
"""
LATER = "".join(
    f"  t{number}:\n    needs: [{f't{number - 1}' if number else 'ship, side'}]\n"
    "    gates: [{id: ok, run: 'true'}]\n    on_reject: [{pause: true}]\n"
    for number in range(11)
)


@pytest.fixture
def busy(world: World, tmp_path: Path) -> Iterator[Terminal]:
    """14 stages at 80x15: one works, one waits for a person."""
    world.commit({"interlock.yaml": (world.repository / "interlock.yaml").read_text() + SIDE + LATER})
    made = opened(world, ("run", "-t", "Make it two."), (80, 15), GO=str(tmp_path / "go"))
    yield made
    made.close()


def test_a_question_is_answered_with_a_key_while_another_stage_works(busy: Terminal, world: World) -> None:
    seen = busy.until("? side/1.1 waits for you, merge: Is it right?", "[a]pprove", "working", "reading the code")
    assert "stages to come: ship, t0" in seen
    assert len(seen.splitlines()) <= 15
    busy.keys("x")
    busy.until("type one of the letters")
    busy.keys("a")
    busy.until("Approve side/1.1? [y/N]")
    busy.keys("n")
    busy.until("[a]pprove")
    assert stage_of(world.show(), "side")["phase"] == "judging"
    busy.keys("d")
    busy.until("side/1.1 changes nothing", history=True)
    busy.until("[a]pprove")
    busy.keys("a")
    busy.until("✓ side/1.1 approved by you", "✓ side", "working")
    assert stage_of(world.show(), "side")["phase"] == "accepted"


def test_watch_shows_the_same_and_a_rejection_has_its_words(busy: Terminal, world: World) -> None:
    busy.until("[a]pprove", "working")
    other = opened(world, ("watch",), (40, 15), "other")
    try:
        other.until("side/1.1 waits for you", "[a]pprove", "working")
        other.keys("r")
        other.until("what is wrong")
        other.keys("too short", "Enter")
        other.when(lambda screen: "rejected by you" in screen or "side" in screen, "what became of it")
        busy.when(lambda screen: "side/1.1 waits for you" not in screen, "the end of the question")
    finally:
        other.close()
    assert any(reply["answer"]["comment"] == "too short" for reply in world.show()["replies"])


def test_what_is_put_off_is_not_asked_again(busy: Terminal, tmp_path: Path) -> None:
    busy.until("[a]pprove", "working")
    busy.keys("l")
    busy.when(lambda screen: "[a]pprove" not in screen, "the question without its keys")
    assert "interlock approve" in busy.until("side/1.1 waits for you")
    (tmp_path / "go").touch()
    busy.until("ship/1.1: [a]pprove", history=True)


def test_a_key_that_is_held_down_answers_one_question_alone(world: World, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    second = PIPELINE.replace("agent.sh]", "agent.sh], env: [GO]").replace(
        'approve: "Merge this?"}', 'approve: "Merge this?"}\n      - {id: publish, approve: "Publish it?"}'
    )
    world.commit({"interlock.yaml": second})
    made = opened(world, ("run", "-t", "Make it two."), (80, 24), "held", GO=str(tmp_path / "go"), PAGER="cat")
    try:
        made.until("[a]pprove", "Merge this?")
        made.keys("d")
        made.when(lambda screen: screen.count("[a]pprove") == 2, "the question again")
        for _ in range(80):
            made.keys("a")
            time.sleep(0.05)
        assert [wait["gate"] for wait in world.show()["waits"]] == ["ship/publish"]
    finally:
        made.close()

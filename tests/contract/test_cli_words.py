"""What people type first: a task without an option, a pipeline by position, `help`, a run by few letters."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

from interlock import __version__

PIPELINE = """\
version: 1
name: one
stages:
  code:
    run: printf %s "$TASK" > made.txt
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path, {".interlock/pipelines/quick.yaml": PIPELINE})


def made(world: World, *words: str) -> str:
    """What the task was, as the run made it."""
    world.ask("run", *words).ended(0, "accepted")
    return world.git("show", f"{world.show('@')['branch']}:made.txt")


def test_the_task_is_a_word_by_position_or_a_file_behind_an_at(world: World) -> None:
    assert made(world, "fix it") == "fix it"
    (world.repository / "task.txt").write_text("from a file")
    assert made(world, "-t", "@task.txt") == "from a file"
    assert made(world, "@task.txt", "-p", "quick") == "from a file"
    world.ask("run", "-", stdin="from standard input").ended(0, "accepted")
    assert world.git("show", f"{world.show('@')['branch']}:made.txt") == "from standard input"


def test_what_cannot_be_the_task_is_told(world: World) -> None:
    world.ask("run", "fix", "it").ended(2, "2 words: quote the task, as in `interlock run 'fix it'`")
    world.ask("run", "quick", "fix it").ended(2, "quick is a pipeline, not a task: `interlock run -p quick 'fix it'`")
    world.ask("run", "-p", "quick", "fix", "it").ended(2, "quote the task, as in `interlock run -p quick 'fix it'`")
    world.ask("run", "quick").ended(2, "quick is a pipeline, not a task: `interlock run -p quick TASK`")
    world.ask("run", "fix it", "-t", "fix it").ended(2, "two tasks are given")
    world.ask("run", "@nobody").ended(
        2, "@nobody: there is no file nobody", "pass a task that begins with @ on standard input"
    )
    world.ask("list").ended(0, "no runs in this repository yet")


@pytest.mark.parametrize("verb", ["plan", "validate"])
def test_a_pipeline_is_named_by_its_position(world: World, verb: str) -> None:
    world.ask(verb, "quick").ended(0)
    world.ask(verb, "quack").ended(2, "quack", "quick")
    world.ask(verb, "quick", "-p", "quick").ended(2, "both name a pipeline")


def test_where_there_are_several_pipelines_a_command_to_type_is_said(world: World) -> None:
    world.commit({".interlock/pipelines/chore.yaml": PIPELINE})
    for words, right in (
        (["run", "fix it"], "run -p quick 'fix it'"),
        (["run", "-t", "--\ntwo"], "run -p quick TASK"),
        (["plan"], "plan -p quick"),
    ):
        said = "there is more than one pipeline (chore, quick): choose one, as in `interlock"
        world.ask(*words).ended(2, f"{said} {right}`")


def test_help_and_version_answer_as_git_does(world: World) -> None:
    assert world.ask("help").ended(0).out == world.ask("--help").out == world.ask().ended(0).out
    assert world.ask("help", "run").ended(0).out == world.ask("run", "--help").out
    world.ask("help", "rum").ended(2, "no such verb: rum (did you mean run?)")
    assert world.ask("nosuchverb").ended(2).err == "error: no such verb: nosuchverb: see `interlock --help`\n"
    for words in (["-v"], ["--version"], ["-V"], ["-C", ".", "-v"]):
        assert world.ask(*words).ended(0).out == f"interlock {__version__}\n"


def test_a_run_is_named_by_few_letters(world: World) -> None:
    for task in ("first", "second"):
        world.ask("run", task).ended(0)
    newest, oldest = (run["id"] for run in world.ask("list", "--json").json()["runs"])
    words = {"show": (), "status": (), "logs": ("code",), "diff": ("code",), "export": (), "watch": ("--plain",)}
    for verb, rest in words.items():
        assert world.ask(verb, "@", *rest).ended(0).out == world.ask(verb, newest, *rest).out
        assert world.ask(verb, "@-1", *rest).ended(0).out == world.ask(verb, oldest, *rest).out
    assert world.ask("show", "@-1/code/1.1").ended(0).out == world.ask("show", oldest, "code/1.1").out
    assert world.ask("show", "@-1/code").ended(0).out == world.ask("show", oldest, "code").out
    assert world.show(newest[:-1])["id"] == newest
    world.ask("resume", "@-1").ended(0, f"run {oldest} has ended")
    world.ask("cancel", "@").ended(
        2, f"run {newest} has ended: it is accepted", f"use `git branch -D interlock/{newest}`"
    )
    world.ask("status", "2").ended(2, f"2 matches 2 runs: {newest}, {oldest}: type more of the id")
    world.ask("status", "@-2").ended(2, f"the oldest is {oldest}, or @-1")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("interlock status ", {"@", "@-1"}),
        ("interlock show @ ", {"code"}),
        ("interlock show c", {"code"}),
        ("interlock plan q", {"quick"}),
        ("interlock run -p ", {"quick"}),
    ],
)
def test_a_shell_offers_runs_stages_and_pipelines(world: World, typed: str, offered: set[str]) -> None:
    for task in ("first", "second"):
        world.ask("run", task).ended(0)
    *_, last = words = typed.split(" ")
    environ = {"_INTERLOCK_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    said = {line.partition(",")[2] for line in world.ask(**environ).out.splitlines()}
    assert offered <= said
    assert all(word.startswith(last) for word in said)

"""An error over MCP names tools where the same error on the command line names commands."""

from __future__ import annotations

from pathlib import Path

from interlock.mcp.tools import Program

_PAUSED = """nothing in run R waits for an approval: code is paused (attempts). One of:
  interlock retry R code -m "what to do differently"
  interlock retry R code --with COMMIT
  interlock accept R code/1.1 --override
  interlock cancel R"""


def said(words: str, *, answers: bool) -> list[str]:
    return str(Program(Path(), {}, answers=answers).error(words)).split("\n")


def test_a_refused_answer_names_the_next_tool() -> None:
    assert said(_PAUSED, answers=True)[1:] == [
        '  `answer` with action="retry"',
        "  tell a person, who alone may accept it: `get_run` shows where it is",
        '  `answer` with action="cancel"',
    ]
    assert said(_PAUSED, answers=False)[1] == "  tell a person, who alone may retry it: `get_run` shows where it is"


def test_a_next_step_is_a_tool() -> None:
    assert said("it is running\nnext: interlock watch R", answers=True) == ["it is running", "next: `get_run`"]
    (_, step) = said("it is interrupted\nnext: interlock resume R", answers=True)
    assert step == "next: tell a person, who alone may resume it: `get_run` shows where it is"


def test_other_words_stay() -> None:
    assert said("a line\na line\nthe interlock run", answers=True) == ["a line", "a line", "the interlock run"]

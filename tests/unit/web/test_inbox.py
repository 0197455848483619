"""The list as an inbox: what needs a person comes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.readmodel.run import RunPhase, unreadable
from interlock.web.inbox import fits, groups, progress_words
from interlock.web.standing import standing, state_word

RUN = replace(
    unreadable("20261126-abc", "", damaged=False), phase=RunPhase.RUNNING, pipeline="feature", task="Fix the parser"
)


def test_what_needs_a_person_comes_first_and_each_group_keeps_the_order() -> None:
    runs = [replace(RUN, id=str(number), phase=phase) for number, phase in enumerate(RunPhase)]
    found = [(group.title, [run.phase for run in group.runs]) for group in groups(runs)]
    assert found == [
        ("Needs you", ["waiting", "interrupted", "damaged"]),
        ("Running", ["running", "sleeping"]),
        ("Finished", ["accepted", "cancelled", "stopped", "unreadable"]),
    ]
    assert list(groups([])) == []


@pytest.mark.parametrize(
    ("words", "phase", "expected"),
    [
        ("", "", True),
        ("parser FIX", "", True),
        ("parser", "running", True),
        ("parser", "accepted", False),
        ("feature abc", "", True),
        ("parser lexer", "", False),
    ],
)
def test_every_word_must_be_there(words: str, phase: str, expected: bool) -> None:
    assert fits(RUN, words, phase) is expected


def test_a_run_that_waits_is_never_told_as_one_that_passed() -> None:
    words = {state_word(replace(RUN, phase=phase)) for phase in RunPhase}
    assert len(words) == len(RunPhase)
    assert state_word(replace(RUN, phase=RunPhase.WAITING)) == "paused, needs you"


@pytest.mark.parametrize("phase", RunPhase)
def test_the_list_says_the_word_of_the_page(phase: RunPhase) -> None:
    run = replace(RUN, phase=phase)
    assert state_word(run) == standing(run).word.lower()


def test_the_bar_of_stages_says_in_words_what_it_shows() -> None:
    assert progress_words(replace(RUN, progress=(("plan", "accepted"), ("code", "asked")))) == (
        "plan accepted, code waiting for you"
    )

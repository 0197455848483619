"""Names of branches."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from interlock.core.admission import admit
from interlock.core.events import Action, AnswerTaken, DeliveryBegun, Paused, PauseReason, RunStarted
from interlock.core.state import RunState
from interlock.text.names import PART_BYTES_MAX, is_branch

NAMES = (
    "main", "a/b", "interlock/20260102-030405-k3x9qd", "a/-b", "a.b", "@a", "a@", "a{b", "ä/ö", "a.lock.b", "a'b",
    "HEADS", "", "-x", "a/", "/a", "a//b", ".a", "a/.b", "a..b", "a.", "a.lock", "a.lock/b", "a@{b", "a b", "a\tb",
    "a\x7f", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "HEAD", "a\nb",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_git_takes_is_a_branch_and_nothing_else(name: str) -> None:
    said = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)
    assert is_branch(name) is (said.returncode == 0 and said.stdout.decode().rstrip("\n") == name)


def test_no_part_is_longer_than_a_file_name_may_be() -> None:
    assert is_branch(f"a/{'x' * PART_BYTES_MAX}/{'y' * PART_BYTES_MAX}")
    assert not is_branch(f"a/{'x' * (PART_BYTES_MAX + 1)}")
    assert not is_branch("ä" * (PART_BYTES_MAX // 2 + 1))
    assert not is_branch("\udc80")
    assert not is_branch("@")  # which means HEAD


BEGAN = RunState(started=RunStarted("r", "p", "d", "task", "c", "t", ()))
PAUSED = Paused("", PauseReason.DELIVERY, "why")
BEGUN = DeliveryBegun("one", "c", "s")


@pytest.mark.parametrize(
    ("state", "name", "why"),
    [
        (replace(BEGAN, pause=PAUSED), "two", ""),
        (replace(BEGAN, pause=PAUSED), "a b", "'a b' is not a valid branch name"),
        (replace(BEGAN, pause=PAUSED, delivering=BEGUN), "two", "branch one may already exist"),
        (replace(BEGAN, pause=PAUSED, delivering=BEGUN), "", ""),
        (replace(BEGAN, delivering=BEGUN), "two", "branch one is being delivered"),
    ],
)
def test_another_name_is_taken_where_no_branch_may_be_there(state: RunState, name: str, why: str) -> None:
    assert admit(state, AnswerTaken("1", Action.CONTINUE, "me", branch=name)) == why


def test_a_delivery_that_had_the_former_name_in_mind_does_not_begin() -> None:
    assert admit(replace(BEGAN, branch="two"), BEGUN) == "a person said branch two"

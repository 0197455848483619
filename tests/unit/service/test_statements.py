"""How two statements differ, in the words of a person."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from interlock.service.statements import differences

STATEMENT: dict[str, Any] = {
    "subject": [{"name": "r1/code/1.1", "digest": {"gitTree": "t"}}],
    "predicate": {
        "policy": {"digest": {"sha256": "p"}},
        "inputAttestations": [{"digest": {"sha256": "a"}}],
        "interlock": {
            "attempt": {"model": "m"},
            "accepted_by": "",
            "verdicts": [{"gate": "code/a", "status": "passed"}, {"gate": "code/b", "status": "passed"}],
        },
    },
}


def changed(change: Callable[[dict[str, Any]], object]) -> list[str]:
    told = copy.deepcopy(STATEMENT)
    change(told)
    return differences(STATEMENT, told)


def test_the_same_does_not_differ() -> None:
    assert differences(STATEMENT, copy.deepcopy(STATEMENT)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it["subject"][0]["digest"].update(gitTree="u"), "the commit or tree was changed"),
        (lambda it: it["predicate"]["policy"]["digest"].update(sha256="q"), "the policy was changed: signed p, the"),
        (lambda it: it["predicate"]["inputAttestations"].clear(), "the records of its inputs, or their order was"),
        (lambda it: it["predicate"]["interlock"]["attempt"].update(model="n"), "the attempt was changed: signed m"),
        (lambda it: it["predicate"]["interlock"].update(accepted_by="ann"), "predicate.interlock.accepted_by was"),
        (lambda it: it["predicate"]["interlock"]["verdicts"][1].update(status="failed"), "the verdict of code/b was"),
        (lambda it: it["predicate"]["interlock"]["verdicts"].pop(), "the verdicts, or their order was changed"),
        (lambda it: it["predicate"]["interlock"]["verdicts"].reverse(), "the verdicts, or their order was changed"),
        (lambda it: it.update(more=1), "more was changed: signed None, the history says 1"),
        (lambda it: it["predicate"]["interlock"].update(verdicts=5), "the verdicts, or their order was changed"),
    ],
)
def test_a_difference_is_named_once(change: Callable[[dict[str, Any]], object], words: str) -> None:
    (said,) = changed(change)
    assert said.startswith(words)


def test_another_handoff_is_named_as_that() -> None:
    assert changed(lambda it: it["subject"][0].update(name="r1/plan/1.1")) == [
        "it is the record of r1/code/1.1, not of r1/plan/1.1"
    ]


def test_no_more_than_four_are_told() -> None:
    said = changed(lambda it: it.update({str(number): number for number in range(7)}))
    assert (len(said), said[-1]) == (5, "and 3 more")


def test_values_of_anybody_are_made_plain_and_short() -> None:
    (said,) = differences({"x": "\x1b[31m" + "y" * 200}, {"x": 1})
    assert "\x1b" not in said
    assert len(said) < 150


def test_true_is_not_one() -> None:
    assert differences({"x": True}, {"x": 1}) != []

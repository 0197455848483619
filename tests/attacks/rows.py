"""A row of a table: one change of one agent, and what has to come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from tests.attacks.arena import Arena, Outcome

# Classes that nothing stops at the level `none` in the product's own process. What holds for each is a test of its own.
LIES = "lies to a test in its own process"
SPECIAL = "answers what the tests that it knows ask"
CHOOSES = "bends the tests that it knows, or that load it, and leaves the canary alone"


@dataclass(frozen=True)
class Attack:
    """`files` are left by the agent beside the broken product; `stopped` is GATE/RULE, or GATE, that has to say no; empty: any.
    `open_class` names the class of what is accepted falsely at this level."""

    id: str
    files: Mapping[str, Any]
    stopped: str = ""
    open_class: str = ""


@dataclass(frozen=True)
class Honest:
    """`files` are left by the agent, whose product is right; the run has to accept them."""

    id: str
    files: Mapping[str, Any]


Find = Callable[[str], Arena]


def each(rows: list[Attack] | list[Honest], pending: Mapping[str, str] | None = None) -> pytest.MarkDecorator:
    """A test for each row; the first that expects an answer runs at every push, the others like it at night.
    `pending` names rows that wait for something, with what."""
    waits = pending or {}
    seen: set[tuple[str, str]] = set()
    params = []
    for row in rows:
        answer = (row.stopped, row.open_class) if isinstance(row, Attack) else ("", "")
        marks = [pytest.mark.nightly] if answer in seen else []
        marks += [pytest.mark.xfail(reason=waits[row.id])] if row.id in waits else []
        params.append(pytest.param(row, id=row.id, marks=marks))
        seen.add(answer)
    return pytest.mark.parametrize("row", params)


def attack(arena: Arena, row: Attack) -> Outcome:
    """The row with the broken product, unless it writes that itself."""
    outcome = arena.attack({arena.shape.product: arena.shape.broken, **row.files})
    assert outcome.false == bool(row.open_class), outcome.told()
    assert not row.stopped or said_no(outcome, row.stopped), f"not by {row.stopped}: {outcome.told()}"
    return outcome


def said_no(outcome: Outcome, stopped: str) -> bool:
    gate, _, rule = stopped.partition("/")
    rules = outcome.rejected_by(gate)
    return rule in rules if rule else bool(rules)

"""Each program has a row of facts and an adapter, and each adapter that drives a program has a row."""

from __future__ import annotations

from interlock.agents import adapters
from interlock.core.programs import PROGRAMS

_OTHERS = {"acp", "command", "model", "scripted"}  # which drive no program of their own


def test_a_row_for_each_adapter_and_an_adapter_for_each_row() -> None:
    assert {one.name for one in PROGRAMS} | _OTHERS == set(adapters({}))

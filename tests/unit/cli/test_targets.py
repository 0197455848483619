"""Which words after a verb name a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from interlock.cli.targets import find_run
from interlock.ports import UsageError


def test_a_word_that_names_nothing_is_said_to_be_no_run() -> None:
    def none_fits(name: str) -> Any:
        raise UsageError("no run fits")

    def found(word: str, *runs: str) -> str:
        service: Any = SimpleNamespace(describe_run=None, run_ids=lambda: runs, stages_of_newest=lambda: ("code",))
        with pytest.raises(UsageError) as told:
            find_run(service, (word,), none_fits)
        return str(told.value)

    assert found("nosuch", "0102-r") == "no run has the name nosuch: `interlock list` shows all runs"
    assert [found("code", "0102-r"), found("base", "0102-r"), found("nosuch")] == ["no run fits"] * 3

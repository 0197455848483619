"""Which of the real programs a push runs: codex, claude and aider, and of aider what nothing else says of it.

ALL_AGENTS=1 runs all that are installed, as a night does.
"""

from __future__ import annotations

import os

import pytest

_AT_NIGHT = {"mini", "gemini", "opencode", "goose", "qwen", "codex-acp", "claude-agent-acp"}
# Aider takes seconds to start, and tries again for as long as it is let.
_OF_AIDER = {
    "test_a_brief_longer_than_an_argument_may_be",
    "test_a_failing_model[aider-cut-unavailable-False]",
    "test_a_failing_model[aider-down-unavailable-False]",
    "test_a_model_that_never_answers_is_a_timeout",
    "test_no_change_at_all_is_completed_and_changes_nothing",
    "test_no_credit_is_out_of_budget[aider-quota]",
    "test_prose_of_a_reviewer_is_no_answer",
}


def pytest_itemcollected(item: pytest.Item) -> None:
    if os.environ.get("ALL_AGENTS") == "1" or not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return
    words = {word.partition(" ")[0] for word in item.callspec.params.values() if isinstance(word, str)}
    if words & _AT_NIGHT or ("aider" in words and {item.name, item.originalname} & _OF_AIDER):
        item.add_marker(pytest.mark.nightly)

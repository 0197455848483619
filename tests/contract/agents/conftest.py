"""What the tests of real programs share: each program, a checkout, and the scripted model server.

A push runs codex, claude and aider, and of aider only tests that no other program covers. ALL_AGENTS=1 runs every
installed program, as at night.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.agents.world import KEYS, bin_of, checkout_in
from tests.model_server.server import ModelServer, serving

from interlock.ports import Checkout

_AT_NIGHT = {"mini", "gemini", "opencode", "goose", "qwen", "codex-acp", "claude-agent-acp"}
# Aider takes seconds to start, and tries again for as long as it is let.
_OF_AIDER = {
    "test_a_real_program_works_behind_a_fence",
    "test_a_real_program_works_in_a_room",
    "test_a_brief_longer_than_an_argument_may_be",
    "test_a_failing_model[aider-cut-unavailable-False]",
    "test_a_failing_model[aider-down-unavailable-False]",
    "test_a_failing_model[aider-limit-rate_limited-False]",
    "test_a_model_that_never_answers_is_a_timeout",
    "test_no_change_at_all_is_completed_and_changes_nothing",
    "test_no_credit_is_out_of_budget[aider-quota]",
    "test_prose_of_a_reviewer_is_no_answer",
}
# Of the others: each waits for seconds while a program tries again, and ends as another row does for the same reason.
_LIKE_OTHERS = {
    # `cut` after the first call ends as `down` does; of a first call it is the other way round.
    "test_what_fails_after_the_first_call_is_no_success[claude-cut-unavailable-False]",
    "test_what_fails_after_the_first_call_is_no_success[codex-cut-unavailable-False]",
    "test_a_failing_model[claude-down-unavailable-False]",
    "test_a_failing_model[codex-down-unavailable-False]",
    # A limit that codex waits for in silence: after the first call, too.
    "test_a_failing_model[codex-limit-rate_limited-False]",
    # The words of a provider without credit and of one with a used-up quota are told apart in unit tests.
    "test_no_credit_is_out_of_budget[aider-credit]",
    "test_no_credit_is_out_of_budget[claude-quota]",
}


def pytest_itemcollected(item: pytest.Item) -> None:
    if os.environ.get("ALL_AGENTS") == "1" or not isinstance(item, pytest.Function):
        return
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    words = {value.partition(" ")[0] for value in values if isinstance(value, str)}
    late = (words | {*item.originalname.split("_")}) & _AT_NIGHT or item.name in _LIKE_OTHERS
    if late or ("aider" in words and {item.name, item.originalname} & _OF_AIDER):
        item.add_marker(pytest.mark.nightly)


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    """It plays the SCENARIOS of the test's module."""
    with serving(request.module.SCENARIOS) as server:
        yield server


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return checkout_in(tmp_path / "place")


@pytest.fixture(params=KEYS)
def name(request: pytest.FixtureRequest) -> str:
    """Each program; a test names others by `indirect`. Skipped if it is not installed."""
    bin_of(request.param)
    return str(request.param)

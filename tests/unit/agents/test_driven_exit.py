"""A known program that cannot be started by the shell is not tried again."""

from __future__ import annotations

import pytest

from interlock.agents.driven import Told, _exited
from interlock.ports import Ended, Outcome
from interlock.process import Finished, How


@pytest.mark.parametrize(("code", "permanent"), [(1, False), (126, True), (127, True)])
def test_a_command_that_is_not_there_is_for_a_person(code: int, permanent: bool) -> None:
    finished = Finished(How.EXITED, code, 0.0, truncated=False, tail=b"env: node: No such file or directory\n")
    outcome = _exited("claude", finished, Told(), Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.CRASHED, permanent)


def test_what_the_endpoint_said_goes_before_the_exit_code() -> None:
    finished = Finished(How.EXITED, 127, 0.0, truncated=False, tail=b"")
    outcome = _exited("claude", finished, Told(trouble="status 500", status=500), Outcome(Ended.COMPLETED))
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, False)

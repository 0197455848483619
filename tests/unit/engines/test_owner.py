"""A run's lock and its fence change hands together, while nobody is in an effect that cannot be undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from interlock.engines.owner import Owner
from interlock.ports import InfrastructureError


class Calls(list[str]):
    """What happens, in order. `seized` is true where another one has taken the run since the lock was got."""

    seized = False

    @contextmanager
    def around(self, what: str, run: str) -> Iterator[Calls]:
        self.append(what)
        yield self
        self.append(f"end of {what}")

    def check(self) -> None:
        self.append("check")
        if self.seized:
            raise InfrastructureError("r1 is being run by process 1")

    def take(self, run: str) -> int:
        self.append("fence")
        return 7


def owner(calls: Calls) -> Owner:
    nothing: Any = None
    journal: Any = calls
    return Owner(
        nothing,
        journal,
        lock=lambda run: calls.around("lock", run),
        seize=lambda run: calls.around("seize", run),
        state_of=lambda run: pytest.fail("it is not read here"),
        pipeline_of=lambda run: pytest.fail("it is not read here"),
        name="me",
        effects=lambda run: calls.around("effects", run),
    )


@pytest.mark.parametrize(("take_over", "wanted"), [
    (False, ["lock", "effects", "check", "fence", "end of effects", "work", "end of lock"]),
    (True, ["effects", "fence", "seize", "end of effects", "work", "end of seize"]),
])  # fmt: skip
def test_both_are_held_to_the_end(take_over: bool, wanted: list[str]) -> None:
    calls = Calls()
    with owner(calls)._owned("r1", take_over=take_over) as fence:
        calls.append("work")
    assert (fence, calls) == (7, wanted)


def test_a_lock_that_was_seized_at_that_moment_takes_no_run() -> None:
    calls = Calls()
    calls.seized = True
    with pytest.raises(InfrastructureError, match="process 1"), owner(calls)._owned("r1", take_over=False):
        pytest.fail("it does not own it")
    assert "fence" not in calls

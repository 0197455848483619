"""What is started, and what waits for what is in flight."""

from __future__ import annotations

from interlock.core.effects import DeliverBranch, FinishRun, PrepareInput
from interlock.core.events import RunStatus
from interlock.core.ids import AttemptId
from interlock.engines.reconcile import reconcile

END = FinishRun(RunStatus.CANCELLED, "cancelled by somebody")


def test_a_run_ends_once_nothing_of_it_is_in_flight() -> None:
    at_work = (DeliverBranch("c1", (), 1), PrepareInput(AttemptId("code", 1, 0), ("c1",), 1))
    turn = reconcile((END,), at_work, 4)
    assert turn.cancel == at_work
    assert turn.start == ()
    assert not turn.rests
    assert reconcile((END,), (), 4).start == (END,)

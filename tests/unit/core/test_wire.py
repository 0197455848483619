"""Commands travel: they are written down and read again, and their keys say which effect they are."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from interlock.core.codec import NewerFormat
from interlock.core.effects import AcceptHandoff, DeliverBranch, EvaluateGate, Remaining, StartAttempt, key
from interlock.core.events import DeliveryBegun, Finding, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.wire import decode_effect, encode_effect
from interlock.engines.reconcile import reconcile

ATTEMPT = AttemptId("code", 1, 2)
START = StartAttempt(ATTEMPT, "coder", "c0", "t0", feedback=("f1",), sides=(("a", "c1"),), broken=(Finding("r", "m"),))
NO = VerdictGiven(ATTEMPT, "code/test", 1, VerdictStatus.FAILED, (Finding("r", "m"),))
REVIEW = EvaluateGate(ATTEMPT, "code/review", 1, "c2", "t2", "c0", "t0", hard_verdicts=(NO,), former=NO)
ACCEPT = AcceptHandoff(ATTEMPT, "c2", "t2", "t0", (NO,), "", "", 1)
DELIVER = DeliverBranch("c2", ("c1", "c2"), 1, begun=DeliveryBegun("b", "d", "c2"))


@pytest.mark.parametrize("effect", [START, REVIEW, ACCEPT, DELIVER], ids=lambda effect: type(effect).__name__)
def test_a_command_is_read_back_as_it_was(effect) -> None:
    assert decode_effect(encode_effect(effect)) == effect


@pytest.mark.parametrize("remaining", [Remaining(), Remaining(5.0), Remaining(cost_usd=0.25), Remaining(0.0, 0.0)])
def test_limits_that_are_not_there_are_written_without_infinite_numbers(remaining: Remaining) -> None:
    effect = replace(START, remaining=remaining)
    text = encode_effect(effect)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert decode_effect(text) == effect


@pytest.mark.parametrize("text", ['["Dance",["code/1.2"]]', '["Pause",["code","boredom",""]]', '["Pause",[1,2,3,4]]'])
def test_a_command_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(NewerFormat):
        decode_effect(text)


def test_what_only_says_more_does_not_make_another_effect() -> None:
    assert key(START) == "StartAttempt code/1.2"
    assert key(replace(START, remaining=Remaining(1.0), errors=3)) == key(START)
    assert key(replace(DELIVER, begun=None, number=2)) == key(DELIVER)
    turn = reconcile((replace(START, remaining=Remaining(1.0)),), (START,), 4)
    assert (turn.start, turn.cancel) == ((), ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (START, replace(START, attempt=AttemptId("code", 2, 2))),
        (REVIEW, replace(REVIEW, number=2)),
        (REVIEW, replace(REVIEW, gate="code/test")),
        (ACCEPT, replace(ACCEPT, by="ann")),
        (ACCEPT, replace(ACCEPT, override_by="ann")),
        (DELIVER, replace(DELIVER, branch="other")),
    ],
)
def test_another_try_subject_or_answer_is_another_effect(one, other) -> None:
    assert key(one) != key(other)
    turn = reconcile((other,), (one,), 4)
    assert turn.cancel == (one,)

"""The past of a run, from its events alone: attempts as they were told, by stage and oldest first."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.core.histories import ACCEPTED, ASKED, ONE, PASSED, PIPELINE, READY, REJECTED, SECOND, TWO, verdict

from interlock.core.events import (
    Action,
    AnswerTaken,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    Event,
    Evidence,
    Finding,
    HandoffAccepted,
    OwnerChanged,
    Recorded,
    Refused,
    SentBack,
    StageSkipped,
    Usage,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import input_of
from interlock.readmodel.history import AttemptPhase, AttemptView, History, Reply, VerdictView, taken_before
from interlock.readmodel.run import describe

USAGE, EVIDENCE = Usage(3, 4, cost_usd=0.5), (Evidence("log", "d", 9),)
STARTED = AttemptStarted(ONE, "coder", "model-1", "t0", by="ann")
WORKING = AttemptView(ONE, AttemptPhase.WORKING, "coder", "model-1", "ann", "t0", 4.0)


def seen(*events: Event) -> History:
    history = History()
    history.gather([Recorded(seq, float(seq), event) for seq, event in enumerate(events, 1)])
    return history


def newest(*events: Event) -> AttemptView:
    return seen(*events).past.of_stage("code")[-1]


def test_an_attempt_that_ends_without_a_candidate_says_why() -> None:
    assert newest(*READY, STARTED) == WORKING
    lost = newest(*READY, STARTED, AttemptLost(ONE, "its process has ended"))
    assert lost == replace(WORKING, phase=AttemptPhase.LOST, ended_at=5.0, why="its process has ended")
    errored = AttemptErrored(ONE, "crashed", 9.0, usage=USAGE, evidence=EVIDENCE, notes=("note",))
    assert newest(*READY, STARTED, errored) == replace(
        WORKING,
        phase=AttemptPhase.ERRORED,
        ended_at=5.0,
        why="crashed",
        usage=USAGE,
        evidence=EVIDENCE,
        notes=("note",),
    )


def test_a_candidate_its_refusal_and_its_verdicts_are_kept_with_their_times() -> None:
    later, unfit = verdict("test"), (Finding("scope.size", "too large"),)
    made = CandidateProduced(ONE, "c1", "t1", claim="I did it", outcome="done", usage=USAGE, evidence=EVIDENCE)
    made = replace(made, cached=True, notes=("note",), unfit=unfit)
    refusal = VerdictGiven(ONE, "code/scope", 1, VerdictStatus.FAILED, unfit, tree="t1")
    view = newest(*READY, STARTED, made, later)
    assert view == replace(
        WORKING,
        phase=AttemptPhase.JUDGING,
        ended_at=5.0,
        commit="c1",
        tree="t1",
        outcome="done",
        claim="I did it",
        usage=USAGE,
        evidence=EVIDENCE,
        cached=True,
        notes=("note",),
        verdicts=(VerdictView(5.0, refusal), VerdictView(6.0, later)),
    )


def test_what_waits_for_a_person_waits_until_it_is_answered_or_decided() -> None:
    assert newest(*ASKED).asked == ("code/look",)
    yes = AnswerTaken("a1", Action.APPROVE, "ann", stage="code", subject=ONE, gate="code/look")
    answered = seen(*ASKED, yes)
    view = answered.past.of_stage("code")[0]
    assert (view.asked, [reply.answer for reply in answered.past.replies]) == ((), [yes])
    assert [(each.at, each.verdict.gate, each.verdict.by) for each in view.verdicts[2:]] == [(9.0, "code/look", "ann")]
    accepted = newest(*ASKED, HandoffAccepted(ONE, "c1", "t1", "record", "ann"))
    assert (accepted.phase, accepted.asked, accepted.record, accepted.override_by) == ("accepted", (), "record", "ann")
    of_stage = replace(yes, action=Action.RETRY, gate="")
    assert newest(*ASKED, of_stage) == newest(*ASKED)
    assert newest(*REJECTED).phase is AttemptPhase.REJECTED


def test_an_answer_that_came_too_late_is_kept_with_the_reason() -> None:
    yes = AnswerTaken("a1", Action.APPROVE, "ann", stage="code", subject=ONE, gate="code/look")
    no = AnswerTaken("a2", Action.REJECT, "bob", stage="code", subject=ONE, gate="code/look", comment="not so")
    view = describe(PIPELINE, seen(*ASKED, yes, Refused("answer", "a2", "nothing waits", no)))
    assert view.replies == (Reply(9.0, yes), Reply(10.0, no, "nothing waits"))
    assert (view.answers, view.refused) == ((yes,), 1)
    taken, refused = view.replies
    assert (taken_before(view.replies, refused), taken_before(view.replies, taken)) == (taken, None)


def test_what_is_sent_back_is_reset_where_it_was_undecided() -> None:
    back = SentBack(TWO, "code", 0, "", ("code",))
    first, second = seen(*SECOND, back).past.of_stage("code")
    assert (first.id, first.phase, first.sent_back_to) == (ONE, AttemptPhase.REJECTED, "")
    assert (second.id, second.phase, second.sent_back_to) == (TWO, AttemptPhase.RESET, "code")
    decided = newest(*REJECTED, SentBack(ONE, "code", 0, "", ("code",)))
    assert (decided.phase, decided.sent_back_to) == (AttemptPhase.REJECTED, "code")


def test_verdicts_on_base_and_input_refusals_and_skips_are_kept_apart() -> None:
    on_input = VerdictGiven(input_of("code", 1), "code/test", 1, PASSED)
    skipped = StageSkipped(input_of("code", 1), "nothing to do")
    history = seen(*READY, on_input, Refused("x", "", "late"), Refused("y", "", "late"), skipped)
    past = history.past
    assert [each.at for each in past.base] == [2.0]
    assert past.on_input == {"code": [VerdictView(4.0, on_input)]}
    assert (past.refused, past.skipped, past.attempts) == (2, {"code": "nothing to do"}, {})
    view = describe(PIPELINE, history).stage("code")
    assert (view.phase, view.skipped, view.commit, view.worker) == ("skipped", "nothing to do", "c0", "coder")
    assert (view.input_verdicts, view.attempts, view.waits) == ((VerdictView(4.0, on_input),), (), "")


def test_between_two_owners_nobody_ran_it() -> None:
    last = len(READY) + 1
    history = seen(*READY, STARTED)
    former = list(history.past.unowned)
    history.gather([Recorded(last + 1, 90.0, OwnerChanged(8, "b")), Recorded(last + 2, 91.0, AttemptLost(ONE, "gone"))])
    history.gather([Recorded(last + 3, 91.0, OwnerChanged(9, "c"))])  # no time passed
    assert history.past.unowned == [*former, (float(last), 90.0)]


def test_a_history_reads_nothing_twice() -> None:
    records = [Recorded(seq, float(seq), event) for seq, event in enumerate(ACCEPTED, 1)]
    whole, grown = seen(*ACCEPTED), History()
    grown.grow(records[:3])
    for count in range(1, len(records) + 1):
        grown.gather(records[:count])
    assert (grown.state, grown.past, grown.seen) == (whole.state, whole.past, len(records))

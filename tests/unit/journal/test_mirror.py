"""Copies of the runs of a server: when it is asked, who copies, and what is shown while it does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import pytest

from interlock.core.events import (
    Action,
    AnswerTaken,
    CandidateProduced,
    Event,
    InputPrepared,
    OwnerChanged,
    Recorded,
    RunFinished,
    RunStarted,
    RunStatus,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    VerdictStatus,
    WhenHeld,
)
from interlock.core.fold import fold
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.inbox import Answer
from interlock.core.pipeline import Gate, GateKind, Pipeline, Stage
from interlock.journal import LocalRuns, MemoryJournal, MirroredRuns
from interlock.journal.mirror import DOWN_S, LOOK_S, Found, LeftBehind, NotThere
from interlock.ports import Damaged, InfrastructureError

RUN = "20261126-120000-abcdef"
STARTED = RunStarted(RUN, "p", "d", "task", "c" * 40, "t" * 40, ("code",), engine="temporal")
PIPELINE = Pipeline("p", (Stage("code", gates=(Gate("test", GateKind.RUN),)),))
FAR: tuple[Event, ...] = (STARTED, OwnerChanged(1, "temporal"), TimeReached(3.0))


@dataclass
class Server:
    """What the server has, what it was told, and how often it was asked."""

    records: list[Recorded] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    among_blobs: list[Recorded] = field(default_factory=list)
    asked: int = 0
    error: InfrastructureError | None = None

    def has(self, *events: Event) -> None:
        for event in events:
            self.records.append(Recorded(len(self.records) + 1, 1.0, event))

    def news(self, run: str, after: int) -> list[Recorded]:
        self.asked += 1
        if self.error:
            raise self.error
        return self.records[after : after + 2]

    def kept(self, run: str, after: int) -> list[Recorded]:
        return self.among_blobs[after:]

    def tell(self, run: str, answers: Sequence[Answer], base: str) -> None:
        if self.error:
            raise self.error
        self.told += [answer.id for answer in answers]

    def waits(self, run: str) -> tuple[tuple[str, str, str], ...]:
        if self.error:
            raise self.error
        return (("code/1.1", "", "waits for a worker"),)

    def find(self, run: str) -> Found:
        if self.error:
            raise self.error
        return Found(self.records, "the pipeline")


@dataclass
class Here:
    """This machine: a journal, a clock, and who follows the run."""

    server: Server = field(default_factory=Server)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    now: float = 0.0
    follower: str = ""
    busy: bool = False

    def runs(self) -> MirroredRuns:
        return MirroredRuns(
            local=LocalRuns(self.journal, self.journal, lambda run: self.follower),
            journal=self.journal, notes=self.journal, far=lambda: self.server, follower=lambda run: self.follower,
            copier=lambda run: self.follower, alone=self.alone, elapsed=lambda: self.now,
            parse=lambda text: PIPELINE,
        )  # fmt: skip

    def alone(self, run: str) -> AbstractContextManager[object]:
        if self.busy:
            raise InfrastructureError("somebody takes the run")
        return nullcontext()


@pytest.fixture
def here() -> Here:
    return Here()


@pytest.fixture
def runs(here: Here) -> MirroredRuns:
    found = here.runs()
    found.start(0.0, STARTED, "the pipeline")
    here.server.has(*FAR)
    return found


def seen(runs: MirroredRuns, after: int = 0) -> list[Event]:
    return [record.event for page in runs.history(RUN, after) for record in page]


def answer() -> Answer:
    return Answer("a1", RUN, Action.CANCEL, "me", 1.0)


def test_what_is_new_is_copied_in_order(here: Here, runs: MirroredRuns) -> None:
    assert seen(runs) == list(FAR)
    assert here.journal.records(RUN) == [Recorded(1, 0.0, STARTED), *here.server.records[1:]]


def test_it_is_asked_once_a_second(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    asked = here.server.asked
    here.server.has(TimeReached(4.0))
    assert (seen(runs, 3), here.server.asked) == ([], asked)
    here.now += LOOK_S
    assert seen(runs, 3) == [TimeReached(4.0)]


def test_who_follows_it_copies_it_alone(here: Here, runs: MirroredRuns) -> None:
    here.follower = "process 7"
    assert (seen(runs), here.server.asked) == ([STARTED], 0)
    assert runs.owner_of(RUN) == "process 7"


def test_who_takes_it_meanwhile_copies_it_alone(
    here: Here, runs: MirroredRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def news(run: str, after: int) -> list[Recorded]:
        here.follower = "process 7"
        return here.server.records[after:]

    monkeypatch.setattr(here.server, "news", news)
    fence = here.journal.take(RUN)
    assert seen(runs) == [STARTED]
    assert here.journal.holds(RUN, fence)


def test_who_polls_sees_that_there_is_more(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    here.server.has(TimeReached(4.0))
    assert runs.heads(9) == {RUN: 3}
    here.now += LOOK_S
    assert runs.heads(9) == {RUN: 4}


def test_nobody_is_disturbed_who_takes_the_run(here: Here, runs: MirroredRuns) -> None:
    here.busy = True
    fence = here.journal.take(RUN)
    assert seen(runs) == [STARTED]
    assert here.journal.holds(RUN, fence)


def test_the_server_is_the_owner_from_its_first_event_to_its_last(here: Here, runs: MirroredRuns) -> None:
    here.server.records, later = here.server.records[:1], here.server.records[1:]
    assert runs.owner_of(RUN) == ""
    here.server.records += later
    here.now += LOOK_S
    assert runs.owner_of(RUN) == "temporal"
    assert runs.follower_of(RUN) == ""
    here.server.has(RunFinished(RunStatus.STOPPED))
    here.now += LOOK_S
    assert runs.owner_of(RUN) == ""
    here.now, asked = here.now + LOOK_S, here.server.asked
    assert (len(seen(runs)), here.server.asked) == (4, asked), "a run that is over was asked for"


def test_a_silent_server_leaves_the_copy_and_is_not_asked_at_every_look(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    here.now += LOOK_S
    here.server.error = InfrastructureError("it does not answer")
    assert seen(runs) == list(FAR)
    assert runs.behind(RUN) == runs.unreached() == "it does not answer"
    here.now, asked = here.now + LOOK_S, here.server.asked
    assert (seen(runs), here.server.asked) == (list(FAR), asked)
    here.now, here.server.error = here.now + DOWN_S, None
    here.server.has(TimeReached(4.0))
    assert seen(runs, 3) == [TimeReached(4.0)]
    assert runs.behind(RUN) == runs.unreached() == ""


@pytest.mark.parametrize("trouble", [Damaged, LeftBehind])
def test_trouble_of_one_run_leaves_the_others_alone(
    here: Here, runs: MirroredRuns, trouble: type[InfrastructureError]
) -> None:
    """What is missing or wrong of it: that is said of it, and other runs are asked for as before."""
    other = "20261126-120000-fedcba"
    runs.start(0.0, replace(STARTED, run=other), "the pipeline")
    seen(runs)
    here.now += LOOK_S
    here.server.error = trouble("a blob of it is missing")
    seen(runs)
    assert (runs.behind(RUN), runs.behind(other)) == ("a blob of it is missing", "")
    here.server.error, asked = None, here.server.asked
    assert [len(page) for page in runs.history(other)] == [1, 2]
    assert here.server.asked > asked


def test_a_run_that_was_not_handed_over_yet_is_no_trouble(here: Here, runs: MirroredRuns) -> None:
    here.server.error = NotThere("it has no such run")
    assert (runs.owner_of(RUN), runs.behind(RUN)) == ("", "")


def test_a_run_that_the_server_has_forgotten_is_shown_as_it_was(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    here.now, here.server.error = here.now + LOOK_S, NotThere("it has no such run any more")
    assert seen(runs) == list(FAR)
    assert runs.behind(RUN) == "it has no such run any more"


def test_what_was_kept_is_believed_only_of_a_run_that_the_server_has_forgotten(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    end = RunFinished(RunStatus.STOPPED, "as somebody says who can write the blobs")
    here.server.among_blobs = [*here.server.records, Recorded(4, 2.0, end)]
    here.now += LOOK_S
    assert (seen(runs, 3), runs.behind(RUN)) == ([], "")
    here.now, here.server.error = here.now + LOOK_S, InfrastructureError("it does not answer")
    assert (seen(runs, 3), runs.behind(RUN)) == ([], "it does not answer")
    here.now, here.server.error = here.now + DOWN_S, NotThere("it has no such run any more")
    assert seen(runs, 3) == [end]
    for each in (runs, here.runs()):
        assert "only what was kept among the blobs tells how it ended" in each.behind(RUN)
        assert each.behind(RUN) == each.unreached()


def test_an_answer_goes_straight_to_the_server(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    runs.answer(answer())
    assert here.server.told == ["a1"]


def test_an_answer_is_kept_while_the_server_is_silent(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    here.server.error = InfrastructureError("it does not answer")
    runs.answer(answer())
    assert runs.untaken(RUN) == [answer()]
    here.now, here.server.error = here.now + DOWN_S, None
    seen(runs)
    assert here.server.told == ["a1"]


def test_a_copy_that_lags_is_brought_up_to_date(here: Here, runs: MirroredRuns) -> None:
    assert seen(runs) == [*FAR]
    here.server.has(TimeReached(4.0))
    assert seen(runs) == [*FAR]  # it was asked less than a second ago
    assert runs.catch_up(RUN, 3)
    assert seen(runs, 3) == [TimeReached(4.0)]
    assert not runs.catch_up(RUN, 4)


def test_who_follows_the_run_is_waited_for_only_where_the_server_has_more(here: Here, runs: MirroredRuns) -> None:
    seen(runs)
    pauses: list[float] = []
    here.follower, runs.pause = "7@host", pauses.append
    assert not runs.catch_up(RUN, 3)
    assert pauses == []
    here.server.has(TimeReached(4.0))

    def copied(_: float) -> None:
        pauses.append(_)
        if len(pauses) == 3:
            here.journal.append(RUN, here.journal.take(RUN), 3, 1.0, TimeReached(4.0))

    runs.pause = copied
    assert runs.catch_up(RUN, 3)
    assert len(pauses) == 3


def test_a_run_that_is_being_handed_over_is_waited_for(here: Here, runs: MirroredRuns) -> None:
    pauses: list[float] = []
    here.follower, runs.pause = "7@host", pauses.append
    here.server.error = NotThere("it has no such run")
    assert not runs.catch_up(RUN, 1)
    assert len(pauses) > 1
    here.server.error = InfrastructureError("it does not answer")
    assert not runs.catch_up(RUN, 1)


def test_a_follower_is_left_to_tell_it(here: Here, runs: MirroredRuns) -> None:
    here.follower = "process 7"
    runs.answer(answer())
    assert (here.server.told, runs.untaken(RUN)) == ([], [answer()])


def test_a_run_of_another_repository_is_copied(here: Here) -> None:
    runs = here.runs()
    here.server.has(*FAR)
    assert runs.adopt(RUN)
    assert len(here.journal.records(RUN)) == len(FAR)
    assert (runs.runs(), runs.pipeline(RUN), runs.owner_of(RUN)) == ([RUN], "the pipeline", "temporal")
    assert [record.event for record in here.journal.records(RUN)] == list(FAR)


def test_what_no_server_has_is_not_known(here: Here) -> None:
    here.server.error = NotThere("it has no such run")
    assert not here.runs().adopt(RUN)
    assert here.journal.runs() == []


def test_where_the_server_is_silent_that_is_said(here: Here) -> None:
    here.server.error = InfrastructureError("it does not answer")
    runs = here.runs()
    assert not runs.adopt(RUN)
    assert runs.unreached() == "it does not answer"


def test_without_a_server_none_is_asked(here: Here) -> None:
    here.server.has(*FAR)
    runs = here.runs()
    runs.has_server = False
    assert not runs.adopt(RUN)


def test_of_a_run_of_this_machine_no_server_is_asked(here: Here) -> None:
    runs = here.runs()
    runs.start(0.0, RunStarted(RUN, "p", "d", "task", "c" * 40, "t" * 40, ("code",)), "the pipeline")
    runs.answer(answer())
    assert (len(seen(runs)), runs.owner_of(RUN), runs.behind(RUN), here.server.asked) == (1, "", "", 0)


def test_what_waits_on_the_server_is_told_where_nobody_follows(here: Here, runs: MirroredRuns) -> None:
    assert runs.waits(RUN) == (("code/1.1", "", "waits for a worker"),)
    here.follower = "7@here"
    assert runs.waits(RUN) == ()
    here.follower, here.server.error = "", InfrastructureError("it does not answer")
    assert runs.waits(RUN) == ()


@pytest.mark.parametrize(
    "told",
    [
        (),
        (TimeReached(3.0),),
        (replace(STARTED, run="20261126-120000-other1"),),
        (replace(STARTED, engine=""), OwnerChanged(1, "me")),  # this machine would drive it
        (replace(STARTED, stages=()), OwnerChanged(1, "temporal")),
        (replace(STARTED, stages=("none",)), OwnerChanged(1, "temporal")),
        (STARTED, STARTED),
    ],
)
def test_another_history_than_that_of_the_run_is_not_adopted(here: Here, told: tuple[Event, ...]) -> None:
    here.server.has(*told)
    runs = here.runs()
    assert (runs.adopt(RUN), runs.runs()) == (False, [])
    assert RUN in runs.unreached()


@pytest.mark.parametrize("wrong", [Recorded(9, 1.0, TimeReached(9.0)), Recorded(4, 1.0, STARTED)])
def test_events_that_are_not_the_next_ones_are_not_copied(here: Here, runs: MirroredRuns, wrong: Recorded) -> None:
    seen(runs)
    here.now += LOOK_S
    here.server.records.append(wrong)
    assert seen(runs, 3) == []
    assert len(here.journal.records(RUN)) == 3
    assert (RUN in runs.behind(RUN), runs.unreached() != "") == (True, True)


UNFIT: tuple[Event, ...] = (
    WhenHeld(input_of("code", 2)),
    WhenHeld(input_of("none", 1)),
    CandidateProduced(AttemptId("code", 1, 7), "c" * 40, "t" * 40),
    RunFinished(RunStatus.ACCEPTED),
    AnswerTaken("a9", Action.RETRY, "me", "none"),
    VerdictGiven(base_of("code"), "code/none", 1, VerdictStatus.FAILED),
)


@pytest.mark.parametrize("event", UNFIT)
def test_what_does_not_fit_is_not_copied(here: Here, runs: MirroredRuns, event: Event) -> None:
    seen(runs)
    here.now += LOOK_S
    here.server.has(TimeReached(4.0), event)
    assert seen(runs, 3) == [TimeReached(4.0)]
    assert "event 5" in runs.behind(RUN)
    fold(here.journal.records(RUN))


@pytest.mark.parametrize("event", UNFIT)
def test_a_run_with_what_does_not_fit_is_not_adopted(here: Here, event: Event) -> None:
    here.server.has(*FAR, event)
    runs = here.runs()
    assert (runs.adopt(RUN), runs.runs()) == (False, [])
    assert "event 4" in runs.unreached()


def test_a_copy_that_another_process_has_begun_is_read_before_it_grows(here: Here, runs: MirroredRuns) -> None:
    prepared = InputPrepared(input_of("code", 1), "c" * 40, "t" * 40, ("c" * 40,))
    here.server.has(prepared, WhenHeld(input_of("code", 1)), StageSkipped(input_of("code", 1), "no need"))
    seen(runs)
    fresh = here.runs()
    here.now += LOOK_S
    assert [len(page) for page in fresh.history(RUN)] == [6]
    here.server.has(WhenHeld(input_of("code", 1)))
    here.now += LOOK_S
    assert (seen(fresh, 6), "the stage is skipped" in fresh.behind(RUN)) == ([], True)

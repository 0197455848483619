"""One suite for every journal: order, fences, the inbox, what is remembered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interlock.core.events import Action, AnswerTaken, Event, Recorded, Refused, RunStarted, StageSkipped, TimeReached
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.journal import LocalRuns, MemoryJournal, SqliteJournal
from interlock.ports import Cache, Engine, Fenced, Journal, Notes, UsageError

FIRST = TimeReached(0.5)


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
    else:
        with SqliteJournal(tmp_path / "state" / "journal.db") as opened:
            yield opened


def test_history_comes_back_in_order(journal: Journal) -> None:
    events: list[Event] = [FIRST, StageSkipped(AttemptId("code", 1, 0), "why"), TimeReached(9.0)]
    journal.create("r1", 1.25, FIRST)
    fence = journal.take("r1")
    for after, event in enumerate(events[1:], start=1):
        appended = journal.append("r1", fence, after, 2.0 + after, event)
        assert (appended.seq, appended.at, appended.event) == (after + 1, 2.0 + after, event)
    history = journal.records("r1")
    assert [(each.seq, each.event) for each in history] == list(enumerate(events, start=1))
    assert journal.records("r1", after=2) == history[2:]
    assert journal.records("r1", after=3) == []
    for after in range(4):
        assert [each for page in journal.pages("r1", after) for each in page] == history[after:]


def test_runs_are_listed_oldest_first_and_kept_apart(journal: Journal) -> None:
    for run in ("b", "c", "a"):
        journal.create(run, 0.0, FIRST)
    journal.append("c", journal.take("c"), 1, 0.0, FIRST)
    assert journal.runs() == ["b", "c", "a"]
    assert [len(journal.records(run)) for run in ("a", "b", "c", "none")] == [1, 1, 2, 0]


def test_a_run_is_created_once(journal: Journal) -> None:
    journal.create("r1", 0.0, FIRST)
    with pytest.raises(UsageError, match="r1 already exists"):
        journal.create("r1", 0.0, TimeReached(7.0))
    assert [each.event for each in journal.records("r1")] == [FIRST]


def test_the_former_owner_is_fenced(journal: Journal) -> None:
    journal.create("r1", 0.0, FIRST)
    former = journal.take("r1")
    assert journal.holds("r1", former)
    newest = journal.take("r1")
    assert newest > former
    assert (journal.holds("r1", former), journal.holds("r1", newest)) == (False, True)
    with pytest.raises(Fenced, match="taken"):
        journal.append("r1", former, 1, 0.0, FIRST)
    assert journal.append("r1", newest, 1, 0.0, FIRST).seq == 2


@pytest.mark.parametrize("after", [0, 2, 5])
def test_an_event_has_one_place(journal: Journal, after: int) -> None:
    journal.create("r1", 0.0, FIRST)
    fence = journal.take("r1")
    with pytest.raises(Fenced, match="1 events"):
        journal.append("r1", fence, after, 0.0, FIRST)
    assert len(journal.records("r1")) == 1


def test_a_run_that_is_not_there_is_said(journal: Journal) -> None:
    for refused in (
        lambda: journal.take("none"),
        lambda: journal.append("none", 1, 0, 0.0, FIRST),
        lambda: journal.put_answer(_answer("a1", "none")),
    ):
        with pytest.raises(UsageError, match="no run none"):
            refused()
    assert not journal.holds("none", 0)
    assert journal.answers("none") == []


def test_answers_wait_until_an_event_names_them(journal: Journal) -> None:
    for run in ("r1", "r2"):
        journal.create(run, 0.0, FIRST)
    answers = [_answer("a3", "r1"), _answer("a1", "r1"), _answer("a2", "r1")]
    for answer in (*answers, answers[0], _answer("b1", "r2")):
        journal.put_answer(answer)
    assert journal.answers("r1") == answers
    fence = journal.take("r1")
    journal.append("r1", fence, 1, 0.0, AnswerTaken("a3", Action.APPROVE, "me"))
    assert journal.answers("r1") == answers[1:]
    journal.append("r1", fence, 2, 0.0, Refused("answer", "a2", "too late"))
    assert journal.answers("r1") == [answers[1]]
    journal.put_answer(answers[0])
    assert journal.answers("r1") == [answers[1]]
    assert len(journal.answers("r2")) == 1


def test_a_refused_append_settles_nothing(journal: Journal) -> None:
    journal.create("r1", 0.0, FIRST)
    journal.put_answer(_answer("a1", "r1"))
    with pytest.raises(Fenced):
        journal.append("r1", journal.take("r1") - 1, 1, 0.0, AnswerTaken("a1", Action.APPROVE, "me"))
    assert len(journal.answers("r1")) == 1


@pytest.mark.parametrize("port", ["cache", "notes"])
def test_the_first_value_stays(journal: MemoryJournal | SqliteJournal, port: str) -> None:
    cache: Cache = journal
    notes: Notes = journal
    keep, read = (cache.remember, cache.recall) if port == "cache" else (notes.note, notes.noted)
    assert read("verdict", "k") is None
    keep("verdict", "k", '{"n": 1}')
    keep("verdict", "k", '{"n": 2}')
    keep("script", "k", "3")
    assert (read("verdict", "k"), read("script", "k")) == ('{"n": 1}', "3")


def test_runs_of_this_machine_are_started_shown_and_answered_by_their_journal(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    engine: Engine = LocalRuns(journal, journal, lambda run: f"the owner of {run}")
    started = RunStarted("r1", "p", "d", "task", "c", "t", ("code",))
    engine.start(1.5, started, "its pipeline")
    with pytest.raises(UsageError, match="run r1 already exists"):
        engine.start(2.5, started, "another pipeline")
    assert (engine.runs(), engine.heads(9)) == (["r1"], {"r1": 1})
    assert (engine.pipeline("r1"), engine.pipeline("r2")) == ("its pipeline", None)
    assert [*engine.history("r1")] == [[Recorded(1, 1.5, started)]]
    assert [record for page in engine.history("r1", 1) for record in page] == []
    engine.answer(_answer("a1", "r1"))
    assert [answer.id for answer in engine.untaken("r1")] == ["a1"]
    assert engine.owner_of("r1") == "the owner of r1"


def test_threads_write_at_once_and_a_fenced_one_fails_alone(journal: Journal) -> None:
    runs = [f"r{number}" for number in range(8)]
    for run in runs:
        journal.create(run, 0.0, FIRST)
    fences = {run: journal.take(run) for run in runs}
    for run in runs[::2]:
        journal.take(run)
    together = threading.Barrier(len(runs))

    def write(run: str) -> int:
        together.wait()
        for after in range(1, 21):
            try:
                journal.append(run, fences[run], after, 0.0, FIRST)
            except Fenced:
                return 0
        return len(journal.records(run))

    with ThreadPoolExecutor(len(runs)) as pool:
        assert list(pool.map(write, runs)) == [0, 21] * 4


def test_of_two_that_append_at_one_place_one_wins(journal: Journal) -> None:
    journal.create("r1", 0.0, FIRST)
    fence = journal.take("r1")
    together = threading.Barrier(4)

    def race(me: int) -> int:
        wins = 0
        for after in range(1, 31):
            together.wait()
            try:
                journal.append("r1", fence, after, 0.0, TimeReached(float(me)))
                wins += 1
            except Fenced:
                pass
            together.wait()
        return wins

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(race, range(4))) == 30
    assert [each.seq for each in journal.records("r1")] == list(range(1, 32))


def _answer(name: str, run: str) -> Answer:
    return Answer(name, run, Action.APPROVE, "me", 3.5, subject="code/1.1", limits=(("tokens", 2.0),))

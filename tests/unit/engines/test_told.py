"""What a server and kept histories tell of a run is checked before it is copied, whoever copies it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio.common import RawValue
from temporalio.converter import DataConverter

from interlock.core.events import (
    Action,
    AnswerTaken,
    CandidateProduced,
    Event,
    OwnerChanged,
    Recorded,
    Refused,
    RunStarted,
)
from interlock.core.ids import AttemptId
from interlock.engines.temporal import messages
from interlock.engines.temporal.histories import keep_history, kept_history
from interlock.engines.temporal.messages import packed, unpacked
from interlock.engines.temporal.reading import ServerRuns, told_by
from interlock.engines.temporal.remote import RemoteEngine
from interlock.journal import MemoryBlobs
from interlock.ports import Damaged, UsageError

RUN = "20261126-120000-abcdef"
STARTED = RunStarted(RUN, "p", "d", "task", "c" * 40, "t" * 40, ("code",), engine="temporal")
NEXT = Recorded(2, 1.0, OwnerChanged(1, "temporal"))
MADE = CandidateProduced(AttemptId("code", 1, 1), "c" * 40, "t1", pack="9" * 64)
WRONG: dict[str, Event | int] = {
    "a number that does not come next": 7,
    "another beginning": STARTED,
    "an answer that nobody can have given": AnswerTaken("\ud800", Action.CANCEL, "me"),
    "the refusal of such a one": Refused("answer", "\ud800", "why"),
}


def records_of(*events: Event) -> list[Recorded]:
    return [Recorded(seq, 1.0, event) for seq, event in enumerate(events, 1)]


def wrong(what: Event | int) -> Recorded:
    return Recorded(what, 1.0, NEXT.event) if isinstance(what, int) else Recorded(2, 1.0, what)


class Workspaces:
    def has(self, commit: str) -> bool:
        return False

    def receive(self, commit: str, pack: bytes, *, is_base: bool) -> None: ...


class Asked(ServerRuns):
    """Answers with what it is given."""

    told: list[Recorded]

    def _told(self, run: str, after: int) -> list[Recorded]:
        return self.told


def asked(*told: Recorded) -> Asked:
    made = Asked(SimpleNamespace(), Workspaces, MemoryBlobs(), lambda: None, _loop=None)  # type: ignore[arg-type, return-value]
    made.told = list(told)
    return made


def follower(copied: list[Recorded]) -> RemoteEngine:
    ledger = SimpleNamespace(run=RUN, state=SimpleNamespace(seq=1), copy=copied.append)
    world = SimpleNamespace(workspaces=Workspaces(), blobs=MemoryBlobs(), records=None)
    return RemoteEngine(None, "here", 1, SimpleNamespace(ledger=ledger, world=world), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", WRONG.values(), ids=WRONG)
def test_what_does_not_follow_is_taken_by_nobody(what: Event | int) -> None:
    copied: list[Recorded] = []
    later = replace(wrong(what), seq=what if isinstance(what, int) else 3)
    for told in ([wrong(what)], [NEXT, later]):
        with pytest.raises(Damaged):
            asyncio.run(follower(copied)._take(told))
        with pytest.raises(Damaged):
            asked(*told).news(RUN, 1)
    assert copied == []
    asyncio.run(follower(copied)._take([NEXT]))
    assert copied == asked(NEXT).news(RUN, 1) == [NEXT]


def test_a_blob_that_is_missing_is_about_its_run_alone() -> None:
    """Other trouble of the server silences all runs for a while."""
    with pytest.raises(Damaged, match=f"run {RUN}: .*{'9' * 64}"):
        asked(Recorded(2, 1.0, MADE)).news(RUN, 1)


def test_a_commit_is_one() -> None:
    """It becomes an argument of git."""
    for commit in ("--upload-pack=x", "c1", "a\0", "HEAD"):
        with pytest.raises(Damaged, match="names a commit that is none"):
            asked(Recorded(2, 1.0, replace(MADE, commit=commit))).news(RUN, 1)


@pytest.mark.parametrize(
    "told", [7, None, {}, ["x"], [7], ["[]"], ['[1, 1.0, "Nothing", []]'], ['[1, "x", "WhenHeld", []]']]
)
def test_what_is_no_history_is_said_in_words(told: object) -> None:
    class Handle:
        async def query(self, *_: object, **__: object) -> RawValue:
            return RawValue(DataConverter.default.payload_converter.to_payload(told))

    handle: Any = Handle()
    with pytest.raises(Damaged, match=f"what the server tells of run {RUN} cannot be read"):
        asyncio.run(told_by(handle, RUN, 0))


def test_a_kept_history_is_that_of_its_run() -> None:
    blobs = MemoryBlobs()
    for name in ("one", RUN):
        keep_history(blobs, name, packed(records_of(STARTED, NEXT.event)))
    assert kept_history(blobs, RUN) == records_of(STARTED, NEXT.event)
    with pytest.raises(Damaged, match="not the history of that run"):
        kept_history(blobs, "one")
    keep_history(blobs, RUN, packed(records_of(STARTED, STARTED)))
    with pytest.raises(Damaged, match="where event 2 comes"):
        kept_history(blobs, RUN)


@pytest.mark.parametrize("run", ["../x", "x" * 300, "a\nb", "", "\x1b[2J", ".", "é"])
def test_a_strange_id_is_said_in_words(run: str) -> None:
    for ask in (lambda: kept_history(MemoryBlobs(), run), lambda: keep_history(MemoryBlobs(), run, "")):
        with pytest.raises(UsageError, match=r"is no id of a run: ids are like 20261126-154729-g653dj") as told:
            ask()
        assert str(told.value).isprintable()


def test_a_kept_history_that_grows_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = packed(records_of(STARTED, NEXT.event))
    assert len(unpacked(text)) == 2
    monkeypatch.setattr(messages, "_HISTORY_MAX", 100)
    with pytest.raises(ValueError, match="no history of at most 100 bytes"):
        unpacked(text)

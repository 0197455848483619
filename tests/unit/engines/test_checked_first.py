"""What a server tells of a run is checked before anything comes of it on this machine, and trouble of one run is told
from that of the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio.service import RPCError, RPCStatusCode

from interlock.core.events import OwnerChanged, Recorded, RunStarted
from interlock.engines.temporal.reading import ServerRuns
from interlock.engines.temporal.server import Server
from interlock.journal import MemoryBlobs
from interlock.journal.mirror import LeftBehind
from interlock.ports import Damaged, InfrastructureError

STARTED = RunStarted("other", "p", "d", "x", "a" * 40, "b" * 40, ("code",), engine="temporal", pipeline_text="0" * 64)


class Untouched:
    """The store of this machine: nothing may be asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of the store was called")


@contextmanager
def runs(*told: Recorded) -> Iterator[ServerRuns]:
    server = Server("127.0.0.1:1", "default", "q", MemoryBlobs())
    made = ServerRuns(server, Untouched, MemoryBlobs(), Untouched)
    with pytest.MonkeyPatch.context() as patched, closing(made._loop):
        patched.setattr(ServerRuns, "_told", lambda self, run, after: list(told))
        yield made


@pytest.mark.parametrize(
    "told",
    [
        (),
        (Recorded(1, 0.0, STARTED),),
        (Recorded(1, 0.0, OwnerChanged(1, "x")),),
        (Recorded(2, 0.0, STARTED),),
    ],
    ids=["nothing", "another run", "no beginning", "a gap"],
)
def test_the_base_of_a_run_that_is_not_the_one_asked_for_is_not_taken(told: tuple[Recorded, ...]) -> None:
    with runs(*told) as far, pytest.raises(Damaged):
        far.find("run")


def test_the_base_of_a_run_without_its_pipeline_is_not_taken() -> None:
    with runs(Recorded(1, 0.0, STARTED)) as far, pytest.raises(InfrastructureError, match="is missing"):
        far.find("other")


def test_commits_of_events_that_do_not_follow_are_not_taken() -> None:
    with runs(Recorded(7, 0.0, OwnerChanged(1, "x"))) as far, pytest.raises(Damaged):
        far.news("run", 4)


@pytest.mark.parametrize(
    ("said", "is_its_own"),
    [("Unable to query workflow due to Workflow Task in failed state.", True), ("no poller seen recently", False)],
)
def test_a_run_whose_step_fails_stands_still_alone(said: str, is_its_own: bool) -> None:
    async def fails() -> None:
        raise RPCError(said, RPCStatusCode.FAILED_PRECONDITION, b"")

    far = ServerRuns(Server("127.0.0.1:1", "default", "q", MemoryBlobs()), Untouched, MemoryBlobs(), Untouched)
    with pytest.raises(InfrastructureError) as raised:
        far._ask(fails(), "run")
    far._loop.call_soon_threadsafe(far._loop.stop)
    while far._loop.is_running():
        time.sleep(0.01)
    far._loop.close()
    assert isinstance(raised.value, LeftBehind) is is_its_own

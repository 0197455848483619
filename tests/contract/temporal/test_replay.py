"""Kept histories are replayed: the workflow of today decides as it did when they were made.

A change that fails here is another build, on which open runs do not end. If that is meant, write the histories again:
`INTERLOCK_WRITE_EXPECTED=1 pytest tests/contract/temporal/test_replay.py`.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError
from tests.contract.temporal.scenarios import SCENARIOS
from tests.contract.temporal.test_both_engines import played
from tests.contract.temporal.world import Cluster, cluster_in, other_build, server_histories, server_in

from interlock.core.effects import Effect
from interlock.core.events import RunStarted
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.engines.temporal import flow
from interlock.engines.temporal.payloads import converter
from interlock.engines.temporal.worker import runner
from interlock.journal import FileBlobs, MemoryBlobs

KEPT = Path(__file__).parent / "histories"
LONG = 40  # events of a history, as the workflow counts them, after which it begins anew
WRITES = bool(os.environ.get("INTERLOCK_WRITE_EXPECTED"))


def keep(name: str, histories: list[WorkflowHistory], blobs: FileBlobs) -> None:
    """With the large payloads that they refer to."""
    rows = [json.loads(history.to_json()) for history in histories]
    large = [base64.b64encode(blobs.get(digest)).decode() for digest in sorted(set(references(rows)))]
    text = json.dumps({"histories": rows, "blobs": large}, separators=(",", ":"))
    KEPT.mkdir(exist_ok=True)
    path_of(name).write_bytes(gzip.compress(text.encode(), mtime=0))


def references(value: object) -> Iterator[str]:
    """The digests that payloads name."""
    if isinstance(value, dict) and "externalPayloads" in value:
        yield json.loads(base64.b64decode(value["data"]))["claimData"]["digest"]
        return
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(inner)


def path_of(name: str) -> Path:
    return KEPT / f"{name.replace(' ', '-')}.json.gz"


def kept(name: str) -> tuple[list[WorkflowHistory], MemoryBlobs]:
    told, blobs = json.loads(gzip.decompress(path_of(name).read_bytes())), MemoryBlobs()
    for content in told["blobs"]:
        blobs.put(base64.b64decode(content))
    return [WorkflowHistory.from_json(name, one) for one in told["histories"]], blobs


def replay(name: str, change: Callable[[WorkflowHistory], None] = lambda history: None) -> None:
    """All beginnings of the run, each changed before. Raises what the replay fails with."""
    histories, blobs = kept(name)
    replayer = Replayer(workflows=[flow.RunWorkflow], workflow_runner=runner(), data_converter=converter(blobs, ()))
    for history in histories:
        change(history)
        asyncio.run(replayer.replay_workflow(history))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster | None]:
    """Only to write; with runs that soon begin anew."""
    if not WRITES:
        yield None
        return
    folder = tmp_path_factory.mktemp("replay")
    path = other_build(folder / "other", "engines/temporal/flow.py", "_LONG = 4_000", f"_LONG = {LONG}")
    with (
        server_in(folder) as server,
        cluster_in(folder / "many", server, PYTHONPATH=path, HERE=str(folder / "many")) as found,
    ):
        yield found


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_LONG", LONG)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kept_history_is_decided_as_it_was(name: str, many: Cluster | None, tmp_path: Path) -> None:
    if many is not None:
        found = server_histories(many.server, performed(name, many, tmp_path))
        keep(name, found, FileBlobs(many.root / "blobs"))
    replay(name)


def performed(name: str, many: Cluster, folder: Path) -> str:
    """A run of that scenario, to its end. Returns its id."""
    scenario = SCENARIOS[name]
    far = many.submitter(folder / "far", {"interlock.yaml": scenario.pipeline}, HERE=str(many.root))
    first = played(far, scenario, name, "--engine", "temporal").records[0].event
    assert isinstance(first, RunStarted)
    return first.run


def test_a_planner_that_decides_otherwise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = flow.plan

    def other(pipeline: Pipeline, state: RunState) -> tuple[Effect, ...]:
        return tuple(plan(pipeline, state))[:1]

    monkeypatch.setattr(flow, "plan", other)
    with pytest.raises(NondeterminismError):
        replay("joined")


def test_what_the_server_says_of_the_length_decides_nothing() -> None:
    """Where workflow tasks follow each other during a local activity, a replay is told what was true of the last."""

    def longer(history: WorkflowHistory) -> None:
        for event in history.events:
            if event.HasField("workflow_task_started_event_attributes"):
                started = event.workflow_task_started_event_attributes
                started.suggest_continue_as_new, started.history_size_bytes = True, 60_000_000

    replay("joined", longer)


def test_all_gates_that_need_the_same_look_once_for_a_worker() -> None:
    """Three on the base, at once; a beginning of the run knows nothing of the places of the one before."""
    histories, _ = kept("in parallel")
    looks = [sum(b'"activity_type":"place"' in event.SerializeToString() for event in one.events) for one in histories]
    assert (looks[0], max(looks)) == (1, 1)

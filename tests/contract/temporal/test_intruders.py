"""Who has all that a worker has, and asks a process in the repository of a run for what is not its work."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, history, run_on

from interlock.core.effects import DeliverBranch, EvaluateGate, Operation
from interlock.core.events import CandidateProduced, DeliveryBegun, Recorded, RunFinished, RunStarted, RunStatus
from interlock.core.pipeline import CommandLine
from interlock.core.wire import encode_effect, encode_event
from interlock.engines.temporal.histories import keep_history
from interlock.engines.temporal.messages import PERFORM, Documents, EffectInput, packed
from interlock.engines.temporal.server import delivery_of
from interlock.journal import FileBlobs
from interlock.pipelinefile import decode_pipeline, encode_pipeline

PLAIN = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: g, run: "test -s a.txt"}]}
"""
ASKS = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: ok, approve: "Fine?"}]}
"""


@workflow.defn(name="asks")
class Asks:
    @workflow.run
    async def run(self, queue: str, given: EffectInput) -> None:
        await workflow.execute_activity(
            PERFORM, given, task_queue=queue, start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )  # fmt: skip


async def asked(many: Cluster, queue: str, given: EffectInput) -> str:
    """Why it is refused; empty if it was done."""
    client, here = await Client.connect(f"127.0.0.1:{many.server.port}"), str(uuid.uuid4())
    async with Worker(client, task_queue=here, workflows=[Asks], workflow_runner=UnsandboxedWorkflowRunner()):
        try:
            await client.execute_workflow(Asks.run, args=[queue, given], id=here, task_queue=here)
        except WorkflowFailureError as error:
            return str(error.cause.__cause__)
    return ""


@pytest.fixture
def far(tmp_path: Path, many: Cluster) -> Iterator[World]:
    """A repository with a process that delivers."""
    world = many.submitter(tmp_path / "far", {"interlock.yaml": PLAIN})
    process = many.ready(world.start("worker", "--deliver"))
    yield world
    process.terminate()
    process.communicate()


def queue_of(many: Cluster, world: World) -> str:
    mark = (many.root / "blobs/named/mark").read_text()
    return delivery_of(many.queue, mark, next((world.root / "state").rglob("journal.db")).parent.name)


def test_no_command_is_run_there(many: Cluster, far: World) -> None:
    run = run_on(far)
    blobs, records = FileBlobs(many.root / "blobs", shared=True), history(far, run)
    started = next(record.event for record in records if isinstance(record.event, RunStarted))
    made = next(record.event for record in records if isinstance(record.event, CandidateProduced))
    pipeline = decode_pipeline(blobs.get(started.pipeline_text).decode())
    stage = pipeline.stages[0]
    gate = replace(stage.gates[0], command=CommandLine(shell="id"))
    hostile = replace(pipeline, stages=(replace(stage, gates=(gate,)),))
    effect = EvaluateGate(made.attempt, "code/g", 1, made.commit, made.tree, started.base_commit, started.base_tree)
    at_will = asking(blobs, effect, replace(started, sandbox="none"), encode_pipeline(hostile))
    as_recorded = asking(blobs, effect, started, blobs.get(started.pipeline_text).decode())
    for given in (at_will, as_recorded):
        assert "is no work of this repository" in asyncio.run(asked(many, queue_of(many, far), given))


def test_no_branch_is_made_of_a_run_that_did_not_begin_there(many: Cluster, far: World) -> None:
    run = run_on(far)
    blobs, records = FileBlobs(many.root / "blobs", shared=True), history(far, run)
    started = next(record.event for record in records if isinstance(record.event, RunStarted))
    begun = DeliveryBegun("intruded", started.base_commit, started.base_commit)
    effect = DeliverBranch(started.base_commit, (), 1, begun=begun)
    given = asking(blobs, effect, replace(started, run="other"), blobs.get(started.pipeline_text).decode())
    assert "is no work of this repository" in asyncio.run(asked(many, queue_of(many, far), given))
    assert far.git("branch", "--list", "intruded") == ""


def test_no_run_ends_as_the_blobs_say(tmp_path: Path, many: Cluster) -> None:
    """An end of somebody who can write there, of a run that the server knows."""
    world = many.submitter(tmp_path / "asking", {"interlock.yaml": ASKS})
    run = run_on(world, code=3)
    records = history(world, run)
    end = Recorded(records[-1].seq + 1, records[-1].at, RunFinished(RunStatus.STOPPED, "as the blobs say"))
    keep_history(FileBlobs(many.root / "blobs", shared=True), run, packed((*records, end)))
    world.ask("status", run).ended(0, "waits for a person")
    world.ask("resume", run, "--plain").ended(3)
    world.ask("approve", run, "--plain").ended(0, "accepted")


def test_no_branch_is_made_of_what_was_not_accepted(many: Cluster, far: World) -> None:
    """The run began there, and waits for a person. The second task is as one after a recorded beginning."""
    far.commit({"interlock.yaml": ASKS})
    run = run_on(far, code=3)
    blobs, records = FileBlobs(many.root / "blobs", shared=True), history(far, run)
    started = next(record.event for record in records if isinstance(record.event, RunStarted))
    made = next(record.event for record in records if isinstance(record.event, CandidateProduced))
    text = blobs.get(started.pipeline_text).decode()
    effect = DeliverBranch(made.commit, (), 1, branch="intruded")
    begun = DeliverBranch(made.commit, (), 1, branch="intruded", begun=DeliveryBegun("intruded", made.commit, ""))
    for hostile in (effect, begun, replace(effect, branch="")):
        assert "does not lead to DeliverBranch" in asyncio.run(
            asked(many, queue_of(many, far), asking(blobs, hostile, started, text))
        )
    assert far.git("branch", "--list", "intruded", "interlock/*") == ""
    far.ask("approve", run, "--plain").ended(0)
    far.ask("watch", run, "--plain").ended(0, "accepted")
    assert far.git("branch", "--list", f"interlock/{run}")


def asking(blobs: FileBlobs, effect: Operation, started: RunStarted, pipeline: str) -> EffectInput:
    begun, text = blobs.put(encode_event(started).encode()), blobs.put(pipeline.encode())
    return EffectInput(Documents(started.run, begun, text, 0.0, 1.0, started.sandbox), encode_effect(effect))

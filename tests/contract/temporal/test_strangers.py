"""Who reaches the server and has no key: what was made up, or was said in another run, moves nothing. Without a key the
same does, so it is the key that holds."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio.api.common.v1 import Payloads, WorkflowType
from temporalio.api.enums.v1 import EventType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    RespondActivityTaskCompletedByIdRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import Client, RPCError
from temporalio.converter import DataConverter
from tests.contract.cli_world import World
from tests.contract.temporal.world import (
    SOON_S,
    Cluster,
    Server,
    cluster_in,
    history,
    run_on,
    server_histories,
    until,
)

from interlock.core.events import AnswerTaken, AttemptErrored
from interlock.core.ids import AttemptId
from interlock.engines.temporal.messages import ANSWER, WORKFLOW, event_row
from interlock.engines.temporal.server import runs_of

ASKS = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: ok, approve: "Fine?"}]}
"""
WAITS = """\
version: 1
stages:
  code: {run: "until test -e FILE; do sleep 0.1; done; echo x > a.txt", gates: [{id: g, run: "test -s a.txt"}]}
"""
STARTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
DECIDED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED


@pytest.fixture(scope="module", params=["with a key", "without one"])
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: Server
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("strangers")
    settings = {}
    if request.param == "with a key":
        (folder / "key").write_text(secrets.token_hex(32))
        settings["codec_key"] = str(folder / "key")
    with cluster_in(folder / "many", server, settings) as found:
        yield found


@pytest.fixture
def far(tmp_path: Path, cluster: Cluster) -> World:
    return cluster.submitter(tmp_path / "far", {"interlock.yaml": ASKS})


async def begin(server: Server, queue: str, name: str, given: Payloads) -> None:
    """As a stranger, with no client of ours."""
    client = await Client.connect(f"127.0.0.1:{server.port}")
    await client.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace="default", workflow_id=f"interlock-{name}", workflow_type=WorkflowType(name=WORKFLOW),
            task_queue=TaskQueue(name=queue), input=given, request_id=str(uuid.uuid4()),
        )
    )  # fmt: skip


async def say(server: Server, run: str, given: Payloads) -> None:
    client = await Client.connect(f"127.0.0.1:{server.port}")
    asked = UpdateWorkflowExecutionRequest(
        namespace="default",
        wait_policy=WaitPolicy(
            lifecycle_stage=UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
        ),
        request=Request(meta=Meta(update_id=str(uuid.uuid4())), input=Input(name=ANSWER, args=given)),
    )
    asked.workflow_execution.workflow_id = f"interlock-{run}"
    with suppress(RPCError):  # refused
        await client.workflow_service.update_workflow_execution(asked)


async def report(server: Server, run: str, given: Payloads) -> bool:
    """In place of the worker that has the attempt. Whether there is one."""
    client = await Client.connect(f"127.0.0.1:{server.port}")
    with suppress(RPCError):
        await client.workflow_service.respond_activity_task_completed_by_id(
            RespondActivityTaskCompletedByIdRequest(
                namespace="default", workflow_id=f"interlock-{run}", activity_id="StartAttempt code/1.1", result=given
            )
        )
        return True
    return False


def kinds(server: Server, run: str) -> set[int]:
    return {event.event_type for part in server_histories(server, run) for event in part.events}


def given_to(server: Server, run: str) -> Payloads:
    """What a run began with, as anybody reads it at the server."""
    return server_histories(server, run)[0].events[0].workflow_execution_started_event_attributes.input


def said_to(server: Server, run: str) -> Payloads:
    """The first answer to a run, as anybody reads it at the server."""
    events = [event for part in server_histories(server, run) for event in part.events if event.event_type == ACCEPTED]
    attributes = events[0].workflow_execution_update_accepted_event_attributes
    return attributes.accepted_request.input.args


def is_keyed(cluster: Cluster) -> bool:
    return "codec_key" in cluster.settings


def test_no_run_is_begun_again_under_another_name(cluster: Cluster, far: World) -> None:
    run = run_on(far, code=3)
    name = f"copy-of-{run}"
    queue = runs_of(cluster.queue, (cluster.root / "blobs/named/mark").read_text())
    asyncio.run(begin(cluster.server, queue, name, given_to(cluster.server, run)))
    until(lambda: bool({FAILED, DECIDED} & kinds(cluster.server, name)))
    assert (FAILED in kinds(cluster.server, name)) == is_keyed(cluster)
    assert (DECIDED in kinds(cluster.server, name)) != is_keyed(cluster)


@pytest.mark.parametrize("how", ["said to another run", "made up"])
def test_an_answer_is_for_its_own_run_and_by_who_has_the_key(cluster: Cluster, far: World, how: str) -> None:
    one, other = run_on(far, code=3), run_on(far, code=3)
    far.ask("approve", one).ended(0)
    if how == "made up":
        answer = next(record.event for record in history(far, one) if isinstance(record.event, AnswerTaken))
        rows = [event_row(replace(answer, answer="made-up"))]
        given = Payloads(payloads=asyncio.run(DataConverter.default.encode([rows])))
    else:
        given = said_to(cluster.server, one)
    asyncio.run(say(cluster.server, other, given))
    assert ("waits for a person: ok" in far.ask("status", other).text) == is_keyed(cluster)
    if is_keyed(cluster):
        far.ask("approve", other).ended(0)
    far.ask("resume", other, "--plain").ended(0, "accepted")


def test_a_report_is_by_who_has_the_key(cluster: Cluster, tmp_path: Path) -> None:
    """Without it the attempt has failed, in words of ours, and another one follows."""
    go = tmp_path / "go"
    far = cluster.submitter(tmp_path / "far", {"interlock.yaml": WAITS.replace("FILE", str(go))})
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    assert process.stderr is not None
    run = next(line.split()[1] for line in process.stderr if line.startswith("run "))
    rows = [event_row(AttemptErrored(AttemptId("code", 1, 1), "in the words of a stranger", 0.0, permanent=True))]
    given = Payloads(payloads=asyncio.run(DataConverter.default.encode([rows])))
    until(lambda: asyncio.run(report(cluster.server, run, given)))
    go.touch()
    process.communicate(timeout=SOON_S)
    assert process.returncode == (0 if is_keyed(cluster) else 3)
    errors = [record.event.why for record in history(far, run) if isinstance(record.event, AttemptErrored)]
    strange = "what its worker reports cannot be read: a payload is not encrypted"
    assert len(errors) == 1
    assert errors[0].startswith(strange if is_keyed(cluster) else "in the words of a stranger")

"""Runs that are too large or too long for the server: payloads among the blobs, encrypted; histories that begin anew,
and that outlive the server's memory of them."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from tests.contract.cli_world import World
from tests.contract.temporal.world import (
    SOON_S,
    Cluster,
    cluster_in,
    history,
    other_build,
    run_on,
    server_histories,
    server_in,
    until,
)

from interlock.core.events import Action, AnswerTaken, CandidateRejected, Recorded, Refused, VerdictGiven
from interlock.engines.temporal.messages import ANSWER, event_row
from interlock.engines.temporal.payloads import leave_key, read_keys
from interlock.engines.temporal.server import Server as Connected
from interlock.journal import FileBlobs

WORD = "visible-to-nobody"
HEAD = """\
version: 1
agents:
  writer: {use: command, run: [bash, -c, 'echo "$INTERLOCK_ATTEMPT" >> a.txt']}
"""
ASKS = """\
stages:
  code: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
"""
LOOPS = """\
stages:
  plan: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
  code:
    needs: [plan]
    agent: writer
    attempts: 2
    gates: [{id: third, run: "grep -q 3.1 a.txt"}]
    on_reject: [{goto: plan, max: 5}]
  seal: {needs: [code], agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
"""
RESTLESS = (
    "stages:\n"
    "  slow: {run: echo x > c.txt, gates: [{id: g, run: 'test ! -e c.txt || sleep 15'}]}\n"
    + "".join(
        f"  a{number}: {{needs: [{needs}], run: echo {number} > a.txt, gates: [{{id: g, run: 'true'}}]}}\n"
        for number, needs in enumerate(["", *(f"a{former}" for former in range(7))])
    )
    + "  end: {needs: [a7, slow], run: 'echo x > end.txt', gates: [{id: g, run: test -s a.txt}]}\n"
)
GATE = r"""
import json, sys
result = {"ruleId": "R", "level": "error", "message": {"text": "\U0001f600" * 1990 + sys.argv[1]}}
wrong = "good" not in open("a.txt").read()
run = {"tool": {"driver": {"name": "t"}}, "results": [result] * 100 if wrong else []}
print(json.dumps({"version": "2.1.0", "runs": [run]}), file=open(sys.argv[2], "w"))
sys.exit(wrong)
"""
LONG = """\
version: 1
agents:
  writer:
    use: command
    run: [bash, -c, 'if grep -q 1.2 <<< "$INTERLOCK_ATTEMPT"; then echo good indeed; else echo x; fi > a.txt']
inputs: {about: {default: ""}}
stages:
  code:
    agent: writer
    attempts: 2
    gates:
""" + "".join(f'      - {{id: g{one}, run: "python3 gate.py {one} $REPORT", report: sarif}}\n' for one in range(5))


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With runs that soon begin anew, and with a key."""
    folder = tmp_path_factory.mktemp("sizes")
    (folder / "key").write_text(secrets.token_hex(32))
    path = other_build(folder / "other", "engines/temporal/flow.py", "_LONG = 4_000", "_LONG = 40")
    with (
        server_in(folder) as server,
        cluster_in(folder / "many", server, {"codec_key": str(folder / "key")}, PYTHONPATH=path) as found,
    ):
        yield found


def forget(many: Cluster, run: str) -> None:
    """What the server does when retention is over."""

    async def ask() -> None:
        client = await Client.connect(f"127.0.0.1:{many.server.port}")
        async for one in client.list_workflows(f'WorkflowId = "interlock-{run}"'):
            execution = WorkflowExecution(workflow_id=one.id, run_id=one.run_id)
            request = DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=execution)
            await client.workflow_service.delete_workflow_execution(request)

    def is_gone() -> bool:
        async def look() -> bool:
            client = await Client.connect(f"127.0.0.1:{many.server.port}")
            try:
                await client.get_workflow_handle(f"interlock-{run}").describe()
            except RPCError:
                return True
            return False

        return asyncio.run(look())

    asyncio.run(ask())
    until(is_gone, "the server still knows the run")


def events_of(world: World, run: str) -> list[object]:
    records: list[Recorded] = history(world, run)
    assert all(later.seq == former.seq + 1 for former, later in pairwise(records))
    return [record.event for record in records]


def test_a_long_run_begins_anew_and_outlives_the_servers_memory(tmp_path: Path, early: Cluster) -> None:
    """With loops and an open question; encrypted; forgotten by the server, and read from what was kept."""
    far = early.submitter(tmp_path / "far", {"interlock.yaml": HEAD + LOOPS})
    run = run_on(far, code=3)
    assert len(server_histories(early.server, run)) > 3
    shutil.copytree(tmp_path / "far/state", tmp_path / "before")
    far.ask("reject", run, "-m", WORD, "--plain").ended(3)
    far.ask("approve", run, "--plain").ended(0, "accepted")
    told = events_of(far, run)
    assert [event.comment for event in told if isinstance(event, AnswerTaken)] == [WORD, ""]
    kept = [event for part in server_histories(early.server, run) for event in part.events]
    said = b"".join(event.SerializeToString() for event in kept)
    assert b"test -s" not in said
    assert WORD.encode() not in said
    forget(early, run)
    shutil.rmtree(tmp_path / "far/state")
    shutil.move(tmp_path / "before", tmp_path / "far/state")
    assert len(events_of(far, run)) < len(told)
    far.ask("resume", run, "--plain").ended(0, "accepted")
    assert events_of(far, run) == told


def test_no_answer_is_lost_while_a_run_begins_anew(tmp_path: Path, early: Cluster) -> None:
    """Each answer that comes makes the history longer, so that it begins anew under the answers that follow."""
    far = early.submitter(tmp_path / "far", {"interlock.yaml": HEAD + ASKS})
    run = run_on(far, code=3)
    sent = [AnswerTaken(f"answer-{number}", Action.RETRY, "me", stage="nowhere") for number in range(60)]
    keys = read_keys(Path(early.settings["codec_key"]))
    server = Connected(f"127.0.0.1:{early.server.port}", "default", early.queue, FileBlobs(early.root / "blobs"), keys)

    async def send() -> None:
        handle = (await server.connect()).get_workflow_handle(f"interlock-{run}")
        for start in [*range(0, len(sent), 4), 0]:  # the first ones twice: the second time is nothing
            await asyncio.gather(*(answered(handle, answer) for answer in sent[start : start + 4]))

    asyncio.run(send())
    far.ask("resume", run, "--plain").ended(3)
    refused = [event.subject for event in events_of(far, run) if isinstance(event, Refused)]
    assert sorted(refused) == sorted(answer.answer for answer in sent)
    assert len(server_histories(early.server, run)) > 3


def test_a_run_that_never_rests_begins_anew_before_the_server_ends_it(tmp_path: Path, early: Cluster) -> None:
    """From 40 events on it would, and from 60 on it has to."""
    soon = other_build(tmp_path / "soon", "engines/temporal/flow.py", "_LONG = 4_000", "_LONG = 40")
    path = other_build(tmp_path / "other", "engines/temporal/flow.py", "_LONG = 12_000", "_LONG = 60", of=Path(soon))
    with cluster_in(tmp_path / "many", early.server, PYTHONPATH=path) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": "version: 1\n" + RESTLESS})
        run = run_on(far)
        assert max(len(part.events) for part in server_histories(many.server, run)) < 90


async def answered(handle: WorkflowHandle[Any, Any], answer: AnswerTaken) -> None:
    """As who follows a run sends it: again where the server could not take it."""
    while True:
        try:
            await handle.execute_update(ANSWER, [event_row(answer)], id=answer.answer)
        except RPCError as error:
            print(error.status, error)
        else:
            return


def test_who_asks_for_a_run_that_is_nowhere_is_told(tmp_path: Path, early: Cluster) -> None:
    far = early.submitter(tmp_path / "far", {"interlock.yaml": HEAD + LOOPS})
    run = run_on(far, code=3)
    forget(early, run)
    said = far.ask("resume", run, "--plain")
    assert said.code == 5, said.text
    assert f"does not know run {run}, and " in said.text


def test_nothing_that_is_legal_is_too_large(tmp_path: Path, early: Cluster) -> None:
    """Five verdicts of 100 findings in emoji, 12 MB, an input of 100 kB."""
    far = early.submitter(tmp_path / "far", {"interlock.yaml": LONG, "gate.py": GATE, "a.txt": "good\n"})
    run = run_on(far, "--input", "about=" + "\U0001f600" * 25_000)
    told = events_of(far, run)
    verdicts = [event for event in told if isinstance(event, VerdictGiven) and event.findings]
    assert len(verdicts) == 5
    assert all(verdict.evidence_of("findings") for verdict in verdicts)
    rejected = next(event for event in told if isinstance(event, CandidateRejected))
    feedback = FileBlobs(early.root / "blobs").get(rejected.feedback)
    assert len(json.loads(feedback)["findings"]) == 500
    assert max(event.ByteSize() for part in server_histories(early.server, run) for event in part.events) < 18_000
    shown = far.ask("logs", run, "code/1.1", "g0", "--findings").ended(0)
    assert len(json.loads(shown.text)) == 100


def test_a_machine_with_another_key_is_told(tmp_path: Path, early: Cluster) -> None:
    far = early.submitter(tmp_path / "far", {"interlock.yaml": HEAD + LOOPS})
    (tmp_path / "other").write_text(secrets.token_hex(32))
    settings = next(tmp_path.rglob("settings.yaml"))
    given = json.loads(settings.read_text())["temporal"]
    del given["codec_key"]
    run_on(far, code=3)
    for key in ({"codec_key": str(tmp_path / "other")}, {}):
        settings.write_text(json.dumps({"temporal": given | key}))
        for words in (("run", "--engine", "temporal", "-t", "x"), ("worker",), ("worker", "--controller")):
            said = far.ask(*words)
            assert said.code == 5, said.text
            assert "set temporal.codec_key" in said.text
        assert "set temporal.codec_key" in far.ask("list").ended(0).err, "the server is said not to answer"


def test_who_alone_has_a_key_is_refused_while_others_are_at_work(tmp_path: Path, early: Cluster) -> None:
    with cluster_in(tmp_path / "many", early.server) as many:
        (tmp_path / "key").write_text(secrets.token_hex(32))
        many.settings["codec_key"] = str(tmp_path / "key")
        far = many.submitter(tmp_path / "far", {"interlock.yaml": HEAD + ASKS})
        for words in (("run", "--engine", "temporal", "-t", "x"), ("worker",)):
            far.ask(*words).ended(5, "this machine has a key for payloads, and ", "take temporal.codec_key out of")
        del many.settings["codec_key"]
        many.settle(far)
        run_on(far, code=3)


def test_workers_that_lack_a_new_key_end_and_say_so(tmp_path: Path, early: Cluster) -> None:
    with cluster_in(tmp_path / "many", early.server) as many:
        (tmp_path / "key").write_text(secrets.token_hex(32))
        many.settings["codec_key"] = str(tmp_path / "key")
        far = many.submitter(tmp_path / "far", {"interlock.yaml": HEAD + ASKS})
        leave_key(FileBlobs(many.root / "blobs", shared=True), read_keys(tmp_path / "key"))  # as they came together
        process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
        for machine in many.machines:
            _, said = machine.communicate(timeout=SOON_S)
            assert machine.returncode == 5, said
            assert "set temporal.codec_key" in said
        many.start("keeper", "--controller")
        many.start("other")
        _, said = process.communicate(timeout=SOON_S)
        assert process.returncode == 3, said

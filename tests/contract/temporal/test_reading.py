"""Runs on Temporal as every surface shows them, whether or not a process follows them here."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

from mcp import Client
from tests.contract.cli_world import World
from tests.contract.mcp.world import ask, talk
from tests.contract.temporal.test_kills import at_work, started
from tests.contract.temporal.world import Cluster, cluster_in, run_in, server_in, until
from tests.contract.web.world import served

from interlock.bootstrap import build
from interlock.cli.verbs.gc import DAY_S
from interlock.cli.verbs.gc import _live as refs_to_keep

ASKS = """\
version: 1
agents:
  slow:
    use: command
    run: [bash, -c, 'echo $$ >> "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.05; done; echo x >> a.txt']
stages:
  code: {agent: slow, gates: [{id: g, run: "test -s a.txt"}, {id: ok, approve: "Is it good?"}]}
"""
PLAIN = ASKS.replace(', {id: ok, approve: "Is it good?"}', "")


def submitter(many: Cluster, folder: Path, pipeline: str) -> World:
    """A machine whose agents wait for a file in `folder`."""
    return many.submitter(folder / "far", {"interlock.yaml": pipeline.replace("$HERE", str(folder))})


def left(many: Cluster, folder: Path, pipeline: str) -> tuple[World, str]:
    """A run at work whose submitter was killed, so that nobody follows it."""
    far = submitter(many, folder, pipeline)
    process = started(far, folder)
    process.kill()
    _, said = process.communicate()
    return far, run_in(said)


def phase(far: World, run: str) -> str:
    found: str = far.ask("status", run, "--json").json()["run"]["phase"]
    return found


def waits(far: World, run: str, wanted: str) -> None:
    until(lambda: phase(far, run) == wanted, f"the run never was {wanted}")


def test_a_run_that_nobody_follows_is_read_and_answered(tmp_path: Path, many: Cluster) -> None:
    far, run = left(many, tmp_path, ASKS)
    assert phase(far, run) == "running"
    assert "interrupted" not in far.ask("list").ended(0, "running").text
    (tmp_path / "go").touch()
    waits(far, run, "waiting")
    far.ask("list").ended(0, "waiting")
    far.ask("show", run).ended(0, "Is it good?", "a.txt")
    far.ask("diff", run, "base", "code/1.1").ended(0, "+x")
    far.ask("logs", run, "code/1.1").ended(0)

    async def read(client: Client) -> None:
        assert (await ask(client, "get_run", run=run))["phase"] == "waiting"
        await ask(client, "answer", run=run, action="reject", attempt="code/1.1", comment="once more")

    talk(far, read, "--allow-answers")
    with served(far) as page, page.client() as client:
        until(lambda: len(client.get(f"/api/v1/runs/{run}").json()["run"]["stages"][0]["attempts"]) == 2)
    far.ask("watch", run, "--plain").ended(3)
    far.ask("approve", run, "--plain").ended(0, "accepted")
    far.ask("approve", run).ended(2, "is accepted: ", "approved code/1.2 (gate ok)")
    assert "interlock/" in far.git("branch", "--list", "interlock/*")


def test_who_signed_is_trusted_once_a_person_says_so(tmp_path: Path, many: Cluster) -> None:
    far, run = left(many, tmp_path, PLAIN)
    (tmp_path / "go").touch()
    far.ask("watch", run, "--plain").ended(0, "accepted")
    far.ask("verify", run).ended(1, "such as a controller", "interlock key --trust KEYFILE")
    controller = many.machine("controller")
    key = tmp_path / "controller.pub"
    key.write_text(controller.ask("key").ended(0).out)
    far.ask("verify", run, "--key", str(key)).ended(0, "is verified")
    far.ask("key", "--trust", str(key)).ended(0)
    far.ask("verify", run).ended(0, "is verified")


def test_an_accepted_run_says_that_it_waits_for_its_repository(tmp_path: Path, many: Cluster) -> None:
    far, run = left(many, tmp_path, PLAIN)
    (tmp_path / "go").touch()
    waits(far, run, "interrupted")
    far.ask("status", run).ended(0, "waits for its repository", f"interlock resume {run}")
    shown = f"{far.ask('status', run).text} {far.ask('list').text}"
    assert shown.count("unattended") == 2
    assert "no process" not in shown
    assert "interrupted" not in shown
    other = many.submitter(tmp_path / "other", {"b.txt": "another project\n"})
    other.ask("resume", run, "--plain").ended(5, "waits for its repository")
    far.ask("watch", run, "--plain").ended(0, "accepted")
    assert "interlock/" in far.git("branch", "--list", "interlock/*")


def test_a_worker_in_the_checkout_delivers_and_notifies(tmp_path: Path, many: Cluster) -> None:
    far, run = left(many, tmp_path, PLAIN)
    settings = next(far.root.rglob("settings.yaml"))
    told = {"notify": {"command": ["bash", "-c", f"cat >> {tmp_path}/told"]}, **json.loads(settings.read_text())}
    settings.write_text(json.dumps(told))
    process = far.start("worker", "--deliver")
    assert process.stderr is not None
    try:
        assert process.stderr.readline().startswith("worker ")
        far.ask("worker", "--deliver").ended(5, "being used by")
        assert phase(far, run) == "running"
        (tmp_path / "go").touch()
        waits(far, run, "accepted")
        assert "interlock/" in far.git("branch", "--list", "interlock/*")
        until(lambda: (tmp_path / "told").exists() and run in (tmp_path / "told").read_text(), "nobody was told")
    finally:
        process.terminate()
        _, said = process.communicate()
    assert (process.returncode, "the worker has stopped" in said) == (0, True), said
    assert f"run {run} accepted: branch interlock/" in said


def test_a_server_that_is_gone_leaves_the_copy_and_keeps_answers(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with server_in(folder) as server, cluster_in(tmp_path / "many", server) as many:
        far, run = left(many, tmp_path, ASKS)
        (tmp_path / "go").touch()
        waits(far, run, "waiting")
        server.kill()
        far.ask("status", run).ended(0, "Is it good?", "note: the Temporal server at", "was known of its runs here")
        assert "does not answer" in far.show(run)["behind"]
        far.ask("list").ended(0, "waiting", "note: ")

        async def read(client: Client) -> None:
            told = await ask(client, "get_run", run=run)
            assert (told["phase"], "does not answer" in told["may_be_old"]) == ("waiting", True)

        talk(far, read)
        far.ask("approve", run, "--plain").ended(5, "the answer is kept here")
        server.start()
        until(lambda: phase(far, run) == "interrupted", "the answer did not reach the run")
        far.ask("resume", run, "--plain").ended(0, "accepted")


def test_who_follows_is_not_disturbed_by_who_looks(tmp_path: Path, many: Cluster) -> None:
    far = submitter(many, tmp_path, PLAIN)
    process = started(far, tmp_path)
    looks = [far.start("watch", "--plain") for _ in range(3)]
    (tmp_path / "go").touch()
    while process.poll() is None:
        assert "interrupted" not in far.ask("status").ended(0).text
    _, said = process.communicate()
    assert process.returncode == 0, said
    for look in looks:
        said = "".join(look.communicate(timeout=120))
        assert (look.returncode, "accepted" in said) == (0, True), said


def test_another_clone_reads_a_run_by_its_id(tmp_path: Path, many: Cluster) -> None:
    far, run = left(many, tmp_path, ASKS)
    (tmp_path / "go").touch()
    waits(far, run, "waiting")
    other = many.submitter(tmp_path / "other", {"b.txt": "another project\n"})
    other.ask("status", run).ended(0, "Is it good?")
    other.ask("diff", run, "base", "code/1.1").ended(0, "+x")
    other.ask("list").ended(0, run)
    with closing(build(other.repository, other.environment())) as app:
        app.workspaces.collect(tuple(refs_to_keep(app)), DAY_S, time.time() + 30 * DAY_S)
    other.ask("diff", run, "base", "code/1.1").ended(0, "+x")
    unknown = run[:-1] + ("1" if run.endswith("0") else "0")
    other.ask("status", unknown).ended(2, "no run")
    other.ask("cancel", run)
    assert other.show(run)["phase"] == phase(far, run) == "cancelled"
    assert len(at_work(tmp_path)) == 1

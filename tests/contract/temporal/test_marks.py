"""Machines that have other blobs than a run take nothing of it, and it is said which they are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from tests.contract.cli_world import World
from tests.contract.temporal.test_blob_faults import TWO
from tests.contract.temporal.test_doctor import QUICK, told
from tests.contract.temporal.test_placing import said_until
from tests.contract.temporal.world import Cluster, Server, cluster_in, free_port, run_on

from interlock.engines.temporal import server as connecting
from interlock.engines.temporal.server import Server as Connected
from interlock.journal import FileBlobs, MemoryBlobs
from interlock.ports import InfrastructureError, NamedBlobs

LABELLED = """\
version: 1
stages:
  code: {labels: [gpu], run: "echo x > a.txt", gates: [{id: g, run: "test -s a.txt"}]}
"""


def elsewhere(many: Cluster, name: str, *words: str) -> str:
    """A machine with other blobs. Returns the name of its worker."""
    world = many.machine(name)
    other(world, many)
    process = many.ready(world.start("worker", *words))
    return f"the {'controller' if '--controller' in words else 'worker'} at {process.pid}@"


def other(world: World, many: Cluster) -> None:
    """Its settings name other blobs."""
    (many.root / "others").mkdir(exist_ok=True)
    file = Path(world.environment()["XDG_CONFIG_HOME"]) / "interlock" / "settings.yaml"
    settings = json.loads(file.read_text())
    settings["temporal"]["blobs"] = str(many.root / "others")
    file.write_text(json.dumps(settings))


def test_a_worker_with_other_blobs_takes_nothing_and_is_named(tmp_path: Path, server: Server) -> None:
    with cluster_in(tmp_path / "many", server) as many:
        other_one = elsewhere(many, "other", "--labels", "gpu")
        far = many.submitter(tmp_path / "far", {"interlock.yaml": LABELLED})
        process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
        line = said_until(process, "base         gate")
        assert f"waits for a worker with these blobs: {other_one}" in line
        assert line.endswith(" has others: set temporal.blobs there\n")
        assert "other blobs than this machine" in told(far)["temporal"]
        many.start("right", "--labels", "gpu")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err


def test_a_controller_with_other_blobs_decides_nothing_and_is_named(tmp_path: Path, server: Server) -> None:
    many = Cluster(tmp_path / "many", server, f"q{free_port()}")
    try:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": QUICK})
        process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
        said_until(process, "waits for a controller: interlock worker --controller")
        other_one = elsewhere(many, "other", "--controller")
        assert f"waits for a controller with these blobs: {other_one}" in said_until(process, "with these blobs")
        process.kill()
        process.communicate()
        words = f"these blobs are not those of the queue {many.queue}: {other_one.split()[-1]}"
        far.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(5, words, "set temporal.blobs to the same")
        assert words in told(far)["temporal"]
        many.start("worker")
        right = many.machine("right").start("worker", "--controller")
        assert words in said_until(right, "these blobs")
        many.ready(right)
        far.ask("resume", "--plain").ended(0, "accepted")
    finally:
        many.close()


def test_a_mark_that_was_replaced_ends_workers_and_is_put_back(tmp_path: Path, server: Server) -> None:
    with cluster_in(tmp_path / "many", server) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": TWO})
        run = run_on(far, code=3)
        mark = many.root / "blobs/named/mark"
        right = mark.read_bytes()
        mark.write_bytes(b"0" * 16)
        for machine in many.machines:
            assert f"the mark {right.decode()} of these blobs was replaced by 0" in machine.communicate(timeout=60)[1]
            assert machine.returncode == 5
        many.start("controller", "--controller")
        far.ask("approve", run, "--plain").ended(5, f"run {run} has other blobs (mark {right.decode()}) than")
        far.ask("status", run).ended(0, "has other blobs")
        for machine in many.machines:
            machine.kill()
        mark.write_bytes(right)
        many.start("controller", "--controller")
        many.start("worker")
        far.ask("resume", run, "--plain").ended(0, "accepted")


@pytest.fixture
def blobs(monkeypatch: pytest.MonkeyPatch) -> MemoryBlobs:
    monkeypatch.setattr(connecting, "_CHECK_S", 0.01)
    monkeypatch.setattr(connecting, "_lost", answers)
    return MemoryBlobs()


async def answers(client: object) -> str:
    """As a server that is there."""
    return ""


def reached(blobs: NamedBlobs) -> Connected:
    return Connected("127.0.0.1:1", "default", "q", blobs)


def attend(blobs: NamedBlobs, mark: str, seconds: float) -> None:
    work = asyncio.sleep(seconds)
    asyncio.run(reached(blobs).attended(cast(Any, None), work, mark, lambda _: None))


def test_blobs_without_a_mark_get_one_and_keep_it(blobs: MemoryBlobs) -> None:
    assert reached(blobs).kept_mark() == ""
    assert reached(blobs).mark() == reached(blobs).mark() == reached(blobs).kept_mark() != reached(MemoryBlobs()).mark()


def test_a_mark_may_be_away_for_a_while(blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = reached(blobs).mark()
    looks = iter([b"", None, None, None])
    there = blobs.kept
    monkeypatch.setattr(blobs, "kept", lambda name: next(looks, there("mark")) if name == "mark" else None)
    next(looks)
    attend(blobs, mark, 0.2)
    assert list(looks) == []


def test_a_mark_that_is_gone_for_long_ends_the_work(blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "_GONE_MAX", 3)
    with pytest.raises(InfrastructureError, match="the mark 0123456789abcdef of these blobs is gone: mount the right"):
        attend(blobs, "0123456789abcdef", 60)


def test_what_is_no_mark_is_said(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    blobs.keep("mark", b"../x")
    with pytest.raises(InfrastructureError, match="named/mark holds no mark of blobs: restore it"):
        reached(blobs).mark()


def test_an_identity_tells_whose_blobs_it_has() -> None:
    assert connecting.mark_in(connecting.identity("7@there", "0123456789abcdef")) == "0123456789abcdef"
    assert connecting.mark_in(connecting.identity("7@there")) == ""

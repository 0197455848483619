"""What `doctor`, `run` and `worker` say of a server and of blobs before anything relies on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.bucket_world import KEYS, S3, bucket_served
from tests.contract.cli_world import World, new_world
from tests.contract.temporal.tls import Authority, fronted
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, run_in

from interlock.core.events import HandoffAccepted

QUICK = """\
version: 1
stages:
  code: {run: "echo x > a.txt", gates: [{id: g, run: "test -s a.txt"}]}
"""


def settle(world: World, **settings: Any) -> None:
    folder = Path(world.environment()["XDG_CONFIG_HOME"]) / "interlock"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.yaml").write_text(json.dumps(settings))


def told(world: World) -> dict[str, str]:
    """What doctor says of each topic, the last where there are several."""
    said = world.ask("doctor", "--json")
    return {one["topic"]: f"{one['level']}: {one['text']}" for one in said.json()["looked"]}


def test_doctor_tells_of_the_server_its_blobs_and_who_polls(tmp_path: Path, many: Cluster) -> None:
    world = many.submitter(tmp_path, {"interlock.yaml": QUICK})
    said = told(world)
    assert said["blobs"] == f"ok: {many.root / 'blobs'}: written and read back"
    address = f"127.0.0.1:{many.server.port}"
    assert said["temporal"].startswith(f"ok: {address}: 1.")
    assert said["temporal"].endswith("namespace default, no TLS, its clock is ours")
    assert said["controllers"].startswith(f"ok: 1 on the queue {many.queue}: {many.machines[0].pid}@")
    settle(world, temporal={"address": address, "queue": "nobody", "blobs": str(many.root / "blobs")})
    said = told(world)
    assert said["controllers"] == "warn: none serves the queue nobody: start one: interlock worker --controller"
    assert said["workers"] == "warn: none serves the queue nobody: start one: interlock worker"


def test_evidence_that_only_the_shared_blobs_have_is_not_missing(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": QUICK})
    far.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(0)
    said = told(far)
    assert said["evidence"].startswith("ok: ")
    assert said["evidence"].endswith(" of the newest events, all present")
    for blob in (many.root / "blobs").glob("??/*"):
        blob.unlink()
    assert "are missing" in told(far)["evidence"]


def test_doctor_says_nothing_of_a_server_that_nobody_named(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": QUICK})
    assert "temporal" not in told(world)
    settle(world, temporal={"address": "127.0.0.1:1"})
    world.ask("doctor", "--engine", "temporal").ended(2, "127.0.0.1:1 is trusted only with the key that")
    settle(world, temporal={"address": "127.0.0.1:1", "blobs": str(tmp_path)})
    world.ask("doctor", "--engine", "temporal").ended(5, "no Temporal server answers at 127.0.0.1:1")


@pytest.mark.parametrize("words", [("worker",), ("run", "--engine", "temporal", "-t", "x")])
def test_wrong_settings_are_told_before_anything_is_started(
    tmp_path: Path, server: Server, words: tuple[str, ...]
) -> None:
    world = new_world(tmp_path, {"interlock.yaml": QUICK})
    right = {"address": f"127.0.0.1:{server.port}", "blobs": str(tmp_path / "shared")}
    settle(world, temporal=right)
    world.ask(*words).ended(5, f"there is no folder {tmp_path / 'shared'}: mount or make it")
    (tmp_path / "shared").mkdir()
    for wrong, code, text in (
        ({"namespace": "nope"}, 5, "no namespace nope: correct temporal.namespace"),
        ({"address": "127.0.0.1:1"}, 5, "start one with `interlock dev`"),
        ({"tls": {"ca": "/nowhere"}}, 2, "temporal.tls.ca: /nowhere cannot be read"),
        ({"api_key": "NO_SUCH_KEY"}, 2, "environment variable NO_SUCH_KEY, which is not set"),
        ({"blobs": "here"}, 2, "expected an absolute path, or s3://BUCKET/PREFIX"),
        ({"address": "elsewhere.invalid:7233", "blobs": ""}, 2, "temporal.blobs"),
    ):
        settle(world, temporal={**right, **wrong})
        world.ask(*words).ended(code, text)
    assert world.ask("list", "--json").json()["runs"] == []


@pytest.fixture
def bucket() -> Iterator[tuple[S3, str]]:
    s3 = S3("team")
    with bucket_served(s3) as endpoint:
        yield s3, endpoint


def test_a_run_over_tls_with_blobs_in_a_bucket(
    tmp_path: Path, server: Server, bucket: tuple[S3, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the settings alone; the controller, the worker and the submitter have no folder in common."""
    s3, endpoint = bucket
    ours = Authority(tmp_path, "ours")
    cert, key = ours.sign("client")
    with fronted(server.port, ours.sign("server"), ours.file) as port:
        files = {"ca": str(ours.file), "cert": str(cert), "key": str(key)}

        def settled(made: Cluster, world: World) -> None:
            temporal = {"address": f"localhost:{port}", "queue": made.queue, "tls": files}
            settle(world, engine="temporal", temporal={**temporal, "blobs": "s3://team/x", "blobs_endpoint": endpoint})

        monkeypatch.setattr(Cluster, "settle", settled)
        with cluster_in(tmp_path / "many", server, **KEYS) as many:
            far = many.submitter(tmp_path / "far", {"interlock.yaml": QUICK}, **KEYS)
            run = run_in(far.ask("run", "--plain", "-t", "x").ended(0).err)
            assert any(isinstance(record.event, HandoffAccepted) for record in history(far, run))
            assert told(far)["temporal"].endswith("TLS, its clock is ours")
            far.ask("run", "--engine", "local", "--plain", "-t", "x").ended(0)
    assert any(name.startswith("x/") for name in s3.objects)


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that even root cannot write")
def test_blobs_that_cannot_be_written(tmp_path: Path, server: Server) -> None:
    world = new_world(tmp_path, {"interlock.yaml": QUICK})
    settle(world, temporal={"address": f"127.0.0.1:{server.port}", "blobs": "/sys/kernel"})
    world.ask("worker").ended(5, "Permission denied: make it writable, or correct temporal.blobs")

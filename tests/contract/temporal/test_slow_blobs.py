"""A bucket that is slow, or does not answer at all: a run goes on, or says so within a bound."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("obstore", reason="the library of buckets is not installed")

from tests.contract.bucket_world import KEYS, S3, bucket_served
from tests.contract.cli_world import World
from tests.contract.temporal.test_doctor import QUICK
from tests.contract.temporal.test_placing import LONG, said_until
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, other_build, run_on, until

from interlock.core.events import AttemptErrored, AttemptLost, AttemptStarted

BOUND = ("_REQUEST = timedelta(minutes=5)", "_REQUEST = timedelta(seconds=3)")


@pytest.fixture
def bucket(tmp_path: Path, server: Server) -> Iterator[tuple[S3, Cluster]]:
    """Machines that wait three seconds for an answer in place of five minutes."""
    s3, path = S3("team"), other_build(tmp_path / "build", "journal/bucket.py", *BOUND)
    with bucket_served(s3) as endpoint:
        settings = {"blobs": "s3://team/x", "blobs_endpoint": endpoint}
        environ = {**KEYS, "HERE": str(tmp_path), "PYTHONPATH": path}
        with cluster_in(tmp_path / "many", server, settings, **environ) as many:
            yield s3, many
            s3.hangs = False


def submitter(tmp_path: Path, many: Cluster, pipeline: str) -> World:
    return many.submitter(
        tmp_path / "far", {"interlock.yaml": pipeline}, HERE=str(tmp_path), PYTHONPATH=str(tmp_path / "build"), **KEYS
    )


def test_a_bucket_that_takes_two_seconds_for_each_answer_is_waited_for(
    tmp_path: Path, bucket: tuple[S3, Cluster]
) -> None:
    s3, many = bucket
    far = submitter(tmp_path, many, QUICK)
    s3.slow_s = 2.0
    events = [record.event for record in history(far, run_on(far))]
    assert len([event for event in events if isinstance(event, AttemptStarted)]) == 1
    assert not [event for event in events if isinstance(event, AttemptLost | AttemptErrored)]


def test_a_bucket_that_hangs_is_said_and_the_run_goes_on_once_it_answers(
    tmp_path: Path, bucket: tuple[S3, Cluster]
) -> None:
    s3, many = bucket
    far = submitter(tmp_path, many, LONG)
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    until((tmp_path / "at-work").exists, "no attempt began")
    s3.hangs = True
    (tmp_path / "go").touch()
    line = said_until(process, "cannot write to s3://team/x")
    assert f"on {many.machines[1].pid}@" in line
    s3.hangs = False
    process.communicate(timeout=300)
    limit = time.monotonic() + 300
    while far.show()["phase"] != "accepted":
        assert time.monotonic() < limit
        far.ask("resume", "--plain")
    events = [record.event for record in history(far, str(far.show()["id"]))]
    assert not [event for event in events if isinstance(event, AttemptLost)], "its worker was heard of all the time"

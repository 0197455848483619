"""Sixty-four racers accept one handoff at once, in four processes: one is accepted, and its record is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.kill.racers import ATTEMPT
from tests.kill.scene import PROJECT
from tests.nightly import rest_at_night

from interlock.application import Application
from interlock.bootstrap import build
from interlock.core.events import HandoffAccepted, TimeReached

PROCESSES, RACERS = 4, 64
ROUNDS = rest_at_night([3, 997])


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    world = new_world(tmp_path / "world", {"start.txt": "start\n"})
    made = build(world.repository, world.environment())
    made.workspaces.import_base()
    made.keys.signer()
    yield made
    made.close()


@pytest.fixture
def racers(app: Application) -> Iterator[list[subprocess.Popen[str]]]:
    environ = {**app.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "src")])}
    with ExitStack() as stack:
        started = []
        for number in range(PROCESSES):
            words = [
                sys.executable,
                "-m",
                "tests.kill.racers",
                str(app.repository),
                str(number),
                str(RACERS // PROCESSES),
            ]
            pipe = subprocess.PIPE
            one = stack.enter_context(subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=environ))
            stack.callback(one.kill)
            started.append(one)
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield started


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_64_that_accept_one_handoff_one_does(
    app: Application, racers: list[subprocess.Popen[str]], rounds: int
) -> None:
    for number in range(rounds):
        run = f"run{number}"
        app.journal.create(run, 0.0, TimeReached(0.0))
        fence = app.journal.take(run)
        for one in racers:
            assert one.stdin is not None
            one.stdin.write(f"{run} {fence}\n")
            one.stdin.flush()
        told = [json.loads(one.stdout.readline()) for one in racers if one.stdout is not None]
        won = [each for process in told for each in process]
        assert len(won) == RACERS
        (record,) = (each["event"] for each in won if "event" in each)
        (ref,) = (each["ref"] for each in won if "ref" in each)
        _, accepted = app.journal.records(run)
        assert accepted.event == HandoffAccepted(ATTEMPT, record[:40], record[:40], record)
        assert app.workspaces.stored_records.get(run, record) == app.blobs.get(record)
        assert (app.paths.store / f"refs/interlock/{run}/code/1.1").read_text().strip() == ref

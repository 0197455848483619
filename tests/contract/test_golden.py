"""Stores that released versions wrote: every verb runs on them, and what was in flight goes on.

`scripts/golden COMMIT` makes one. Each holds a run that was accepted, one with a join, one that was cancelled, one that
waits for an approval, one whose attempts were all rejected, and one whose owner was killed at work.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World
from tests.contract.golden_world import STORES, TASKS, phases, runs, unpacked
from tests.nightly import rest_at_night


@pytest.fixture(params=rest_at_night(STORES), ids=lambda path: path.name.partition(".")[0])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return unpacked(request.param, tmp_path)


@pytest.mark.parametrize("world", STORES, indirect=True, ids=lambda path: path.name.partition(".")[0])
def test_each_run_is_as_it_was(world: World) -> None:
    assert phases(world) == TASKS
    world.ask("list").ended(0, *runs(world).values())
    for task, run in runs(world).items():
        assert world.show(run)["phase"] == TASKS[task]
        for words in (["status", run], ["show", run], ["export", run], ["export", run, "--format=junit"]):
            world.ask(*words).ended(0)
    world.ask("doctor")
    world.ask("gc", "--dry-run").ended(0)
    world.ask("gc").ended(0)
    assert phases(world) == TASKS


def test_what_was_tried_can_be_read(world: World) -> None:
    run = runs(world)["accepted"]
    world.ask("show", run, "code/1.1").ended(0, "scope")
    world.ask("show", run, "code/1.3").ended(0, "review")
    world.ask("logs", run, "code/1.3", "test").ended(0)
    world.ask("diff", run, "base", "code").ended(0, "+yes")
    world.ask("diff", runs(world)["rejected"], "base", "code/1.2").ended(0, "+no")


def test_what_waits_is_answered(world: World) -> None:
    known = runs(world)
    world.ask("approve", known["waits"], "--plain").ended(0, "accepted")
    world.ask("accept", known["rejected"], "code/1.2", "--override", "--plain").ended(0, "accepted")
    assert world.git("show", f"interlock/{known['waits']}:src/a.txt") == "yes"


def test_what_was_in_flight_goes_on(world: World) -> None:
    run = runs(world)["in flight"]
    world.ask("resume", run, "--plain").ended(0, "accepted")
    assert [attempt["phase"] for attempt in world.show(run)["stages"][0]["attempts"]] == ["lost", "accepted"]


def test_what_is_unfinished_is_cancelled(world: World) -> None:
    known = runs(world)
    for task in ("in flight", "rejected", "waits"):
        world.ask("cancel", known[task], "--plain").ended(0)
        assert world.show(known[task])["phase"] == "cancelled"


def test_a_new_run_uses_what_is_kept(world: World) -> None:
    world.ask("run", "-p", "full", "-t", "more", "--plain").ended(3, "waits for an approval")
    assert len(runs(world)) == len(TASKS) + 1


def test_there_is_a_store_of_each_released_format() -> None:
    assert {path.name.partition(".")[0] for path in STORES} >= {"61f2979", "122833b", "chained"}

"""Collecting: what is old and not live goes, all else stays; and the bytes on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, make_world

from interlock.core.ids import AttemptId
from interlock.workspaces import Collected, GitWorkspaces, base_ref, received_ref

DAY = 86_400.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


def collect(world: World, *live: str, days: float = 0.0, older_than_s: float = 0.0) -> Collected:
    """Collect as if `days` had passed."""
    return world.workspaces.collect(live, older_than_s, time.time() + days * DAY)


def test_what_is_younger_than_a_day_stays(world: World) -> None:
    candidate = world.attempted({"a.txt": "x\n"}, world.base().commit, 1)
    done = collect(world, days=0.9)
    assert (done.refs, done.objects, done.checkouts) == (0, 0, 0)
    assert world.workspaces.read(candidate.commit, "a.txt", 10) == b"x\n"


def test_what_is_older_and_not_live_goes(world: World) -> None:
    candidate = world.attempted({"a.txt": os.urandom(100_000)}, world.base().commit, 1)
    world.open(world.base().commit, 2)
    before = world.workspaces.usage()
    done = collect(world, days=1.1)
    assert done.refs == 2
    assert done.objects > 3
    assert done.checkouts == 1
    assert done.bytes > 100_000
    world.workspaces.close()
    assert not world.workspaces.has(candidate.commit)
    after = world.workspaces.usage()
    assert after.objects < before.objects
    assert after.packs < before.packs


def test_a_live_run_keeps_its_refs_places_and_bases(world: World) -> None:
    base = world.base().commit
    first = world.attempted({"a.txt": "1\n"}, base, 1)
    second = world.attempted({"a.txt": "2\n"}, base, 2)
    place = world.open(base, 3)
    done = collect(world, "refs/interlock/run1/", days=30)
    assert done.refs == 1  # the base's own: it is kept as a parent
    assert place.root.exists()
    for commit in (base, first.commit, second.commit):
        assert world.workspaces.has(commit)
    assert world.in_store("fsck", "--full", "--no-dangling") == ""
    again = world.open(base, 4)
    assert world.snapshot(again, base, 4).tree == world.base().tree


def test_single_refs_can_be_live(world: World) -> None:
    base = world.base().commit
    first = world.attempted({"a.txt": "1\n"}, base, 1).commit
    second = world.attempted({"a.txt": "2\n"}, base, 2).commit
    collect(world, "refs/interlock/run1/code/1.2", base_ref(base), days=30)
    world.workspaces.close()
    assert not world.workspaces.has(first)
    assert world.workspaces.has(second)
    assert world.in_store("rev-parse", base_ref(base)).strip() == base


def test_older_than_spares_more_than_a_day(world: World) -> None:
    candidate = world.attempted({"a.txt": "x\n"}, world.base().commit, 1)
    assert collect(world, days=6, older_than_s=7 * DAY).refs == 0
    assert world.workspaces.has(candidate.commit)


@pytest.mark.parametrize("unfinished", [True, False])
def test_commits_of_other_machines_stay_while_their_run_is_unfinished(
    world: World, tmp_path: Path, unfinished: bool
) -> None:
    base = world.base().commit
    made = world.attempted({"a.txt": os.urandom(1000)}, base, 1).commit
    content = world.workspaces.pack(made, base)
    with GitWorkspaces(tmp_path / "other.git", tmp_path / "others", world.repository, os.environ) as other:
        other.receive(base, world.workspaces.pack(base), is_base=True)
        other.receive(made, content, is_base=False)
        live = (base_ref(base), received_ref(made)) if unfinished else ()
        assert other.collect(live, 0.0, time.time() + 30 * DAY).refs == (0 if unfinished else 2)
        other.close()
        assert other.has(made) is unfinished


def test_a_store_that_was_collected_works_on(world: World) -> None:
    world.attempted({"a.txt": "x\n"}, world.base().commit, 1)
    collect(world, days=30)
    world.workspaces.close()
    base = world.base().commit
    assert world.workspaces.read(world.attempted({"a.txt": "y\n"}, base, 2).commit, "a.txt", 10) == b"y\n"


def test_what_an_earlier_version_left_where_checkouts_were_is_removed(world: World) -> None:
    world.base()
    former = world.root / "state/former"
    names = ("run1/code-1.1-1", "run2/code-1.1-1", "gate-abc", "setup-abc")
    for name in names:
        (former / name / "tree").mkdir(parents=True)
    (world.places / "room-abc" / "tree").mkdir(parents=True)
    with GitWorkspaces(world.store, world.places, world.repository, os.environ, former=former) as workspaces:
        assert workspaces.preview(("refs/interlock/run1/",), 0.0, time.time() + 2 * DAY).checkouts == 4
        assert workspaces.collect(("refs/interlock/run1/",), 0.0, time.time() + 2 * DAY).checkouts == 4
        assert [path.name for path in former.iterdir()] == ["run1"]
        workspaces.discard("run1", AttemptId("code", 1, 1))
        assert list((former / "run1").iterdir()) == []
        workspaces.collect((), 0.0, time.time() + 2 * DAY)
    assert not former.exists()
    assert list(world.places.iterdir()) == []


def test_no_store_is_nothing_to_collect(world: World) -> None:
    assert collect(world) == Collected()
    assert sum(vars_of(world)) == 0


def vars_of(world: World) -> tuple[int, ...]:
    used = world.workspaces.usage()
    return used.objects, used.packs, used.setups, used.checkouts

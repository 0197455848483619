"""What a killed worker, and runs that have ended, leave on a machine is removed there; what is at work stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, Server, cluster_in, run_on, until

from interlock.journal import FileBlobs
from interlock.machines import clean_worker, worker_paths
from interlock.settings import Paths, Settings, TemporalSettings

WAITS = """\
version: 1
agents:
  slow:
    use: command
    env: [HERE]
    run: [bash, -c, 'pwd >> "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.05; done; echo x > a.txt']
stages:
  code: {agent: slow, gates: [{id: g, run: "test -s a.txt"}]}
"""


def trees(folder: Path) -> list[Path]:
    path = folder / "at-work"
    return [Path(line) for line in path.read_text().split()] if path.exists() else []


def test_the_checkouts_of_a_killed_worker_are_removed_and_not_those_of_a_living_one(
    tmp_path: Path, server: Server
) -> None:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": WAITS}, HERE=str(tmp_path))
        following = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
        until(lambda: len(trees(tmp_path)) == 1, "no agent began")
        many.machines[1].kill()
        many.machines[1].communicate()
        left = trees(tmp_path)[0]
        assert left.is_dir()
        many.start("worker", HERE=str(tmp_path))
        assert not left.exists()
        until(lambda: len(trees(tmp_path)) == 2, "no other attempt began")
        many.start("worker", HERE=str(tmp_path))
        assert trees(tmp_path)[1].is_dir(), "the checkout of a living worker was removed"
        beside(many, tmp_path)
        assert trees(tmp_path)[1].is_dir(), "a run that is driven here removed the checkout of a worker"
        (tmp_path / "go").touch()
        _, said = following.communicate(timeout=300)
        assert following.returncode == 0, said


def beside(many: Cluster, folder: Path) -> None:
    """A run of a repository on the machine of the worker, driven there."""
    world = World(many.root / "worker", folder / "beside")
    world.repository.mkdir()
    world.git("init", "-q", "-b", "main")
    world.commit({"interlock.yaml": 'version: 1\nstages: {code: {run: "echo x > a"}}\n'})
    world.ask("run", "--plain", "-t", "x").ended(0)


QUICK = "version: 1\nstages: {code: {run: 'echo x > quick.txt', gates: [{id: g, run: 'test -s quick.txt'}]}}\n"


def grown_old(state: Path, days: float) -> None:
    """As if nothing in the stores and among the copies had been used since."""
    then = time.time() - days * 86_400
    for path in [path for name in ("store.git", "blobs") for path in (state / name).rglob("*") if path.is_file()]:
        os.utime(path, (then, then))


def kept(state: Path) -> tuple[set[str], int]:
    """Refs of commits, and the number of copies of blobs."""
    refs = state / "store.git/refs"
    found = {str(path.relative_to(refs)) for path in refs.rglob("*") if path.is_file()}
    return found, sum(path.is_file() for path in (state / "blobs").rglob("*"))


def test_workers_that_share_folders_remove_what_runs_have_left_and_not_what_is_at_work(
    tmp_path: Path, server: Server
) -> None:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        many.start("worker", HERE=str(tmp_path))
        state, machine = many.root / "worker/state/interlock/worker", many.machine("worker")
        far = many.submitter(tmp_path / "far", {"interlock.yaml": QUICK})
        ended = run_on(far)
        assert any(ended in ref for ref in kept(state)[0])
        assert len([*(state / "store.git/objects/pack").glob("*.pack")]) == 1, "more than the base was received"
        machine.ask("gc").ended(0, "workers on this machine: freed ", "by packing")
        grown_old(state, 8)
        far.commit({"interlock.yaml": WAITS})
        following = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
        until(lambda: len(trees(tmp_path)) == 1, "no agent began")
        before = kept(state)
        machine.ask("gc", "--dry-run").ended(0, "workers on this machine: would free about")
        assert kept(state) == before
        many.start("worker", HERE=str(tmp_path))
        until(lambda: not any(ended in ref for ref in kept(state)[0]), "nothing is removed")
        until(lambda: kept(state)[1] < before[1], "no copy is removed")
        (tmp_path / "go").touch()
        _, said = following.communicate(timeout=300)
        assert following.returncode == 0, said
        grown_old(state, 8)
        assert machine.ask("gc", "--json").ended(0).json()["workers"]["blobs"] > 0
        assert kept(state) == (set(), 0)
        far.commit({"interlock.yaml": QUICK})
        run_on(far)


def test_nobody_else_enters_the_folders_of_a_worker(tmp_path: Path) -> None:
    general = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    (tmp_path / "state/worker").mkdir(parents=True, mode=0o755)
    paths = worker_paths(general)
    for folder in (paths.root, paths.places.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_shared_blobs_in_the_folder_of_a_worker_are_no_copies(tmp_path: Path) -> None:
    environ = {"INTERLOCK_STATE_HOME": str(tmp_path / "state"), "INTERLOCK_CACHE_HOME": str(tmp_path / "cache")}
    paths = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache").of_worker(1)
    digest = FileBlobs(paths.blobs).put(b"the only one")
    settings = Settings(temporal=TemporalSettings(blobs=str(paths.blobs)))
    gone = clean_worker(settings, {**environ, "HOME": str(tmp_path)}, time.time() + 30 * 86_400)
    assert (gone and gone.blobs, FileBlobs(paths.blobs).get(digest)) == (0, b"the only one")

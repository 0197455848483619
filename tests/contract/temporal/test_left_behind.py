"""What a killed worker leaves on its machine is removed by the next one there, and a living one keeps its own."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import World
from tests.contract.temporal.world import Cluster, Server, cluster_in, until

from interlock.bootstrap import _worker_paths
from interlock.settings import Paths

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


def test_nobody_else_enters_the_folders_of_a_worker(tmp_path: Path) -> None:
    general = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    (tmp_path / "state/worker").mkdir(parents=True, mode=0o755)
    paths = _worker_paths(general)
    for folder in (paths.root, paths.places.parent):
        assert folder.stat().st_mode & 0o777 == 0o700

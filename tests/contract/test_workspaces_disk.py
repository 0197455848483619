"""Disks that are full or read-only, and many attempts at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contract.workspaces_world import STAMP, World, git, make_repository, make_world

from interlock.ports import CheckoutSpec, InfrastructureError
from interlock.workspaces import GitWorkspaces


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.getuid() or sys.platform != "linux":
        pytest.skip("needs to be root on Linux to mount")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    try:
        with (folder / "filler").open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    except OSError:
        pass


@pytest.mark.root
def test_a_full_disk_under_the_places(tmp_path: Path, small: Path) -> None:
    repository = make_repository(tmp_path / "repository", {"big": os.urandom(3_000_000)})
    with GitWorkspaces(tmp_path / "store.git", small / "places", repository, os.environ) as workspaces:
        base = workspaces.import_base()
        attempt = World(tmp_path, repository, workspaces).attempt()
        with pytest.raises(InfrastructureError, match=f"{small}/places.*the disk is full"):
            workspaces.open("run1", attempt, base.commit, CheckoutSpec())
        assert [path for path in (small / "places").rglob("*") if path.is_file()] == []
        with (
            pytest.raises(InfrastructureError, match="the disk is full"),
            workspaces.clean_checkout(base.commit, base.commit, CheckoutSpec()),
        ):
            pass


@pytest.mark.root
def test_a_full_disk_under_the_store(tmp_path: Path, small: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    with GitWorkspaces(small / "store.git", tmp_path / "places", repository, os.environ) as workspaces:
        base = workspaces.import_base()
        world = World(tmp_path, repository, workspaces)
        checkout = world.open(base.commit)
        (checkout.tree / "big").write_bytes(os.urandom(100_000))
        fill(small)
        with pytest.raises(InfrastructureError, match="the disk is full"):
            world.snapshot(checkout, base.commit)
        (small / "filler").unlink()
        candidate = world.snapshot(checkout, base.commit)
        assert git(small, "--git-dir=store.git", "fsck", "--full", "--strict", "--no-dangling") == ""
        assert workspaces.has(candidate.commit)


@pytest.mark.root
def test_a_read_only_disk(tmp_path: Path, small: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    with GitWorkspaces(small / "store.git", small / "places", repository, os.environ) as workspaces:
        base = workspaces.import_base()
        world = World(tmp_path, repository, workspaces)
        checkout = world.open(base.commit)
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        for attempt in (
            lambda: world.open(base.commit, 2),
            lambda: world.snapshot(checkout, base.commit),
            lambda: workspaces.adopt(base.commit, base.commit, STAMP, "refs/interlock/run1/code/1.2"),
        ):
            with pytest.raises(InfrastructureError, match=str(small)):
                attempt()
        workspaces.wipe(checkout)
        assert str(small) in workspaces.removal_notes()[-1]


def test_attempts_at_once(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    with world.workspaces, ThreadPoolExecutor(8) as threads:
        base = world.base().commit

        def one(number: int) -> str:
            checkout = world.open(base, number)
            (checkout.tree / "a.txt").write_text(f"by {number}\n")
            candidate = world.snapshot(checkout, base, number)
            world.workspaces.wipe(checkout)
            with world.workspaces.clean_checkout(candidate.commit, base, CheckoutSpec()) as clean:
                assert (clean.tree / "a.txt").read_text() == f"by {number}\n"
                assert git(clean.tree, "status", "--porcelain") == ""
            return candidate.commit

        assert len(set(threads.map(one, range(1, 33)))) == 32
    assert world.in_store("fsck", "--full", "--strict", "--no-dangling") == ""


def test_two_processes_import_at_once(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    said = (
        "import os, sys; from pathlib import Path; from interlock.workspaces import GitWorkspaces\n"
        "root, repository = map(Path, sys.argv[1:])\n"
        "with GitWorkspaces(root / 'store.git', root / 'places', repository, os.environ) as workspaces:\n"
        "    print(workspaces.import_base().commit)\n"
    )
    argv = [sys.executable, "-c", said, str(tmp_path / "state"), str(repository)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE) for _ in range(6)]
    printed = {process.communicate()[0] for process in running}
    assert printed == {git(repository, "rev-parse", "HEAD").encode()}
    assert {process.returncode for process in running} == {0}
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["store.git"]

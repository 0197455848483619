"""What a power loss left empty, cut short or without its last name is made anew, and never taken for whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, git, make_world, write

from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import CheckoutSpec, InfrastructureError, Stamp, disk
from interlock.workspaces import storage

TOOLS = CheckoutSpec(setup=(Setup(CommandLine(shell="mkdir -p tools && echo whole > tools/check.sh"), (), ("tools",)),))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


def made_by_setup(world: World, commit: str) -> str:
    with world.workspaces.clean_checkout(commit, commit, TOOLS) as checkout:
        return (checkout.tree / "tools/check.sh").read_text()


def test_a_setup_without_its_marker_is_made_anew(world: World) -> None:
    base = world.base().commit
    assert made_by_setup(world, base) == "whole\n"
    for marker in (world.store / "interlock/setup").glob("*.whole"):
        marker.unlink()
    for tool in (world.store / "interlock/setup").glob("*/tools/check.sh"):
        tool.write_text("")
    assert made_by_setup(world, base) == "whole\n"


@pytest.mark.parametrize("damage", ["HEAD", "config", "info/attributes", "shallow", "all", "gone"])
def test_files_of_the_store_that_are_empty_are_written_anew(world: World, damage: str, tmp_path: Path) -> None:
    base = world.base().commit
    before = {name: (world.store / name).read_text() for name in ("HEAD", "config", "info/attributes", "shallow")}
    world.workspaces.close()
    for name in before if damage in ("all", "gone") else [damage]:
        (world.store / name).unlink() if damage == "gone" else (world.store / name).write_text("")
    again = make_world(tmp_path, world.repository)
    with again.workspaces:
        done = again.attempted({"a.txt": "after\n"}, base, 1)
        assert again.in_store("log", "--format=%s", done.commit).splitlines()[0] == "interlock: a candidate"
        assert {name: (again.store / name).read_text() for name in before} == before
        write(again.repository, {"b.txt": "later\n"})
        commit_all(again.repository)
        assert again.base().commit != base


def test_an_empty_ref_of_a_base_is_written_again(world: World) -> None:
    base = world.base().commit
    (world.store / storage.base_ref(base)).write_text("")
    assert world.base().commit == base
    assert world.in_store("rev-parse", storage.base_ref(base)).strip() == base


@pytest.mark.parametrize("damage", ["empty", "gone"])
def test_objects_of_a_base_that_are_damaged_are_brought_again(world: World, damage: str, tmp_path: Path) -> None:
    base = world.base().commit
    world.workspaces.close()
    for pack in (world.store / "objects/pack").glob("*"):
        pack.chmod(0o644)
        pack.write_bytes(b"") if damage == "empty" else pack.unlink()
    again = make_world(tmp_path, world.repository)
    with again.workspaces:
        assert again.base().commit == base
        assert again.attempted({"a.txt": "after\n"}, base, 1).commit
        assert again.in_store("fsck", "--full", "--no-dangling") == ""


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_store_is_mended_with_the_algorithm_of_its_repository(tmp_path: Path, algorithm: str) -> None:
    storage.create(tmp_path / "store.git", algorithm)
    (tmp_path / "store.git/config").write_text("")
    assert not storage.is_whole(tmp_path / "store.git")
    storage.create(tmp_path / "store.git", algorithm)
    assert storage.is_whole(tmp_path / "store.git")
    assert storage.algorithm_of(tmp_path / "store.git") == algorithm


def test_no_ref_to_a_base_comes_before_all_of_it_is_on_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    _noted(monkeypatch, seen, disk, "sync_tree", lambda: (world.store / "shallow").is_file())
    _noted(monkeypatch, seen, storage, "create_ref", lambda: True)
    world.base()
    assert seen[-2:] == ["sync_tree True", "create_ref True"]
    assert git(world.repository, "rev-parse", "HEAD").strip() in world.in_store("for-each-ref")


def test_what_setup_made_is_on_the_disk_before_its_name_and_its_marker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, seen = world.base().commit, list[str]()
    folder = world.store / "interlock/setup"

    def there() -> list[str]:
        return sorted(path.suffix or path.name[:4] for path in folder.iterdir() if path.suffix != ".lock")

    for name in ("sync_tree", "rename", "put_file"):
        _noted(monkeypatch, seen, disk, name, there)
    made_by_setup(world, base)
    names = [said for said in seen if "maki" in said or ".whole" in said or "put_file" in said]
    assert names[0] == "sync_tree ['maki']"
    assert names[1] == "rename ['maki']"
    assert names[2].startswith("put_file [")
    assert ".whole" not in names[2]


def test_garbage_goes_after_what_says_that_it_is_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made_by_setup(world, world.base().commit)
    from interlock.workspaces import gc

    removed: list[str] = []
    honest = gc.remove
    monkeypatch.setattr(gc, "remove", lambda path: (removed.append(path.suffix), honest(path)))
    world.workspaces.collect((), 0.0, 4e9)
    assert ".whole" in removed
    assert removed.index(".whole") < removed.index("")
    assert removed.index(".idx") < removed.index(".pack")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see what was synced")
def test_where_no_call_syncs_a_file_system_each_file_and_folder_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a/b/one": "1", "a/two": "2"})
    (tmp_path / "a/link").symlink_to("nowhere")
    seen: list[Path] = []
    monkeypatch.setattr(disk, "_sync_system", lambda _: False)
    monkeypatch.setattr(disk.os, "fsync", lambda fd: seen.append(Path(f"/proc/self/fd/{fd}").resolve()))
    disk.sync_tree(tmp_path / "a")
    a = (tmp_path / "a").resolve()
    assert seen == [a / "b/one", a / "b", a / "two", a]


def _noted(
    monkeypatch: pytest.MonkeyPatch, seen: list[str], module: object, name: str, look: Callable[[], object]
) -> None:
    honest = getattr(module, name)

    def noting(*args: object, **more: object) -> object:
        seen.append(f"{name} {look()}")
        return honest(*args, **more)

    monkeypatch.setattr(module, name, noting)


def test_a_store_that_is_gone_is_named_with_the_way_out(world: World, tmp_path: Path) -> None:
    base = world.base().commit
    world.workspaces.close()
    shutil.rmtree(world.store)
    again = make_world(tmp_path, world.repository)
    stamp = Stamp("", 0, "x")
    with again.workspaces as gone:
        for ask in (
            lambda: gone.patch(base, base),
            lambda: gone.changes(base, base),
            lambda: gone.read(base, "a.txt", 10),
            lambda: gone.merge([base], stamp),
            lambda: gone.send(base, base, "work", stamp, (), sign=False),
            lambda: made_by_setup(again, base),
        ):
            with pytest.raises(
                InfrastructureError, match=r"the store is missing, .*: restore it from a backup, or"
            ) as found:
                ask()
            assert found.value.permanent
    assert not world.store.exists()

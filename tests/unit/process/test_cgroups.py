"""Where groups of version 2 would be made, on a made-up machine: what is tried, in which order, and what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.process import cgroups
from interlock.process.cgroups import Group, Parent, find_parents

SCOPE = "user.slice/app.slice/own.scope"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The group of this process is a scope that a service manager made. Only the slice above it is delegated."""
    for folder, given in (("", "cpu memory pids"), ("user.slice", ""), ("user.slice/app.slice", "memory pids")):
        at = tmp_path / "groups" / folder
        at.mkdir(parents=True, exist_ok=True)
        (at / "cgroup.controllers").write_text("cpu memory pids")
        (at / "cgroup.subtree_control").write_text(given)
    (tmp_path / "groups" / SCOPE).mkdir()
    (tmp_path / "groups" / SCOPE / "cgroup.controllers").write_text("memory pids")
    (tmp_path / "groups" / SCOPE / "cgroup.subtree_control").write_text("")
    (tmp_path / "cgroup").write_text(f"0::/{SCOPE}\n")
    mount = f"31 23 0:28 / {tmp_path}/groups rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    (tmp_path / "mountinfo").write_text(f"22 1 8:1 / / rw - ext4 /dev/vda rw\n{mount}")
    return tmp_path


def test_the_first_folder_that_holds_is_taken(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def holds(parent: Parent) -> bool:
        tried.append(str(Path(parent.folder).relative_to(machine / "groups")))
        return parent.folder.endswith("app.slice")

    monkeypatch.setattr(cgroups, "_holds", holds)
    folder = str(machine / "groups/user.slice/app.slice")
    assert find_parents(str(machine)) == (Parent("memory", 2, folder), Parent("pids", 2, folder))
    assert tried == [SCOPE, "user.slice/app.slice"] * 2


@pytest.mark.parametrize("path", ["/../../other", "/elsewhere/own"])
def test_a_group_that_is_not_below_the_mount_is_none(path: str, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_holds", lambda _: True)
    (machine / "cgroup").write_text(f"0::{path}\n")
    mounts = (machine / "mountinfo").read_text().replace(" / /tmp", " /user.slice /tmp")
    (machine / "mountinfo").write_text(mounts.replace("0:28 / ", "0:28 /user.slice "))
    assert find_parents(str(machine)) == ()


def test_a_machine_without_groups_has_none(tmp_path: Path) -> None:
    assert find_parents(str(tmp_path)) == ()


def test_what_is_written_and_read(machine: Path) -> None:
    folder = machine / "groups/user.slice/app.slice"
    made = folder / "interlock-1-1"
    made.mkdir()
    for name in ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cgroup.procs"):
        (made / name).write_text("")
    (made / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 1\n")
    (made / "pids.events").write_text("max 0\n")
    group = Group(tuple(Parent(kind, 2, str(folder)) for kind in ("memory", "pids")), "1-1")
    group.set({"memory": 5_000_000, "pids": 64})
    written = {name: (made / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")}
    assert written == {"memory.max": "5000000", "memory.swap.max": "0", "pids.max": "64"}
    assert not group.refused("memory")  # counted for a former program
    (made / "memory.events").write_text("oom_kill 3\n")
    (made / "pids.events").write_text("max 1\n")
    assert (group.refused("memory"), group.refused("pids")) == (True, True)
    assert group.bounds == {"memory": "cgroup v2", "pids": "cgroup v2"}


def test_only_groups_of_processes_that_are_gone_are_removed(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_holds", lambda _: True)
    folder = machine / "groups" / SCOPE
    for name in ("interlock-1-1", "interlock-999999999-2", "interlock-x", "other-999999999-1"):
        (folder / name).mkdir()
    find_parents(str(machine))
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"interlock-1-1", "interlock-x", "other-999999999-1"}  # fmt: skip # noqa: E501

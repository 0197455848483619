"""What the tree has where setup leaves something: replaced and never merged, and nothing is written through a link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, git, make_world, write

from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import CheckoutSpec, InfrastructureError, UnfitSetup

TOOL = ".venv/bin/python3"
MAKES = "mkdir -p .venv/bin && echo setup > .venv/bin/tool && ln -s /bin/sh .venv/bin/shell"
ROOM = CheckoutSpec(setup=(Setup(CommandLine(shell=MAKES), ("deps.lock",), (".venv",)),))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


def planted(world: World, files: dict[str, str | bytes]) -> tuple[str, str]:
    """The base, and a commit of the user's repository on it."""
    base = world.base().commit
    write(world.repository, files)
    for name in files:
        (world.repository / name).chmod(0o755)
    commit = commit_all(world.repository)
    world.workspaces.import_base(commit)
    return base, commit


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_tracked_interpreter_is_replaced_in_the_clean_checkout(world: World) -> None:
    base, commit = planted(world, {TOOL: "#!/bin/sh\nexit 0\n", ".venv/bin/tool": "mine\n", ".venv/lib/x.pth": "x\n"})
    with world.workspaces.clean_checkout(commit, base, ROOM) as clean:
        assert below(clean.tree / ".venv") == ["bin/shell", "bin/tool"]
        assert (clean.tree / ".venv/bin/tool").read_text() == "setup\n"
        assert (clean.tree / ".venv/bin/shell").readlink() == Path("/bin/sh")  # as venv leaves its interpreter
        assert git(clean.tree, "status", "--porcelain") == ""


def test_setup_does_not_begin_with_what_is_tracked_there(world: World) -> None:
    base, commit = planted(world, {".venv/bin/planted": "#!/bin/sh\n"})
    setup = Setup(CommandLine(shell="mkdir -p .venv; find .venv > .venv/list"), paths=(".venv",))
    with world.workspaces.clean_checkout(commit, base, CheckoutSpec(setup=(setup,))) as clean:
        assert "planted" not in (clean.tree / ".venv/list").read_text()


def test_what_the_input_has_there_is_no_deletion_of_the_attempt(world: World) -> None:
    _, commit = planted(world, {TOOL: "old\n", ".venv/lib/x.pth": "x\n"})
    place = world.open(commit, 1, ROOM)
    assert below(place.tree / ".venv") == ["bin/shell", "bin/tool"]
    assert git(place.tree, "status", "--porcelain") == ""
    write(place.tree, {"src/new.py": "n\n", TOOL: "the agent's\n"})
    candidate = world.snapshot(place, commit, 1, ROOM)
    assert [change.path for change in world.workspaces.changes(commit, candidate.commit)] == ["src/new.py"]
    assert candidate.left_out == (".venv/",)


def test_a_tracked_file_in_place_of_the_folder(world: World) -> None:
    _, commit = planted(world, {".venv": "a file\n"})
    place = world.open(commit, 1, ROOM)
    assert (place.tree / ".venv/bin/tool").is_file()
    candidate = world.snapshot(place, commit, 1, ROOM)
    assert world.workspaces.changes(commit, candidate.commit) == ()


@pytest.mark.parametrize("target", ["outside", "src", "nowhere"])
def test_a_link_where_setup_leaves_something_is_replaced_and_not_followed(world: World, target: str) -> None:
    base = world.base().commit
    outside = world.root / "outside"
    outside.mkdir()
    (world.repository / ".venv").symlink_to(outside if target == "outside" else target)
    commit = commit_all(world.repository)
    world.workspaces.import_base(commit)
    with world.workspaces.clean_checkout(commit, base, ROOM) as clean:
        assert (clean.tree / ".venv/bin/tool").is_file()
        assert not (clean.tree / ".venv").is_symlink()
        assert below(clean.tree / "src") == ["deep/er/x.txt", "lib.py"]
    assert below(outside) == []


def linked_parent(world: World, outside: Path) -> tuple[str, str, CheckoutSpec]:
    setup = Setup(CommandLine(shell="mkdir -p web/deps && echo made > web/deps/id"), ("deps.lock",), ("web/deps",))
    write(world.repository, {"web/page": "p\n"})
    commit_all(world.repository)
    base = world.base().commit
    git(world.repository, "rm", "-rq", "web")
    outside.mkdir()
    (world.repository / "web").symlink_to(outside)
    commit = commit_all(world.repository)
    world.workspaces.import_base(commit)
    return base, commit, CheckoutSpec(setup=(setup,))


def test_a_link_above_it_is_refused_and_nothing_is_written_through_it(world: World) -> None:
    outside = world.root / "outside"
    base, commit, spec = linked_parent(world, outside)
    for control, error in (("", InfrastructureError), (base, UnfitSetup)):
        told = pytest.raises(error, match="web is a symbolic link, and web/deps must be below it: make web")
        with told, world.workspaces.clean_checkout(commit, base, CheckoutSpec(spec.setup, control=control)):
            pytest.fail("it was furnished")
    assert below(outside) == []
    assert list(world.gates.iterdir()) == []


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("ln -s {outside} deps", "deps is a symbolic link out of the checkout"),
        ("ln -s {outside} web", "web is a symbolic link, and web/deps must be below it"),
    ],
)
def test_a_link_that_setup_leaves_leads_nowhere_else(world: World, shell: str, said: str) -> None:
    outside = world.root / "outside"
    (outside / "deps").mkdir(parents=True)
    path = "web/deps" if "web" in shell else "deps"
    setup = Setup(CommandLine(shell=shell.format(outside=outside)), paths=(path,))
    with pytest.raises(InfrastructureError, match=said):
        world.open(world.base().commit, 1, CheckoutSpec(setup=(setup,)))
    assert (outside / "deps").is_dir()


def test_what_is_carried_in_does_not_follow_a_link_either(world: World) -> None:
    outside = world.root / "outside"
    outside.mkdir()
    base = world.base().commit
    (world.repository / "data").symlink_to(outside)
    commit = commit_all(world.repository)
    world.workspaces.import_base(commit)
    (world.repository / "data").unlink()
    write(world.repository, {"data/large.bin": "mine\n"})
    told = pytest.raises(
        InfrastructureError, match=r"carry: data is a symbolic link, and data/large\.bin must be below"
    )
    with told, world.workspaces.clean_checkout(commit, base, CheckoutSpec(carry=("data/large.bin",))):
        pytest.fail("it was furnished")
    assert below(outside) == []

"""Attacks by what a program leaves in its checkout: Interlock refuses it, or reads it as what it is, and nothing that it
leaves runs, leads out, or reaches another file. The program runs at each level of the sandbox; each row names a hole.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract.workspaces_world import World, git, make_world
from tests.rooms_here import LEVEL

from interlock.ports import Candidate, Checkout, CheckoutSpec, Sandbox, Stamp, UnfitTree
from interlock.process import Supervised, checkout_environment, supervise
from interlock.sandbox import Room, confine
from interlock.workspaces import links, snapshot, trees

LEVELS = ["none", pytest.param("full", marks=pytest.mark.skipif(LEVEL != "full", reason="no sandbox here"))]
SECRET = "TOPSECRET"
ROOT = os.geteuid() == 0
Hole = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Left:
    """`script` is a Python program. Its work is refused by `rule`, or has `files` as path and mode beside those of the base.
    `at_full` says that the program cannot even make it there."""

    id: str
    script: str
    hole: Hole
    rule: str = ""
    files: tuple[tuple[str, str], ...] = ()
    root: bool = False
    at_full: bool = True


def nothing_is_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(snapshot.Found, "refuse", lambda *_: None)


def links_may_leave(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(links, "leaving", lambda _: set())


def only_dot_git_is_git(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trees, "is_git_name", lambda name: name == b".git")


def names_as_they_are(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(snapshot, "printable", lambda path: path.decode("utf-8", "surrogateescape"))


SOCKET = "import socket; socket.socket(socket.AF_UNIX).bind('here')"
ODD = ("-rf", "--config=evil.toml", "$(touch ran)", "; touch ran", "a\nb", "-", "*")
ROWS = (
    Left("30-fifo", "import os; os.mkfifo('pipe')", nothing_is_refused, "workspace.special"),
    Left("30-socket", SOCKET, nothing_is_refused, "workspace.special"),
    Left(
        "30-device", "import os; os.mknod('null', 0o20666, os.makedev(1, 3))", nothing_is_refused, "workspace.special",
        root=True, at_full=False,
    ),
    Left("30-in-place-of-a-file", "import os; os.remove('a.txt'); os.mkfifo('a.txt')", nothing_is_refused, "workspace.special"),
    Left("31-link-out", "import os; os.symlink('@key@', 'out')", links_may_leave, "workspace.link"),
    Left("31-link-up", "import os; os.symlink('../../x', 'src/out')", links_may_leave, "workspace.link"),
    Left(
        "31-link-through-another", "import os; os.symlink('..', 'src/up'); os.symlink('up/../x', 'src/out')",
        links_may_leave, "workspace.link",
    ),
    Left(
        "31-folder-as-a-link", "import os, shutil; shutil.rmtree('src'); os.symlink('@folder@', 'src')",
        links_may_leave, "workspace.link",
    ),
    Left("33-git-inside", "import os; os.makedirs('src/.git/hooks')", nothing_is_refused, "workspace.nested_repository"),
    Left("33-git-file", "open('src/.git', 'w').write('gitdir: @folder@')", nothing_is_refused, "workspace.nested_repository"),
    Left("33-letter-case", "import os; os.mkdir('.GIT')", only_dot_git_is_git, "workspace.nested_repository"),
    Left("33-look-alike", "import os; os.mkdir('src/.g\\u200cit')", only_dot_git_is_git, "workspace.nested_repository"),
    Left("33-look-alike-of-windows", "import os; os.mkdir('src/GIT~1')", only_dot_git_is_git, "workspace.nested_repository"),
    Left(
        "35-line-break-in-a-finding", "import os; os.mkfifo('x\\nall gates passed')", names_as_they_are, "workspace.special"
    ),
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "key").write_text(SECRET)
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


def left(world: World, script: str, level: str, number: int = 1) -> tuple[Checkout, str, str]:
    """The checkout in which the program has ended, its base, and what it said."""
    base = world.base().commit
    checkout = replace(world.open(base, number), sandbox=Sandbox(level))
    filled = script.replace("@key@", str(world.root / "key")).replace("@folder@", str(world.root))
    words = (sys.executable, "-c", filled)
    work = Supervised(
        words, checkout.tree, checkout_environment(os.environ, checkout), checkout.root / "output/log", 60
    )
    ended = supervise(confine(work, Room(checkout)) if level == "full" else work, threading.Event())
    return checkout, base, ended.tail.decode("utf-8", "replace")


def refused(world: World, row: Left, level: str) -> None:
    """Raises AssertionError if it is not."""
    checkout, base, said = left(world, row.script, level)
    if level == "full" and not row.at_full:
        assert "PermissionError" in said, said
        return
    assert said == "", said
    with pytest.raises(UnfitTree) as unfit:
        world.snapshot(checkout, base)
    assert {finding.rule for finding in unfit.value.findings} == {row.rule}
    assert all("\n" not in f"{finding.file}{finding.message}" for finding in unfit.value.findings)
    assert world.in_store("for-each-ref", "refs/interlock").strip() == ""
    world.workspaces.wipe(checkout)
    assert (world.root / "key").read_text() == SECRET


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_it_is_refused(row: Left, level: str, world: World) -> None:
    if row.root and not ROOT and level == "none":
        pytest.skip("only root can make it")
    refused(world, row, level)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_without_its_defence_it_is_taken(row: Left, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if row.root and not ROOT:
        pytest.skip("only root can make it")
    row.hole(monkeypatch)
    with pytest.raises(BaseException) as found:  # noqa: PT011 - that of pytest.raises is no Exception
        refused(world, row, "none")
    assert "DID NOT RAISE" in str(found.value) or isinstance(found.value, AssertionError), found.value


# --- what is read as what it is ------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_29_a_setuid_file_is_a_program_and_no_more(level: str, world: World) -> None:
    script = "import os, shutil; shutil.copy('/bin/true', 'evil'); os.chmod('evil', 0o6755); os.chmod('src', 0o7777)"
    checkout, base, said = left(world, script, level)
    assert said == ""
    assert stat.S_IMODE(checkout.root.stat().st_mode) & 0o077 == 0  # nobody else on the machine comes to it
    candidate = world.snapshot(checkout, base)
    assert world.files(candidate.commit)["evil"] == "100755"
    with world.workspaces.clean_checkout(candidate.commit, base, CheckoutSpec()) as clean:
        assert stat.S_IMODE((clean.tree / "evil").stat().st_mode) & 0o7000 == 0
        assert stat.S_IMODE((clean.tree / "src").stat().st_mode) & 0o7000 == 0


HARD = """
import os
try:
    os.link('@key@', 'mine')
except OSError:
    os.link('/bin/true', 'mine')  # what it does see
"""


@pytest.mark.parametrize("level", LEVELS)
def test_32_a_hard_link_is_a_copy_and_full_makes_none_to_the_outside(level: str, world: World) -> None:
    (world.root / "key").chmod(0o640)
    checkout, base, said = left(world, HARD, level)
    assert ("Invalid cross-device link" in said or "Operation not permitted" in said) == (level == "full"), said
    candidate = world.snapshot(checkout, base)
    assert ("mine" in world.files(candidate.commit)) == (level == "none")
    with world.workspaces.clean_checkout(candidate.commit, base, CheckoutSpec()) as clean:
        for each in clean.tree.iterdir():
            if each.is_file() and not each.is_symlink():
                each.write_text("overwritten")
    world.workspaces.wipe(checkout)
    status = (world.root / "key").stat()
    assert ((world.root / "key").read_text(), stat.S_IMODE(status.st_mode), status.st_nlink) == (SECRET, 0o640, 1)


@pytest.mark.parametrize("level", LEVELS)
def test_35_names_that_look_like_options_or_commands_are_names(level: str, world: World) -> None:
    script = f"import os\nfor name in {ODD!r}:\n    open(name, 'w').write(name)\nos.makedirs('-C')\nopen('-C/x', 'w')"
    checkout, base, said = left(world, script, level)
    assert said == ""
    candidate = world.snapshot(checkout, base)
    expected = {*ODD, "-C/x"}
    assert {change.path for change in world.workspaces.changes(base, candidate.commit)} == expected
    for name in ODD:
        assert world.workspaces.read(candidate.commit, name, 100) == name.encode()
        assert name.split("\n")[0].encode() in world.workspaces.patch(base, candidate.commit)
    with world.workspaces.clean_checkout(candidate.commit, base, CheckoutSpec()) as clean:
        assert {each.name for each in clean.tree.iterdir()} >= {*ODD, "a.txt", "run.sh", "-C"}
        assert git(clean.tree, "status", "--porcelain") == ""
    assert not list(world.root.rglob("ran"))


# --- while it is read -----------------------------------------------------------------------------


def swap(world: World, patch: pytest.MonkeyPatch, path: str, swapped: Callable[[Path], None]) -> Candidate | None:
    """What a snapshot makes of `path` that is swapped after it was looked at, and before it is opened; None: nothing."""
    checkout, base, _ = left(world, f"open({path!r}, 'w').write('mine')", "none")
    target, opened = checkout.tree / path, os.open
    done: list[bool] = []

    def opens(name: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None and os.fsencode(name) in (os.fsencode(target.name), b"src") and not done:
            done.append(True)
            swapped(target)
        return opened(name, flags, mode, dir_fd=dir_fd)

    with patch.context() as inner:
        inner.setattr(os, "open", opens)
        try:
            return world.snapshot(checkout, base)
        except Exception:  # noqa: BLE001 - whatever it says: nothing was taken
            return None
        finally:
            assert done


def is_not_followed(
    world: World, patch: pytest.MonkeyPatch, flags: str, by_a_link: Callable[[Path], None], *, path: str, secret: str
) -> None:
    """Nothing is taken; without the defence in `flags` the secret is taken as `secret`."""
    assert swap(world, patch, path, by_a_link) is None
    patch.setattr(snapshot, flags, getattr(snapshot, flags) & ~os.O_NOFOLLOW)  # the hole
    taken = swap(world, patch, path, by_a_link)
    assert taken is not None
    assert world.workspaces.read(taken.commit, secret, 100) == SECRET.encode()


def test_31_a_file_swapped_for_a_link_while_it_is_read_is_not_followed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_a_link(target: Path) -> None:
        target.unlink()
        target.symlink_to(world.root / "key")

    is_not_followed(world, monkeypatch, "_FILE_FLAGS", by_a_link, path="new.txt", secret="new.txt")


def test_31_a_folder_swapped_for_a_link_while_it_is_read_is_not_followed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.root / "other").mkdir()
    (world.root / "other/key").write_text(SECRET)

    def by_a_link(target: Path) -> None:
        target.parent.rename(target.parents[2] / "moved")
        target.parent.symlink_to(world.root / "other")

    is_not_followed(world, monkeypatch, "_FOLDER_FLAGS", by_a_link, path="src/new.txt", secret="src/key")


def test_31_a_file_swapped_for_a_fifo_while_it_is_read_is_no_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_a_fifo(target: Path) -> None:
        target.unlink()
        os.mkfifo(target)

    assert swap(world, monkeypatch, "new.txt", by_a_fifo) is None


# --- filters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_34_no_filter_runs_by_attributes_of_the_work(level: str, world: World) -> None:
    """Neither its own nor one of the user's, which the attributes of the work only name."""
    ran, program = world.root / "ran", world.root / "program"
    program.write_text(f"#!/bin/sh\necho x >> {ran}\ncat\n")
    program.chmod(0o755)
    home = Path(os.environ["HOME"])
    lines = ["clean", "smudge", "process"]
    (home / ".gitconfig").write_text(
        '[filter "x"]\n' + "".join(f"{line} = {program}\n" for line in lines[:2])
        + f'[diff "x"]\ntextconv = {program}\ncommand = {program}\n[merge "x"]\ndriver = {program}\n'
    )  # fmt: skip
    script = f"""
import subprocess
open('.gitattributes', 'w').write('* filter=x diff=x merge=x text eol=crlf ident\\n')
open('src/.gitattributes', 'w').write('* filter=x\\n')
open('new.txt', 'w').write('one\\n$Id$\\n')
open('.git/config', 'a').write('[filter "x"]\\nclean = {program}\\nsmudge = {program}\\n[merge "x"]\\ndriver = {program}\\n')
"""
    base = world.base().commit
    ran.unlink(missing_ok=True)
    checkout, base, said = left(world, script, level)
    assert said == ""
    candidate = world.snapshot(checkout, base)
    assert world.workspaces.read(candidate.commit, "new.txt", 100) == b"one\n$Id$\n"
    other = world.attempted({"a.txt": "other\n", "new.txt": "other\n"}, base, 2)
    world.workspaces.merge([candidate.commit, other.commit], Stamp("m", 1), "refs/interlock/run1/join/1.0")
    world.workspaces.patch(base, candidate.commit)
    with world.workspaces.clean_checkout(candidate.commit, base, CheckoutSpec()) as clean:
        assert (clean.tree / "new.txt").read_bytes() == b"one\n$Id$\n"
    world.deliver(candidate.commit, base, "out", Stamp("d", 1), [], sign=False)
    assert not ran.exists()

"""What cannot be removed is a note and the work of `gc`: no candidate and no verdict is lost for it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, make_world, write

from interlock.ports import CheckoutSpec

Stubborn = Callable[..., None]
DAY = 86_400.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Stubborn:
    """From its call on, files of these names cannot be unlinked, as one of another user in a folder of theirs."""
    real, names = os.unlink, set[bytes]()

    def unlink(path: bytes | str, *args: object, **more: object) -> None:
        if os.path.basename(os.fsencode(path)) in names:  # noqa: PTH119
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)
        real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "unlink", unlink)
    return lambda *those: (names.clear(), names.update(map(os.fsencode, those)))[1]


def test_what_stays_is_told_once_and_all_else_is_gone(world: World, stubborn: Stubborn) -> None:
    checkout = world.open(world.base().commit)
    write(checkout.tree, {"build/root-owned": "x", "build/second": "x", "build/other": "x"})
    stubborn("root-owned", "second")
    world.workspaces.wipe(checkout)
    (said,) = world.workspaces.removal_notes()
    assert str(checkout.tree / "build") in said
    assert "Operation not permitted (and 1 more)" in said
    assert world.workspaces.removal_notes() == ()
    left = sorted(path.name for path in checkout.root.rglob("*") if path.is_file())
    assert left == ["root-owned", "second"]


def test_an_attempt_gets_a_place_of_its_own_beside_what_stays(world: World, stubborn: Stubborn) -> None:
    base = world.base().commit
    checkout = world.open(base)
    write(checkout.tree, {"build/root-owned": "x"})
    stubborn("root-owned")
    again = world.open(base)
    assert again.root != checkout.root
    assert not (again.tree / "build").exists()
    world.workspaces.discard("run1", world.attempt())
    assert not again.root.exists()
    assert len(world.workspaces.removal_notes()) == 2


def test_a_clean_checkout_that_cannot_be_removed_is_no_trouble(world: World, stubborn: Stubborn) -> None:
    base = world.base().commit
    stubborn("root-owned")
    with world.workspaces.clean_checkout(base, base, CheckoutSpec()) as clean:
        write(clean.tree, {"build/root-owned": "x"})
    assert len(world.workspaces.removal_notes()) == 1


def test_gc_goes_on_and_says_what_stays(world: World, stubborn: Stubborn) -> None:
    base = world.base().commit
    for number in (1, 2):
        write(world.open(base, number).tree, {"root-owned" if number == 1 else "plain": "x"})
    stubborn("root-owned")
    later = time.time() + 30 * DAY
    collected = world.workspaces.collect((), DAY, later)
    assert collected.checkouts == 1
    assert len(collected.stays) == 1
    assert "root-owned: cannot be removed" in collected.stays[0]
    stubborn()
    collected = world.workspaces.collect((), DAY, later)
    assert (collected.checkouts, collected.stays) == (1, ())


@pytest.mark.root
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs to be root on Linux to mount")
def test_nothing_is_removed_that_is_mounted_in_a_place(world: World, tmp_path: Path) -> None:
    precious, checkout = tmp_path / "precious", world.open(world.base().commit)
    write(precious, {"kept": "k"})
    point = checkout.tree / "with space"
    point.mkdir()
    if subprocess.run(["mount", "--bind", precious, point], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        world.workspaces.wipe(checkout)
        assert (precious / "kept").read_text() == "k"
        (said,) = world.workspaces.removal_notes()
        assert "unmount" in said
    finally:
        subprocess.run(["umount", "-l", point], check=True)
    world.workspaces.wipe(checkout)
    assert world.workspaces.removal_notes() == ()
    assert not checkout.root.exists()

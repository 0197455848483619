"""Attack 28: a program in a room forges what overlays write in their upper layer (whiteouts, opaque folders, redirects),
to hide a change or to invent one. What counts is what the overlay shows; without that rule, a change is hidden."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, make_repository, make_world
from tests.rooms_here import needs_rooms

from interlock.ports import Candidate, Checkout, CheckoutSpec, Sandbox
from interlock.process import Supervised, checkout_environment, mounts, supervise
from interlock.sandbox import Room, confine
from interlock.workspaces import layers

pytestmark = needs_rooms

SPEC = CheckoutSpec(sandbox=Sandbox("full"))
FILES: dict[str, str | bytes] = {"a": "a\n", "d/old": "old\n", "d/e/deep": "deep\n", "kept/one": "1\n"}
FORGE = r"""
import os, stat, shutil
def forge(act):
    try: act()
    except OSError: pass
def mark(path):
    for kind in ("user.overlay.", "trusted.overlay.", "user.overlay.overlay."):
        for name in ("opaque", "redirect", "whiteout", "metacopy", "origin", "impure", "protattr", "upper"):
            for value in (b"y", b"x", b"n", b"/../../etc", b""):
                forge(lambda: os.setxattr(path, kind + name, value))
for path in ("a", "kept", "kept/one", "."): mark(path)
for name in ("kept/white", "d/white", "white"):
    forge(lambda: os.mknod(name, 0o600 | stat.S_IFCHR, 0))
    forge(lambda: open(name, "x").close())
    mark(name)
shutil.rmtree("d"); os.mkdir("d"); open("d/new", "w").write("new\n"); mark("d")
for path in ("d", "kept"):
    for name in os.listxattr(path):
        if "overlay" in name: forge(lambda: os.removexattr(path, name))
        for kind in ("user", "trusted"): forge(lambda: os.removexattr(path, kind + ".overlay.opaque"))
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    if not mounts.enter():
        pytest.skip(f"no overlays in this process: {mounts.refusal()}")
    made = make_world(tmp_path, make_repository(tmp_path / "repository", dict(FILES)))
    yield made
    made.workspaces.close()


def _forged(world: World) -> tuple[Candidate, set[str]]:
    """The candidate, and the paths of the files that the room's program saw at its end."""
    base = world.base().commit
    checkout = world.open(base, spec=SPEC)
    assert mounts.is_mounted(checkout.tree)
    _run(
        checkout,
        f"python3 - <<'EOF'\n{FORGE}\nEOF\nfind . -path ./.git -prune -o ! -type d -printf '%P\\n' > /w/home/seen",
    )
    seen = set((checkout.home / "seen").read_text().split("\n")[:-1])
    made = world.snapshot(checkout, base, spec=SPEC)
    world.workspaces.wipe(checkout)
    return made, seen


def _run(checkout: Checkout, script: str) -> None:
    env = checkout_environment({"PATH": "/usr/bin:/bin"}, checkout)
    work = Supervised(("/bin/sh", "-c", script), checkout.tree, env, checkout.root / "log", 60)
    done = supervise(confine(work, Room(checkout)), threading.Event())
    assert done.code == 0, done.tail


def test_28_forged_layers_hide_and_invent_nothing(world: World) -> None:
    made, seen = _forged(world)
    assert set(world.files(made.commit)) == seen >= {"a", "d/new", "kept/one"}
    assert "d/old" not in seen


def test_28_without_the_rule_a_change_is_hidden(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_is_plain", lambda names: True)
    made, seen = _forged(world)
    assert set(world.files(made.commit)) - seen == {"d/old", "d/e/deep"}


def test_28_what_was_forged_is_not_in_a_gate(world: World) -> None:
    base = world.base().commit
    made, seen = _forged(world)
    with world.workspaces.clean_checkout(made.commit, base, replace(SPEC)) as checkout:
        found = {str(path.relative_to(checkout.tree)) for path in checkout.tree.rglob("*") if not path.is_dir()}
        assert {path for path in found if not path.startswith(".git/")} == seen

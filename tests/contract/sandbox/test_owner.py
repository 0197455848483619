"""Whose a room is on the machine: as root, it is that of an id that owns nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.contract.sandbox.rooms import checkout_in, run_in
from tests.rooms_here import needs_rooms

from interlock.ports import Sandbox
from interlock.process import ids
from interlock.sandbox import owner

pytestmark = needs_rooms

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's rooms are the user's own")


@as_root
def test_this_machine_maps_ids(tmp_path: Path) -> None:
    """The tests here need it; where it cannot be had, the reason is what fails."""
    assert owner.owner_here() == (ids.spare(), "")
    assert owner.owner_in(tmp_path) == ids.spare()


@as_root
def test_what_it_makes_is_roots_on_the_disk_and_its_own_in_the_room(tmp_path: Path) -> None:
    made = checkout_in(tmp_path / "one")
    (made.tree / "ours").write_text("ours")
    script = "chmod 600 ours && touch -d 2001-01-01 ours && echo t > t && echo h > ~/h && stat -c %u ours t ~/h"
    assert run_in(made, script).said.split() == ["1000", "1000", "1000"]
    assert {path.lstat().st_uid for path in (made.tree / "ours", made.tree / "t", made.home / "h")} == {0}
    assert (made.tree / "ours").stat().st_mtime < 1_000_000_000


@as_root
def test_what_the_pipeline_names_is_read_also_if_it_is_roots_alone(tmp_path: Path) -> None:
    """Behind folders that nobody else may pass, as the home of root is."""
    folder = tmp_path / "closed/deep"
    folder.mkdir(parents=True)
    (folder / "named").write_text("named")
    (folder / "named").chmod(0o600)
    (folder / "beside").write_text("beside")
    (tmp_path / "closed").chmod(0o700)
    made = checkout_in(tmp_path / "one", Sandbox("full", read=(str(folder / "named"),)))
    done = run_in(made, f"cat {folder}/named; echo x >> {folder}/named; chmod 644 {folder}/named; ls {folder}")
    assert done.said.startswith("named")
    assert "beside" not in done.said
    assert (folder / "named").stat().st_mode & 0o777 == 0o600


def test_it_opens_its_streams_again(tmp_path: Path) -> None:
    done = run_in(checkout_in(tmp_path), "cat /dev/stdin > /dev/stdout; echo b > /dev/stderr", stdin=b"a\n")
    assert done.said.split() == ["a", "b"]


@as_root
def test_where_ids_cannot_be_mapped_a_room_is_roots_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = checkout_in(tmp_path)
    (made.tree / "ours").write_text("ours")
    monkeypatch.setattr(owner, "owner_here", lambda: (0, "tried"))
    assert run_in(made, "test -O /usr && chmod 600 ours && echo works").said == "works"


@as_root
def test_what_we_write_into_an_overlay_is_given_to_it_and_no_link_is_followed(tmp_path: Path) -> None:
    upper, tree, outside = (tmp_path / name for name in ("upper", "tree", "outside"))
    for folder in (upper / "a", upper / "b/c", tree / "b/c", outside):
        folder.mkdir(parents=True)
    for path in (upper / "a/x", upper / "b/c/y", tree / "b/c/y", outside / "x"):
        path.write_text("ours")
    (tree / "a").symlink_to(outside)
    ids.take_over(os.fsencode(upper), os.fsencode(tree), ids.spare())
    given = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.lstat().st_uid == ids.spare()}
    assert given == {"tree/a", "tree/b", "tree/b/c", "tree/b/c/y"}

"""Manifests of what runs need besides commits: what is collected is laid as it was, and a hostile one is refused."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from interlock.journal import FileBlobs
from interlock.ports import InfrastructureError, UsageError
from interlock.workspaces import manifest
from interlock.workspaces.manifest import Item, Manifest


def collected(root: Path, blobs: FileBlobs, *paths: str) -> tuple[Item, ...]:
    return manifest.put([found for path in paths for found in manifest.below(root, path, "carry")], blobs)


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


def make_tree(root: Path) -> Path:
    """A tree with all that can be sent: modes, times, links, an empty folder, a name that is no UTF-8."""
    (root / "data/empty").mkdir(parents=True)
    (root / "data/run").write_text("#!/bin/sh\n")
    (root / "data/run").chmod(0o4755)
    os.utime(root / "data/run", ns=(5, 1_000_000_007))
    (root / "data/link").symlink_to("../nowhere")
    (Path(os.fsdecode(os.fsencode(root) + b"/data/\xff"))).write_bytes(b"\0" * 3_000_000)
    (root / "data/empty").chmod(0o555)
    return root


def test_what_is_collected_is_laid_as_it_was(tmp_path: Path, blobs: FileBlobs) -> None:
    items = collected(make_tree(tmp_path / "from"), blobs, "data")
    read = manifest.decode(manifest.encode(Manifest(items, {"feature": items})))
    assert read == Manifest(items, {"feature": items})
    (tmp_path / "to").mkdir()
    manifest.lay(read.carry, blobs, tmp_path / "to", "carry")
    there = tmp_path / "to/data"
    assert sorted(os.fsencode(path.name) for path in there.iterdir()) == [b"empty", b"link", b"run", b"\xff"]
    status = (there / "run").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o755, 1_000_000_007), "no setuid bit travels"
    assert os.readlink(there / "link") == "../nowhere"  # noqa: PTH115
    assert stat.S_IMODE((there / "empty").stat().st_mode) == 0o555
    assert (there / os.fsdecode(b"\xff")).stat().st_size == 3_000_000


def test_the_same_content_is_not_copied_again(tmp_path: Path, blobs: FileBlobs) -> None:
    class Once(FileBlobs):
        def put_file(self, path: Path) -> tuple[str, int]:
            raise AssertionError(f"{path} is copied again")

    root = make_tree(tmp_path / "from")
    assert collected(root, Once(tmp_path / "blobs"), "data/link") == collected(root, blobs, "data/link")
    items = collected(root, blobs, "data")
    assert collected(root, Once(tmp_path / "blobs"), "data") == items


def test_what_cannot_be_sent_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data/pipe")
    with pytest.raises(UsageError, match="carry: data/pipe is a device, socket or pipe"):
        list(manifest.below(tmp_path, "data", "carry"))
    with pytest.raises(UsageError, match="carry: gone cannot be read: No such file"):
        list(manifest.below(tmp_path, "gone", "carry"))


def test_too_much_is_refused_with_what_is_largest(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(manifest.BYTES_MAX + 1)
    (tmp_path / "small").write_text("x")
    found = [*manifest.below(tmp_path, "sparse", "carry"), *manifest.below(tmp_path, "small", "carry")]
    with pytest.raises(UsageError, match=r"needs 20\.0 GB .* largest is sparse, 20\.0 GB"):
        manifest.require_bounded(found)
    with pytest.raises(UsageError, match="more than 100000 files"):
        manifest.require_bounded(found[1:] * (manifest.ITEMS_MAX + 1))


def rows(*items: Item, **more: Any) -> bytes:
    return json.dumps({"version": 1, "carry": [asdict(item) for item in items], "held_out": {}, **more}).encode()


FILE = Item("a", "file", 0o644, "0" * 64)


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../../x", "a//b", "./a", "", ".git/config", ".GIT/hooks/x", "a\0b", "a/."]
)
@pytest.mark.parametrize("held_out", [False, True])
def test_a_hostile_path_is_refused(path: str, held_out: bool) -> None:
    item = Item(path, "file", 0o644, "0" * 64)
    content = rows(held_out={"feature": [asdict(item)]}) if held_out else rows(item)
    with pytest.raises(InfrastructureError, match="is refused"):
        manifest.decode(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"version": 1, "carry": 3, "held_out": {}}',
        b'{"version": 1, "carry": [{"path": 3, "kind": "file"}], "held_out": {}}',
        rows(FILE, version=2),
        rows(FILE, FILE),
        rows(FILE, Item("a/b", "file", 0o644, "0" * 64)),
        rows(Item("a", "link", target="/etc"), Item("a/passwd", "file", 0o644, "0" * 64)),
        rows(Item("a", "device")),  # type: ignore[arg-type]
        rows(Item("a", "file", 0o644, "../../etc/passwd")),
        rows(Item("a", "file", "7", "0" * 64)),  # type: ignore[arg-type]
        rows(Item("\ud800", "file", 0o644, "0" * 64)),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(InfrastructureError, match="is refused") as told:
        manifest.decode(content)
    assert told.value.permanent


def test_nothing_is_written_through_a_link_that_is_there(tmp_path: Path, blobs: FileBlobs) -> None:
    """A tracked link of the checkout, of which the manifest knows nothing."""
    items = collected(make_tree(tmp_path / "from"), blobs, "data/run")
    (tmp_path / "to").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to/data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InfrastructureError, match="data is a symbolic link"):
        manifest.lay(items, blobs, tmp_path / "to", "carry")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("damaged", [False, True])
def test_a_content_that_is_lost_or_damaged_is_named(tmp_path: Path, blobs: FileBlobs, damaged: bool) -> None:
    items = collected(make_tree(tmp_path / "from"), blobs, "data/run")
    blobs.path(items[0].digest).unlink()
    if damaged:
        blobs.path(items[0].digest).write_text("another")
    (tmp_path / "to").mkdir()
    why = "does not match its digest" if damaged else "is not among the blobs"
    with pytest.raises(InfrastructureError, match=f"carry: data/run: its content {why}"):
        manifest.lay(items, blobs, tmp_path / "to", "carry")

"""One suite for every blob store, and what only files can go through."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from interlock.journal import FileBlobs, MemoryBlobs
from interlock.ports import Blobs, InfrastructureError, UsageError


@pytest.fixture(params=["memory", "files"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> FileBlobs | MemoryBlobs:
    return MemoryBlobs() if request.param == "memory" else FileBlobs(tmp_path / "blobs")


@pytest.mark.parametrize("content", [b"", b"log\n", bytes(range(256)) * 10_000])
def test_content_comes_back_by_its_digest(blobs: Blobs, tmp_path: Path, content: bytes) -> None:
    digest = blobs.put(content)
    assert digest == sha256(content).hexdigest() == blobs.put(content)
    (tmp_path / "file").write_bytes(content)
    assert blobs.put_file(tmp_path / "file") == (digest, len(content))
    assert (blobs.get(digest), blobs.size(digest)) == (content, len(content))


@pytest.mark.parametrize("digest", ["0" * 64, "", "../../etc/passwd"])
def test_what_is_not_there_is_said_so(blobs: Blobs, digest: str) -> None:
    with pytest.raises(InfrastructureError, match="is missing"):
        blobs.get(digest)
    assert blobs.size(digest) is None


def test_threads_put_the_same_at_once(blobs: Blobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(blobs.put, [b"same"] * 40))) == 1


def test_of_several_who_write_an_entry_first_all_get_the_same(blobs: FileBlobs | MemoryBlobs) -> None:
    def first(number: int) -> bytes:
        return blobs.keep_first("mark", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        assert len({*pool.map(first, range(40)), blobs.kept("mark")}) == 1


def test_files_have_paths_and_cannot_be_written(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    path = blobs.path(blobs.put(b"log"))
    assert path.read_bytes() == b"log"
    assert path.stat().st_mode & 0o777 == 0o444
    assert [each for each in (tmp_path / "blobs").iterdir() if each.is_file()] == []


def test_changed_content_is_noticed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    path = blobs.path(blobs.put(b"log"))
    path.chmod(0o644)
    path.write_bytes(b"lag")
    with pytest.raises(InfrastructureError, match="does not match its digest"):
        blobs.get(sha256(b"log").hexdigest())


def test_only_regular_files_are_taken(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "nothing", "."):
        with pytest.raises(UsageError, match="cannot be kept"):
            blobs.put_file(tmp_path / name)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, "is not a regular file"),
    "link": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "folder": (Path.mkdir, "is not a regular file"),
    "huge": (sparse, "4,398,046,511,104 bytes, more than"),
}


@pytest.mark.parametrize(("make", "words"), ODD.values(), ids=list(ODD))
def test_what_others_put_in_place_of_a_content_is_neither_waited_for_nor_followed_nor_read_whole(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    digest = blobs.put(b"log")
    blobs.keep("histories/one", b"1")
    for path in (blobs.path(digest), tmp_path / "blobs/named/histories/one"):
        path.unlink()
        make(path)
    for read in (lambda: blobs.get(digest), lambda: blobs.kept("histories/one")):
        with pytest.raises(InfrastructureError, match=words) as raised:
            read()
        assert raised.value.permanent
    with pytest.raises(InfrastructureError), blobs.file(digest):
        pass


@pytest.mark.root
def test_a_device_in_place_of_a_content_is_not_read(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    path = blobs.path(blobs.put(b"log"))
    path.unlink()
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # as /dev/zero
    with pytest.raises(InfrastructureError, match="is not a regular file"):
        blobs.get(sha256(b"log").hexdigest())


def test_content_in_whose_place_a_link_lies_is_put_again(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    path = blobs.path(blobs.put(b"log"))
    path.unlink()
    (tmp_path / "other").write_bytes(b"lag")
    path.symlink_to(tmp_path / "other")
    assert blobs.size(sha256(b"log").hexdigest()) is None
    assert blobs.get(blobs.put(b"log")) == b"log"
    assert (tmp_path / "other").read_bytes() == b"lag"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "blobs").touch()
    with pytest.raises(InfrastructureError, match="INTERLOCK_STATE_HOME"):
        FileBlobs(tmp_path / "blobs").put(b"log")


def test_a_killed_put_leaves_whole_content_only(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom interlock.journal import FileBlobs\n"
        "blobs = FileBlobs(Path(sys.argv[1]))\n"
        "for number in range(100_000): print(blobs.put(str(number).encode() * 5000), flush=True)"
    )
    root = tmp_path / "blobs"
    for lines in (1, 7, 20):
        with subprocess.Popen([sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline().strip() for _ in range(lines)]
            process.kill()
        assert all(FileBlobs(root).get(digest) for digest in told)
    for path in root.glob("??/*"):
        assert sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name


def test_evidence_that_was_cut_short_is_put_again(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    digest = blobs.put(b"all of it")
    blobs.path(digest).chmod(0o644)
    blobs.path(digest).write_bytes(b"")
    assert blobs.put(b"all of it") == digest
    assert blobs.get(digest) == b"all of it"
    blobs.path(digest).chmod(0o644)
    blobs.path(digest).write_bytes(b"all")
    (tmp_path / "file").write_bytes(b"all of it")
    assert blobs.put_file(tmp_path / "file") == (digest, 9)
    assert blobs.get(digest) == b"all of it"

"""Blobs in a bucket, and blobs that machines share: through a local folder, with digests checked."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.contract.bucket_world import KEYS, S3, bucket_served

from interlock.journal import Bucket, FileBlobs, PatientBlobs, SharedBlobs
from interlock.journal.shared import Patience
from interlock.ports import InfrastructureError, UsageError

pytest.importorskip("obstore")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> S3:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return S3()


@pytest.fixture
def endpoint(s3: S3) -> Iterator[str]:
    with bucket_served(s3) as found:
        yield found


def test_content_comes_back_by_its_digest(s3: S3, endpoint: str, tmp_path: Path) -> None:
    bucket = Bucket("s3://blobs/team/a", endpoint)
    bucket.check()
    for content in (b"", b"log\n", bytes(range(256)) * 1000, bytes(20_000_000)):
        digest = bucket.put(content)
        assert digest == sha256(content).hexdigest() == bucket.put(content)
        assert (bucket.get(digest), bucket.size(digest)) == (content, len(content))
        (tmp_path / "file").write_bytes(content)
        assert bucket.put_file(tmp_path / "file") == (digest, len(content))
        with bucket.file(digest) as path:
            assert path.read_bytes() == content
        assert s3.objects[f"team/a/{digest[:2]}/{digest[2:]}"] == content


def test_what_others_put_there_is_not_read_whole(s3: S3, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTENT_MAX", "FILE_MAX"):
        monkeypatch.setattr(f"interlock.journal.bucket.{name}", 9)
    bucket = Bucket("s3://blobs", endpoint)
    digest = bucket.put(b"ten bytes!")
    bucket.keep("x", bytes((1 << 20) + 1))
    said = []
    for read in (lambda: bucket.get(digest), lambda: bucket.file(digest).__enter__(), lambda: bucket.kept("x")):
        with pytest.raises(InfrastructureError, match="restore it from a backup") as error:
            read()
        said.append(str(error.value).partition(" of s3://blobs has ")[2].partition(" that")[0])
    assert said == [
        "10 bytes, more than the 9",
        "10 bytes, more than the 9",
        "1,048,577 bytes, more than the 1,048,576",
    ]


def test_large_content_that_is_there_is_not_sent_again(s3: S3, endpoint: str, tmp_path: Path) -> None:
    bucket = Bucket("s3://blobs", endpoint)
    (tmp_path / "file").write_bytes(bytes(100_000))
    bucket.put_file(tmp_path / "file")
    s3.asked.clear()
    bucket.put(bytes(100_000))
    bucket.put_file(tmp_path / "file")
    assert {method for method, _ in s3.asked} == {"HEAD"}


def test_an_entry_has_a_name_and_is_replaced(endpoint: str) -> None:
    bucket = Bucket("s3://blobs/team", endpoint)
    assert bucket.kept("histories/one") is None
    bucket.keep("histories/one", b"1")
    bucket.keep("histories/one", b"2")
    assert bucket.kept("histories/one") == b"2"


def test_of_several_who_write_an_entry_first_all_get_the_same(
    s3: S3, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket("s3://blobs/team", endpoint)
    monkeypatch.setattr(Bucket, "kept", lambda self, name: None)  # as they see it who come at the same moment
    bucket.keep_first("mark", b"1")
    bucket.keep_first("mark", b"2")
    monkeypatch.undo()
    assert s3.objects["team/named/mark"] == b"1"
    assert bucket.keep_first("mark", b"3") == b"1"


def test_what_is_not_there_or_changed_is_said(s3: S3, endpoint: str) -> None:
    bucket = Bucket("s3://blobs", endpoint)
    for digest in ("0" * 64, "", "../../x"):
        assert bucket.size(digest) is None
        with pytest.raises(InfrastructureError, match="is missing in s3://blobs"):
            bucket.get(digest)
        with pytest.raises(InfrastructureError, match="is missing in s3://blobs"), bucket.file(digest):
            pass
    digest = bucket.put(b"log")
    s3.changed = lambda content: content + b"!"
    with pytest.raises(InfrastructureError, match="does not match its digest"):
        bucket.get(digest)


def test_a_server_that_fails_is_asked_again(s3: S3, endpoint: str) -> None:
    bucket = Bucket("s3://blobs", endpoint)
    s3.refusals = [(500, "InternalError"), (503, "SlowDown")]
    assert bucket.get(bucket.put(b"log")) == b"log"
    s3.refusals = [(500, "InternalError")] * 20
    with pytest.raises(InfrastructureError, match="InternalError") as raised:
        bucket.put(b"more")
    assert not raised.value.permanent
    assert 10 <= len(s3.refusals) < 20, "the number of tries has no limit"


def test_each_wrong_setting_says_what_to_do(
    s3: S3, endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    right = Bucket("s3://blobs", endpoint)
    right.check()
    for wrong, words in {
        Bucket(
            "s3://blobz", endpoint
        ): "cannot write to s3://blobz at .*: there is no such bucket: make it, or correct",
        Bucket("s3://blobs", endpoint, "eu-west-3"): "in another region: correct temporal.blobs_region",
        Bucket("s3://blobs", "http://127.0.0.1:1"): "nothing answers there: correct temporal.blobs_endpoint",
    }.items():
        with pytest.raises(InfrastructureError, match=words) as raised:
            wrong.check()
        assert raised.value.permanent is (wrong.endpoint == endpoint), "a server that is away may come back"
    s3.readers = frozenset({"reader"})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    with pytest.raises(InfrastructureError, match="this key may not: allow it s3:GetObject and s3:PutObject"):
        Bucket("s3://blobs", endpoint).check()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    with pytest.raises(InfrastructureError, match="does not know this key: correct AWS_ACCESS_KEY_ID"):
        Bucket("s3://blobs", endpoint).check()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(InfrastructureError, match="correct AWS_SECRET_ACCESS_KEY"):
        Bucket("s3://blobs", endpoint).check()


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("obstore", "obstore.exceptions", "obstore.store"):
        monkeypatch.setitem(sys.modules, name, None)
    bucket = Bucket("s3://blobs", "http://127.0.0.1:1")
    (tmp_path / "file").touch()
    for act in (bucket.check, lambda: bucket.get("0" * 64), lambda: bucket.put_file(tmp_path / "file")):
        with pytest.raises(UsageError, match=r"pip install 'interlock\[s3\]'"):
            act()


@pytest.fixture(params=["folder", "bucket"])
def shared(request: pytest.FixtureRequest, endpoint: str, tmp_path: Path) -> FileBlobs | Bucket:
    if request.param == "bucket":
        return Bucket("s3://blobs/team", endpoint)
    (tmp_path / "shared").mkdir()
    return FileBlobs(tmp_path / "shared", shared=True)


def test_what_one_machine_puts_another_reads(shared: FileBlobs | Bucket, tmp_path: Path) -> None:
    shared.check()
    one = SharedBlobs(FileBlobs(tmp_path / "one"), shared)
    two = SharedBlobs(FileBlobs(tmp_path / "two"), shared)
    (tmp_path / "file").write_bytes(b"from a file")
    digest, size = one.put_file(tmp_path / "file")
    assert (two.size(digest), two.path(digest).read_bytes()) == (size, b"from a file")
    assert two.get(one.put(b"text")) == b"text"
    assert FileBlobs(tmp_path / "two").get(sha256(b"text").hexdigest()) == b"text"


class Hanging(FileBlobs):
    """A folder of a network whose server is gone: no call comes back until it does."""

    def __init__(self, root: Path, back: threading.Event) -> None:
        super().__init__(root, shared=True)
        self.back = back

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("check", "put", "put_file", "get", "size", "file", "keep", "keep_first", "kept"):
            return found

        def waits(*given: Any) -> Any:
            self.back.wait()
            return found(*given)

        return waits


def test_a_folder_that_hangs_is_said_and_one_that_is_slow_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "file").write_bytes(b"log")
    digest, back = sha256(b"log").hexdigest(), threading.Event()
    hanging = PatientBlobs(Hanging(tmp_path / "shared", back), Patience(0.05, 0.05, 0.05))
    local = FileBlobs(tmp_path / "local")
    for call in (
        hanging.check, lambda: hanging.put(b"log"), lambda: hanging.put_file(tmp_path / "file"),
        lambda: hanging.get(digest), lambda: hanging.size(digest), lambda: hanging.copy_into(local, digest),
        lambda: hanging.keep("a", b"1"), lambda: hanging.keep_first("a", b"1"), lambda: hanging.kept("a"),
    ):  # fmt: skip
        with pytest.raises(InfrastructureError, match=r"shared \(temporal.blobs\) has not answered for 0 s") as raised:
            call()
        assert not raised.value.permanent, "it may answer again"
    slow = SharedBlobs(local, PatientBlobs(Hanging(tmp_path / "shared", back)))
    threading.Timer(0.2, back.set).start()
    assert slow.put(b"log") == digest
    assert (
        SharedBlobs(FileBlobs(tmp_path / "two"), PatientBlobs(Hanging(tmp_path / "shared", back)))
        .path(digest)
        .read_bytes()
        == b"log"
    )


def test_who_only_reads_writes_nothing_for_others(shared: FileBlobs | Bucket, tmp_path: Path) -> None:
    digest = SharedBlobs(FileBlobs(tmp_path / "one"), shared, reads=True).put(b"own")
    assert shared.size(digest) is None


def test_a_folder_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    gone = FileBlobs(tmp_path / "gone", shared=True)
    for act in (gone.check, lambda: gone.put(b"x")):
        with pytest.raises(
            InfrastructureError, match=r"there is no folder .*gone: mount or make it, or correct temporal"
        ):
            act()
    assert not (tmp_path / "gone").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match=r"correct temporal\.blobs"):
        FileBlobs(tmp_path / "file", shared=True).check()

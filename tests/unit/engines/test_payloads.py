"""What goes to a Temporal server: small, encrypted with a key, and readable by whoever has that key alone."""

from __future__ import annotations

import asyncio
import base64
import secrets
from pathlib import Path

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.exceptions import ActivityError, ApplicationError

from interlock.engines.temporal.messages import PASSING
from interlock.engines.temporal.payloads import Key, check_keys, converter, leave_key, read_keys
from interlock.journal import FileBlobs
from interlock.ports import InfrastructureError, UsageError

ONE, OTHER = Key(b"1" * 32), Key(b"2" * 32)
LARGE = "\U0001f600" * 3_000_000  # 12 MB


def encoded(blobs: FileBlobs, value: object, *keys: Key) -> Payload:
    return asyncio.run(converter(blobs, keys).encode([value]))[0]


def decoded(blobs: FileBlobs, payload: Payload, *keys: Key) -> object:
    return asyncio.run(converter(blobs, keys).decode([payload], [str]))[0]


@pytest.mark.parametrize("keys", [(), (ONE,)])
@pytest.mark.parametrize("value", ["", "small", LARGE])
def test_it_comes_back_and_is_small(tmp_path: Path, keys: tuple[Key, ...], value: str) -> None:
    blobs = FileBlobs(tmp_path)
    payload = encoded(blobs, value, *keys)
    assert payload.ByteSize() < 16 * 1024
    assert decoded(blobs, payload, *keys) == value


def test_nobody_reads_it_without_the_key(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    small, large = encoded(blobs, "a secret", ONE), encoded(blobs, "a secret" * 10_000, ONE)
    assert b"a secret" not in small.SerializeToString()
    assert all(b"a secret" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for payload in (small, large):
        for keys in ((), (OTHER,)):
            with pytest.raises(InfrastructureError, match=r"temporal\.codec_key"):
                decoded(blobs, payload, *keys)
        decoded(blobs, payload, OTHER, ONE)  # a former key still reads


def test_with_a_key_nothing_is_taken_from_who_has_none(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    for value in ("x", "x" * 100_000):
        with pytest.raises(InfrastructureError, match="is not encrypted"):
            decoded(blobs, encoded(blobs, value), ONE)


def test_what_was_said_in_one_run_is_refused_in_another(tmp_path: Path) -> None:
    def of(run: str) -> DataConverter:
        return converter(FileBlobs(tmp_path), (ONE,)).with_context(WorkflowSerializationContext("default", run))

    for value in ("x", "x" * 100_000):
        payload = asyncio.run(of("one").encode([value]))
        assert asyncio.run(of("one").decode(payload)) == [value]
        assert asyncio.run(of("other").encode([value])) != payload
        with pytest.raises(InfrastructureError, match="or is of another run"):
            asyncio.run(of("other").decode(payload))


def failed(blobs: FileBlobs, failure: Failure, *keys: Key) -> BaseException:
    return asyncio.run(converter(blobs, keys).decode_failure(failure))


def test_a_failure_without_the_key_is_told_in_our_words(tmp_path: Path) -> None:
    """Also where it is the cause of another one, or what is said with it is not encrypted."""
    blobs, plain = (
        FileBlobs(tmp_path),
        Failure(message="theirs", application_failure_info=ApplicationFailureInfo(type="permanent")),
    )
    outer = Failure(cause=plain)
    outer.activity_failure_info.SetInParent()
    named = Failure(message="theirs", application_failure_info=ApplicationFailureInfo())
    named.encoded_attributes.CopyFrom(DataConverter.default.payload_converter.to_payload({"message": "theirs"}))
    late = Failure()
    late.timeout_failure_info.last_heartbeat_details.payloads.add().CopyFrom(encoded(blobs, "theirs"))
    for failure in (plain, outer, named, late):
        error = failed(blobs, failure, ONE)
        error = error.__cause__ if isinstance(error, ActivityError) else error
        assert isinstance(error, ApplicationError)
        assert (error.type, error.message) == (PASSING, "who reported that it failed has not the key of the payloads")
    assert "theirs" in str(failed(blobs, plain))


def test_our_own_failures_keep_their_words(tmp_path: Path) -> None:
    blobs, failure = FileBlobs(tmp_path), Failure()
    asyncio.run(converter(blobs, (ONE,)).encode_failure(ApplicationError("ours", "code/1.1", type="waits"), failure))
    error = failed(blobs, failure, ONE)
    assert isinstance(error, ApplicationError)
    assert (error.message, error.type, list(error.details)) == ("ours", "waits", ["code/1.1"])


def test_what_was_changed_is_refused(tmp_path: Path) -> None:
    payload = encoded(FileBlobs(tmp_path), "x", ONE)
    payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
    with pytest.raises(InfrastructureError, match="was changed"):
        decoded(FileBlobs(tmp_path), payload, ONE)


def test_a_replay_writes_the_same_blob(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    payloads = [encoded(blobs, "x" * 100_000, ONE) for _ in range(2)]
    assert payloads[0] == payloads[1]
    assert payloads[0] != encoded(blobs, "x" * 99_999 + "y", ONE)


def test_a_key_file(tmp_path: Path) -> None:
    path, secret = tmp_path / "key", secrets.token_bytes(32)
    path.write_text(f"{secret.hex()}\n{base64.b64encode(ONE.secret).decode()}\n")
    assert read_keys(path) == (Key(secret), ONE)
    for wrong in ("", "ab12", "x" * 64, "é"):
        path.write_text(wrong)
        with pytest.raises(UsageError, match="openssl rand -hex 32"):
            read_keys(path)
    with pytest.raises(UsageError, match="openssl rand -hex 32"):
        read_keys(tmp_path / "none")


def test_a_machine_without_the_key_of_the_others_is_told(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    assert not check_keys(blobs, ())
    assert not check_keys(blobs, (ONE,))
    leave_key(blobs, ())
    assert not check_keys(blobs, ())
    leave_key(blobs, (ONE,))
    assert check_keys(blobs, (ONE,))
    with pytest.raises(InfrastructureError, match=r"has no key: set temporal\.codec_key"):
        check_keys(blobs, ())
    with pytest.raises(InfrastructureError, match="with another key"):
        check_keys(blobs, (OTHER,))
    assert check_keys(blobs, (OTHER, ONE))
    leave_key(blobs, (OTHER, ONE))  # a new key, first on a machine that reads both
    check_keys(blobs, (OTHER,))

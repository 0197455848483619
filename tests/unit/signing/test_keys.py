"""The user's key, whoever makes it first, and whatever became of its files."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from interlock.ports import InfrastructureError, UsageError
from interlock.signing import IN_TOTO, Envelope, KeyFolder, PublicKeys, read_envelope
from interlock.signing.envelopes import write_envelope


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


def test_a_content_that_was_signed_is_known_by_its_key(folder: KeyFolder) -> None:
    signer = folder.signer()
    envelope = signer.sign(IN_TOTO, b"it")
    assert envelope == folder.signer().sign(IN_TOTO, b"it")
    assert read_envelope(envelope).content == b"it"
    assert folder.public().signer_of(read_envelope(envelope)) == (signer.id, "")


def test_the_signature_is_of_type_and_content_as_dsse_says() -> None:
    assert Envelope("http://example.com/HelloWorld", b"hello world", ()).signed == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_one_of_several_signatures_is_enough_if_its_key_is_trusted(folder: KeyFolder, tmp_path: Path) -> None:
    ours, other = folder.signer(), KeyFolder(tmp_path / "other").signer()
    signed = [read_envelope(signer.sign(IN_TOTO, b"it")) for signer in (other, ours)]
    both = Envelope(IN_TOTO, b"it", tuple(signature for each in signed for signature in each.signatures))
    assert folder.public().signer_of(both) == (ours.id, "")
    assert PublicKeys({}, {}).signer_of(both)[0] == ""
    assert "no signature" in folder.public().signer_of(Envelope(IN_TOTO, b"it", ()))[1]


@pytest.mark.parametrize("key_id", ["", "../x", "\x1b[31m", "z" * 99])
def test_no_name_of_a_key_reaches_the_screen(folder: KeyFolder, key_id: str) -> None:
    folder.signer()
    envelope = read_envelope(write_envelope(IN_TOTO, b"it", key_id, lambda _: b"x" * 64))
    why = folder.public().signer_of(envelope)[1]
    assert why in ("it is signed by an unknown key (without an id)", "it is signed by an unknown key (zzzzzzzzzzzz)")


def test_of_many_that_make_the_first_key_all_get_the_same(folder: KeyFolder) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(folder.signer().id)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 16
    assert [key.state for key in folder.states()] == ["current"]


def test_a_lost_public_key_comes_back_from_the_private_one(folder: KeyFolder) -> None:
    key_id = folder.signer().id
    (public,) = folder.file.with_name("public").iterdir()
    public.unlink()
    assert folder.public().trusted == {}
    assert folder.signer().id == key_id
    assert set(folder.public().trusted) == {key_id}


def test_a_rotated_key_is_another_file_for_the_user_alone(folder: KeyFolder) -> None:
    first, second = folder.signer(), folder.rotate()
    assert folder.signer().id == second != first.id
    assert stat.S_IMODE(folder.file.stat().st_mode) == 0o600
    assert {key.id: key.state for key in folder.states()} == {first.id: "former", second: "current"}
    assert folder.public().signer_of(read_envelope(first.sign(IN_TOTO, b"it")))[0] == first.id


def test_a_revoked_key_signs_no_more_and_is_trusted_no_more(folder: KeyFolder) -> None:
    signer = folder.signer()
    envelope = read_envelope(signer.sign(IN_TOTO, b"it"))
    assert folder.revoke(signer.id[:8]) == signer.id
    assert folder.public().signer_of(envelope) == ("", f"it is signed by a key that was revoked ({signer.id[:12]})")
    with pytest.raises(InfrastructureError, match="was revoked: `interlock key --rotate`"):
        folder.signer()
    with pytest.raises(UsageError, match="no trusted key"):
        folder.revoke(signer.id)
    with pytest.raises(UsageError, match="no trusted key"):
        folder.revoke("")


def test_a_beginning_that_two_keys_share_names_none(folder: KeyFolder) -> None:
    ids = {folder.signer().id}
    while len({key_id[0] for key_id in ids}) == len(ids):
        ids.add(folder.rotate())
    shared = next(key_id[0] for key_id in ids if sum(other[0] == key_id[0] for other in ids) > 1)
    with pytest.raises(UsageError, match="2 keys have"):
        folder.revoke(shared)


def test_files_that_are_no_keys_are_told(folder: KeyFolder) -> None:
    folder.signer()
    public = folder.file.with_name("public")
    (public / "notes.txt").write_text("mine")
    assert len(folder.public().trusted) == 1
    (public / "x.pub").write_text("nonsense")
    with pytest.raises(InfrastructureError, match=r"x\.pub: it is no public key"):
        folder.public()

"""`verify`, `key` and `export --format in-toto`: what they say of runs, of keys, and of files from elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from mcp import Client
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from tests.contract.cli_world import World, new_world
from tests.contract.golden_world import STORES, runs, state_of, unpacked
from tests.contract.mcp.world import refused, talk, text_of
from tests.contract.web.world import served
from tests.nightly import rest_at_night

from interlock.bootstrap import build
from interlock.signing import SignedRecords

PIPELINE = """\
version: 1
name: joined
agents:
  left: {{use: command, run: 'echo left > left.txt; mkdir -p "$ARTIFACTS"; echo "# It" > "$ARTIFACTS/why.md"'}}
  right: {{use: command, run: echo right > right.txt}}
stages:
  left:
    agent: left
    produces:
      why: {{file: why.md}}
    gates:
      - {{id: there, run: test -s left.txt}}
  right:
    agent: right
    gates:
      - {{id: flag, run: test -f '{flag}'}}
  both:
    needs: [left, right]
    run: cat left.txt right.txt > both.txt
    gates:
      - {{id: merge, approve: Merge it?}}
    on_reject: [{{pause: true}}]
deliver: {{branch: done}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("w")
    (root / "flag").touch()
    world = new_world(root / "world", {"interlock.yaml": PIPELINE.format(flag=root / "flag")})
    world.ask("run", "-t", "both", "--plain").ended(3)
    world.ask("verify").ended(0, "the run has not ended", "2 handoffs")
    world.ask("approve", "--plain").ended(0)
    return world


@pytest.fixture
def key_file(made: World, tmp_path: Path) -> Path:
    path = tmp_path / "key.pub"
    path.write_text(made.ask("key").ended(0).out)
    return path


@pytest.fixture
def bundle(made: World, tmp_path: Path) -> Path:
    path = tmp_path / "run.intoto.jsonl"
    path.write_text(made.ask("export", runs(made)["both"], "--format", "in-toto").ended(0).out)
    return path


def test_a_joined_run_that_a_person_approved_is_verified(made: World) -> None:
    made.ask("verify", runs(made)["both"]).ended(
        0, "✓ left/1.1 ", "✓ both/1.1 ", "delivered done at", "is verified: 3 handoffs"
    )
    found = made.ask("verify", runs(made)["both"], "--json").ended(0).json()
    assert (found["verdict"], [one["verdict"] for one in found["handoffs"]]) == ("verified", ["verified"] * 3)
    assert (found["problems"], found["notes"], found["delivered"]["branch"]) == ([], [], "done")


def test_a_record_says_what_it_was_made_from(bundle: Path, made: World) -> None:
    left, right, both = (by_stage(bundle)[name] for name in ("left", "right", "both"))
    records = {
        one["attempt"]: one["record"] for one in made.ask("verify", runs(made)["both"], "--json").json()["handoffs"]
    }
    inputs = [one["digest"]["sha256"] for one in both["predicate"]["inputAttestations"]]
    assert inputs == [records["left/1.1"], records["right/1.1"]]
    assert left["predicate"]["inputAttestations"] == right["predicate"]["inputAttestations"] == []
    attempt = left["predicate"]["interlock"]["attempt"]
    assert attempt["agent"] == "left"
    assert attempt["brief"] == attempt["evidence"]["brief"] != ""
    assert both["predicate"]["interlock"]["verdicts"][-1]["by"] != ""
    tree = made.git("rev-parse", "done^{tree}")
    assert both["predicate"]["interlock"]["delivers"]["gitTree"] == tree != both["subject"][0]["digest"]["gitTree"]


def test_another_program_verifies_the_records(bundle: Path, key_file: Path) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    for line in bundle.read_text().splitlines():
        found = Envelope.from_dict(json.loads(line))
        (key_id,) = found.signatures
        key = SSlibKey.from_crypto(load_pem_public_key(key_file.read_bytes()), key_id)  # type: ignore[arg-type]
        assert found.payload_type == "application/vnd.in-toto+json"
        assert set(found.verify([key], 1)) == {key_id}
        other = SSlibKey.from_crypto(Ed25519PrivateKey.generate().public_key(), key_id)
        with pytest.raises(VerificationError):
            found.verify([other], 1)


# --- bundles --------------------------------------------------------------------------------------


def test_another_person_verifies_the_file_with_the_public_key(
    made: World, bundle: Path, key_file: Path, tmp_path: Path
) -> None:
    elsewhere = World(tmp_path / "elsewhere", tmp_path)
    elsewhere.root.mkdir()
    said = elsewhere.ask("verify", "--bundle", str(bundle), "--key", str(key_file))
    said.ended(0, "✓ left/1.1 ", "is verified: 3 handoffs", f"delivers tree {made.git('rev-parse', 'done^{tree}')}")
    with bundle.open() as file:
        elsewhere.ask("verify", "--bundle", "-", "--key", str(key_file), stdin=file.read()).ended(0)


def test_a_changed_file_is_named_line_by_line(bundle: Path, key_file: Path, made: World) -> None:
    lines = bundle.read_text().splitlines()

    def said(*changed: str) -> str:
        bundle.write_text("\n".join(changed))
        return made.ask("verify", "--bundle", str(bundle), "--key", str(key_file)).ended(1).text

    assert "✗ line 1" in said("{}", *lines[1:])
    assert "the record of its input" in said(lines[0], lines[2])
    assert "the record of its input" in said(lines[2], *lines[:2])
    assert "a second record of the same attempt" in said(lines[0], lines[0])
    assert "the file is empty" in said("")
    forged = json.loads(lines[0])
    forged["signatures"][0]["sig"] = json.loads(lines[1])["signatures"][0]["sig"]
    assert "does not match: the record was changed" in said(json.dumps(forged), *lines[1:])


def test_records_of_two_runs_are_no_bundle(bundle: Path, key_file: Path, made: World) -> None:
    made.ask("run", "-t", "another", "--until", "left", "--plain").ended(0)
    other = made.ask("export", "@", "--format", "in-toto").ended(0).out
    bundle.write_text(bundle.read_text() + other)
    said = made.ask("verify", "--bundle", str(bundle), "--key", str(key_file))
    said.ended(1, "it is of another run than the records above it")
    made.ask("verify", "@").ended(0, "is verified: 1 handoff")


def test_a_file_of_an_unknown_key_is_not_verified(bundle: Path, made: World, tmp_path: Path) -> None:
    other = tmp_path / "other.pub"
    other.write_bytes(pem(Ed25519PrivateKey.generate()))
    said = made.ask("verify", "--bundle", str(bundle), "--key", str(other)).ended(1, "signed by an unknown key")
    assert "3 of 3 handoffs" in said.text
    run = runs(made)["both"]
    said = made.ask("verify", run, "--key", str(other)).ended(1, "signed by an unknown key")
    said.ended(1, f"`interlock verify {run} --key KEYFILE`", "keys from a backup")
    assert said.out.count("`interlock key` there") == 1


def test_doctor_tells_of_the_key(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": PIPELINE.format(flag=tmp_path)})
    keys = tmp_path / "state/interlock/keys"
    assert f"- key: none yet: the first run makes one in {keys / 'signing.key'}" in world.ask("doctor").text
    world.ask("run", "-t", "x", "--until", "left", "--plain").ended(0)
    assert re.search(r"✓ key: signs with [0-9a-f]{12} \(\S+, mode 0600, made \d{4}-", world.ask("doctor").text)
    (keys / "signing.key").chmod(0o644)
    assert "✗ key: the key " in world.ask("doctor").text
    (keys / "signing.key").unlink()
    assert "! key: there is no " in world.ask("doctor").text
    shutil.rmtree(keys)
    assert "what was signed before cannot be verified" in world.ask("doctor").text


# --- the page, the API, MCP --------------------------------------------------------------------------


def test_the_page_the_api_and_mcp_say_what_verify_says(tmp_path: Path) -> None:
    pipeline = 'version: 1\nname: one\nstages:\n  one: {run: "echo > a.txt"}\n'
    world = new_world(tmp_path / "w", {"interlock.yaml": pipeline})
    world.ask("run", "-t", "it", "--plain").ended(0)
    run = str(world.show()["id"])
    key = json.loads(world.ask("key", "--json").ended(0).out)["keys"][0]["id"]
    with served(world) as site, site.client() as client:
        page, api = f"/runs/{run}/verification", f"/api/v1/runs/{run}/verification"
        assert f'href="{page}"' in client.get(f"/runs/{run}").text
        assert f"Verified: {run}" in client.get(page).text
        assert client.get(api).json() == json.loads(world.ask("verify", run, "--json").ended(0).out)
        world.ask("key", "--revoke", key).ended(0)
        said = json.loads(world.ask("verify", run, "--json").ended(1).out)
        assert client.get(api).json() == said
        assert f"Not verified: {run}" in client.get(page).text
        assert "signed by a key that was revoked" in client.get(page).text
        assert client.get("/runs/nope/verification").status_code == 404

    async def asked(client: Client) -> None:
        assert await text_of(client, "read", what="records", run=run) == world.ask("verify", run).ended(1).out
        assert "no run nope" in await refused(client, "read", what="records", run="nope")

    talk(world, asked)


# --- bad input ------------------------------------------------------------------------------------


def test_wrong_words_are_told(made: World, bundle: Path, key_file: Path, tmp_path: Path) -> None:
    made.ask("verify", "nope").ended(2, "no run nope in this repository")
    made.ask("verify", "--bundle", str(bundle)).ended(2, "--bundle needs --key FILE", "interlock key")
    made.ask("verify", "@", "--bundle", str(bundle), "--key", str(key_file)).ended(2, "--bundle excludes a run")
    made.ask("verify", "--key", str(tmp_path / "gone")).ended(2, "cannot be read: No such file")
    made.ask("verify", "--key", str(tmp_path)).ended(2, "cannot be read")
    made.ask("key", "--revoke", "nope").ended(2, "no trusted key has an id that begins so")
    made.ask("key", "--rotate", "--revoke", "a").ended(2, "exclude each other")
    private = Ed25519PrivateKey.generate()
    for content, why in (
        (b"", "it is no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "it is no public key"),
        (private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "it is a private key"),
        (pem(X25519PrivateKey.generate()), "a key of another kind"),
    ):
        key_file.write_bytes(content)
        made.ask("verify", "--key", str(key_file)).ended(2, why)


def test_a_run_that_accepted_nothing_has_nothing_to_verify(tmp_path: Path) -> None:
    pipeline = (
        "version: 1\nname: one\nagents: {a: {use: command, run: 'echo > a.txt'}}\nstages:\n  one:\n    agent: a\n"
    )
    pipeline += "    gates: [{id: never, run: test -e b.txt}]\n    on_reject: [{pause: true}]\n"
    world = new_world(tmp_path / "w", {"interlock.yaml": pipeline})
    world.ask("verify").ended(2, "no runs in this repository yet")
    world.ask("run", "-t", "it", "--plain").ended(3)
    world.ask("verify").ended(5, "nothing was accepted", "cannot be verified")
    world.ask("export", "--format", "in-toto").ended(2, "no accepted handoff yet")
    world.ask("accept", "--override", "one", "--plain").ended(0)
    world.ask("verify").ended(0, "is verified: 1 handoff")


@pytest.mark.parametrize("store", rest_at_night(STORES), ids=lambda path: path.name.partition(".")[0])
def test_a_run_of_an_earlier_version_is_not_signed(store: Path, tmp_path: Path) -> None:
    world = unpacked(store, tmp_path)
    run = runs(world)["accepted"]
    world.ask("verify", run).ended(5, "it is not signed: a version of Interlock before signed records wrote it")
    world.ask("export", run, "--format", "in-toto").ended(2, "it is not signed")
    waits = runs(world)["waits"]
    world.ask("approve", waits, "--plain").ended(0)
    world.ask("verify", waits).ended(5, "it is not signed")


# --- what is lost ---------------------------------------------------------------------------------


def test_a_lost_record_is_put_back_and_gc_keeps_it(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    world.ask("run", "-t", "it", "--plain").ended(0)
    refs = state_of(world) / "store.git/refs"
    for path in refs.rglob("*"):
        os.utime(path, (0, 0))
    for path in (state_of(world) / "store.git/objects").rglob("*"):
        os.utime(path, (0, 0))
    world.ask("gc").ended(0)
    (record,) = (one["record"] for one in world.ask("verify", "--json").ended(0).json()["handoffs"])
    blob = state_of(world) / "blobs" / record[:2] / record[2:]
    blob.unlink()
    world.ask("verify").ended(0, "its record was missing and was put back", "is no longer in the store")
    assert blob.exists()
    world.ask("verify", "--rerun").ended(5, "could not be asked again", "is no longer in the store")


def test_a_verdict_that_is_another_today_is_named(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT.replace("test -s a.txt", f"test -f '{flag}'")})
    world.ask("run", "-t", "it", "--plain").ended(0)
    world.ask("verify", "--rerun").ended(0, "one/1.1", "2 hard verdicts again")
    flag.unlink()
    world.ask("verify").ended(0)
    said = world.ask("verify", "--rerun").ended(
        1, "gate one/t passed when it was accepted, and failed now: exit code 1"
    )
    assert "scope" not in said.out


SKIPS = """\
version: 1
name: skips
agents:
  left:
    use: command
    run: |
      echo left > left.txt
      mkdir -p "$ARTIFACTS"
      echo '{"large": false}' > "$ARTIFACTS/size.json"
  right: {use: command, run: echo right > right.txt}
stages:
  left:
    agent: left
    produces: {size: {file: size.json}}
    gates: [{id: there, run: test -f start.txt}]
  right:
    agent: right
    gates: [{id: there, run: test -f start.txt}]
  both:
    needs: [left, right]
    when: {artifact: left/size, at: /large, equals: true}
    run: echo never > both.txt
deliver: {branch: done}
"""


def test_a_merge_that_a_skipped_stage_passes_on_is_made_again(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SKIPS, "start.txt": ""})
    world.ask("run", "-t", "it", "--plain").ended(0, "skipped")
    world.ask("verify").ended(0, "is verified: 2 handoffs", "delivered done at")
    store = state_of(world) / "store.git"
    for ref in [*(store / "refs/interlock").glob("*/both/1.0"), *(store / "refs/interlock").glob("*/left/1.1")]:
        (store / "objects" / ref.read_text()[:2] / ref.read_text()[2:].strip()).unlink()
    said = world.ask("verify").ended(5, "why stage both was skipped cannot be read again")
    assert "the delivered commit is a merge without a record" in said.out


def test_a_branch_that_was_moved_since_is_noted_and_is_no_problem(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SKIPS, "start.txt": ""})
    world.ask("run", "-t", "it", "--plain").ended(0)
    assert "is now at" not in world.ask("verify").ended(0).text
    world.git("branch", "-f", "done", "main")
    moved = f"branch done is now at {world.git('rev-parse', 'main').strip()[:10]}, which this run did not deliver"
    world.ask("verify").ended(0, "delivered done at", moved, "is verified: 2 handoffs")
    assert json.loads(world.ask("verify", "--json").out)["notes"] == [moved]
    world.git("branch", "-D", "done")
    assert "is now at" not in world.ask("verify").ended(0).text


# --- keys -----------------------------------------------------------------------------------------

SHORT = "version: 1\nname: one\nagents: {a: {use: command, run: 'echo hi > a.txt; env > env.txt'}}\nstages:\n  one:\n"
SHORT += "    agent: a\n    gates: [{id: t, run: test -s a.txt}]\n"


def test_a_key_is_made_once_for_the_user_alone(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    world.ask("run", "-t", "it", "--plain").ended(0)
    key = keys_of(world) / "signing.key"
    assert (stat.S_IMODE(key.stat().st_mode), stat.S_IMODE(key.parent.stat().st_mode)) == (0o600, 0o700)
    first = world.ask("key").ended(0).out
    assert "PRIVATE" not in first
    other = new_world(tmp_path / "other", {"interlock.yaml": SHORT}, XDG_STATE_HOME=str(world.root / "state"))
    other.ask("run", "-t", "it", "--plain").ended(0)
    assert other.ask("key").out == first
    secret = key.read_bytes().splitlines()[1]
    for path in (file for folder in (world.root, other.root) for file in folder.rglob("*") if file.is_file()):
        assert path == key or secret not in path.read_bytes(), path


def test_what_a_former_key_signed_is_trusted_until_it_is_revoked(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    world.ask("run", "-t", "it", "--plain").ended(0)
    (former,) = world.ask("key", "--json").json()["keys"]
    world.ask("key", "--rotate").ended(0, "new key")
    states = {key["id"]: key["state"] for key in world.ask("key", "--json").json()["keys"]}
    assert (states.pop(former["id"]), list(states.values())) == ("former", ["current"])
    world.ask("verify").ended(0, f"signed by key {former['id'][:12]}")
    world.ask("run", "-t", "more", "--plain").ended(0)
    world.ask("verify").ended(0, f"signed by key {next(iter(states))[:12]}")
    world.ask("key", "--revoke", former["id"][:12]).ended(0, f"revoked key {former['id']}")
    world.ask("verify", "@-1").ended(1, "signed by a key that was revoked", "is not verified: wrong: 1 of 1 handoff")
    world.ask("verify", "@").ended(0)
    world.ask("key", "--revoke", next(iter(states))).ended(0, "new key")
    world.ask("verify", "@").ended(1, "signed by a key that was revoked")


def test_the_key_of_another_user_is_trusted_once_a_person_says_so(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    other = new_world(tmp_path / "other", {"interlock.yaml": SHORT})
    world.ask("run", "-t", "it", "--plain").ended(0)
    theirs = tmp_path / "theirs.pub"
    theirs.write_text(world.ask("key").ended(0).out)
    keys_of(world).rename(tmp_path / "gone")
    world.ask("verify").ended(1, "interlock key --trust KEYFILE")
    world.ask("key", "--trust", str(theirs)).ended(0, "trusted key")
    world.ask("verify").ended(0, "is verified")
    other.ask("key", "--trust", str(keys_of(other) / "signing.key")).ended(2, "cannot be read")
    other.ask("key", "--trust", str(tmp_path / "gone" / "signing.key")).ended(2, "it is a private key")
    other.ask("key", "--trust", "-", "--rotate", stdin="").ended(2, "excludes")
    (key,) = (each["id"] for each in world.ask("key", "--json").json()["keys"] if each["public"] == theirs.read_text())
    world.ask("key", "--revoke", key[:12]).ended(0)
    world.ask("key", "--trust", str(theirs)).ended(2, "was revoked here")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda key: key.chmod(0o644), "can be read by others: `chmod 600"),
        (lambda key: key.write_bytes(b"nonsense"), "is damaged, or is no ed25519 key"),
        (lambda key: key.write_bytes(b""), "is damaged, or is no ed25519 key"),
        (lambda key: (key.unlink(), key.mkdir()), "can be read by others"),
    ],
    ids=["open to others", "nonsense", "empty", "folder"],
)
def test_without_a_sound_key_no_run_begins(tmp_path: Path, harm: Any, why: str) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    world.ask("key").ended(0)
    harm(keys_of(world) / "signing.key")
    world.ask("run", "-t", "it", "--plain").ended(5, why, "interlock key --rotate")
    assert world.ask("list", "--json").json()["runs"] == []


def test_where_no_key_can_be_made_no_run_begins(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    keys_of(world).parent.mkdir(parents=True)
    keys_of(world).write_text("in the way")
    world.ask("run", "-t", "it", "--plain").ended(5, "keys")
    assert world.ask("list", "--json").json()["runs"] == []


def keys_of(world: World) -> Path:
    return world.root / "state/interlock/keys"


def statements(bundle: Path) -> list[dict[str, Any]]:
    return [json.loads(b64decode(json.loads(line)["payload"])) for line in bundle.read_text().splitlines()]


def by_stage(bundle: Path) -> dict[str, dict[str, Any]]:
    return {one["subject"][0]["name"].split("/")[1]: one for one in statements(bundle)}


def pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


# --- many at once ---------------------------------------------------------------------------------


def test_of_64_that_keep_one_record_none_fails_and_one_is_kept(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    app = build(world.repository, world.environment())
    app.workspaces.import_base()
    records = SignedRecords(app.keys.signer(), app.blobs, app.workspaces.stored_records)
    with ThreadPoolExecutor(64) as racers:
        found = set(racers.map(lambda number: records.keep("r1", b"statement %d" % (number % 4)), range(64 * 4)))
    assert len(found) == 4
    for digest in found:
        assert app.workspaces.stored_records.get("r1", digest) == app.blobs.get(digest)
    app.close()


def test_a_copy_in_the_store_that_was_changed_is_no_copy(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": SHORT})
    world.ask("run", "-t", "it", "--plain").ended(0)
    (ref,) = (path for path in (state_of(world) / "store.git/refs/records").rglob("*") if path.is_file())
    (record,) = (one["record"] for one in world.ask("verify", "--json").ended(0).json()["handoffs"])
    ref.write_text("0" * 40)
    world.ask("verify").ended(0, "the store has no copy of its record")
    ref.write_text("--help\n\n")
    world.ask("verify").ended(0, "the store has no copy of its record")
    (state_of(world) / "blobs" / record[:2] / record[2:]).unlink()
    world.ask("verify").ended(1, "is missing, and so is its copy in the store")
    world.ask("export", "--format", "in-toto").ended(5, "is missing")

"""Attack 41: an edited record, verdict, policy, order or key. `verify` names each; with a hole in what stops it, it would
pass.

Rule: whoever edits has all of Interlock's state but the private key, and makes every digest anew.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.attacks.forgery import PIPELINE, Forger, dumped, moved_branch
from tests.nightly import rest_at_night

from interlock.core.events import (
    AttemptStarted,
    CandidateProduced,
    Delivered,
    Event,
    HandoffAccepted,
    InputPrepared,
    RunStarted,
    StageSkipped,
    VerdictGiven,
    VerdictStatus,
)
from interlock.core.ids import AttemptId
from interlock.execution.records import RECORD_VERSION, STATEMENT, SUMMARY
from interlock.journal import FileBlobs
from interlock.ports import Signer
from interlock.service import statements, verification
from interlock.service.bundles import verify_bundle
from interlock.service.statements import Signed, Unsigned, differences, read_record
from interlock.service.verification import Finding, Verification
from interlock.signing import PublicKeys, Unreadable, keys, read_envelope
from interlock.signing.keys import public_pem
from interlock.workspaces.records import StoredRecords

Attack = Callable[[Forger], object]
FORGED = Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def forger(tmp_path_factory: pytest.TempPathFactory) -> Forger:
    return Forger(tmp_path_factory.mktemp("forger"))


def changed(kind: type[Any], stage: str = "", gate: str = "", **fields: Any) -> Attack:
    """Fields of every event of a kind, of a stage or a gate."""

    def fits(event: Any) -> bool:
        told = getattr(event, "attempt", None) or getattr(event, "subject", None)
        return isinstance(event, kind) and (not stage or told.stage == stage) and (not gate or event.gate == gate)

    return lambda forger: forger.edit(lambda event: dataclasses.replace(event, **fields) if fits(event) else event)


def without(kind: type[Any], stage: str) -> Attack:
    def keep(event: Any) -> bool:
        told = getattr(event, "attempt", None) or getattr(event, "subject", None)
        return not (isinstance(event, kind) and told.stage == stage and told.epoch > 0)

    return lambda forger: forger.rewrite(lambda events: [event for event in events if keep(event)])


def swapped_verdicts(forger: Forger) -> None:
    def swap(events: list[Event]) -> list[Event]:
        first, second = [
            at for at, each in enumerate(events)
            if isinstance(each, VerdictGiven) and each.gate in ("plan/there", "plan/also") and each.subject.epoch > 0
        ]  # fmt: skip
        events[first], events[second] = events[second], events[first]
        return events

    forger.rewrite(swap)


def swapped_records(forger: Forger) -> None:
    plan, code = forger.accepted("plan"), forger.accepted("code")
    other = {plan.attempt: code.record, code.attempt: plan.record}
    forger.edit(
        lambda event: (
            dataclasses.replace(event, record=other[event.attempt]) if isinstance(event, HandoffAccepted) else event
        )
    )


def swapped_handoffs(forger: Forger) -> None:
    """The second stage is accepted before the first."""

    def swap(events: list[Event]) -> list[Event]:
        ours = [at for at, each in enumerate(events) if isinstance(each, HandoffAccepted)]
        events[ours[0]], events[ours[1]] = events[ours[1]], events[ours[0]]
        return events

    forger.rewrite(swap)


def other_runs_record(forger: Forger) -> None:
    forger.replace_record("plan", forger.blob(forger.accepted("plan", forger.other).record).read_bytes())


def other_result(statement: Any) -> None:
    statement["predicate"]["verificationResult"] = "FAILED"


def another_type(forger: Forger) -> None:
    forger.replace_record("code", dumped({**forger.envelope("code"), "payloadType": "text/plain"}))


def unsigned(forger: Forger) -> None:
    """As an earlier version wrote it."""
    from base64 import b64decode

    forger.replace_record("plan", b64decode(forger.envelope("plan")["payload"]))


def other_branch(forger: Forger) -> None:
    commit = moved_branch(forger.world, {"start.txt": "other\n"})
    forger.edit(lambda event: dataclasses.replace(event, commit=commit) if isinstance(event, Delivered) else event)


def other_source(forger: Forger) -> None:
    """The branch of the first handoff, as if the second were not needed."""
    plan = forger.accepted("plan")
    commit = forger.world.git("commit-tree", "-m", "x", forger.world.git("rev-parse", "HEAD^{tree}"))
    forger.edit(
        lambda event: (
            dataclasses.replace(event, source=plan.commit, commit=commit) if isinstance(event, Delivered) else event
        )
    )


def more_parents(forger: Forger) -> None:
    """The accepted tree, on the base and on a history that nobody has seen."""
    world = forger.world
    delivered = next(event for event in forger.history() if isinstance(event, Delivered))
    commit = world.git("rev-parse", f"{delivered.commit}^")
    tree = world.git("rev-parse", f"{delivered.commit}^{{tree}}")
    for number in range(4):
        commit = world.git("commit-tree", "-m", f"stranger {number}", "-p", commit, tree)
    forger.edit(lambda event: dataclasses.replace(event, commit=commit) if isinstance(event, Delivered) else event)


def one_more_parent(forger: Forger) -> None:
    """The accepted tree, on a commit of somebody else."""
    world = forger.world
    delivered = next(event for event in forger.history() if isinstance(event, Delivered))
    base, tree = (world.git("rev-parse", f"{delivered.commit}{each}") for each in ("^", "^{tree}"))
    strange = world.git(
        "commit-tree", "-m", "strange", "-p", base, world.git("hash-object", "-t", "tree", "-w", "/dev/null")
    )
    commit = world.git("commit-tree", "-m", "x", "-p", strange, tree)
    forger.edit(lambda event: dataclasses.replace(event, commit=commit) if isinstance(event, Delivered) else event)


def no_parent(forger: Forger) -> None:
    world = forger.world
    delivered = next(event for event in forger.history() if isinstance(event, Delivered))
    commit = world.git("commit-tree", "-m", "x", world.git("rev-parse", f"{delivered.commit}^{{tree}}"))
    forger.edit(lambda event: dataclasses.replace(event, commit=commit) if isinstance(event, Delivered) else event)


def skipped(forger: Forger) -> None:
    """The second stage, as if it had been skipped, and the first one's work as a branch."""
    plan = forger.accepted("plan")
    world, store = forger.world, str(forger.state / "store.git")
    world.git("fetch", "-q", store, next(iter(forger.refs("plan"))))
    commit = world.git("commit-tree", "-m", "x", "-p", "main", f"{plan.commit}^{{tree}}")

    def skip(events: list[Event]) -> list[Event]:
        kept = [each for each in events if not (_is_of(each, "code") and not isinstance(each, InputPrepared))]
        at = next(
            at for at, each in enumerate(kept) if isinstance(each, InputPrepared) and each.subject.stage == "code"
        )
        kept.insert(at + 1, StageSkipped(AttemptId("code", 1, 0), "it is not needed"))
        return [
            dataclasses.replace(each, source=plan.commit, commit=commit) if isinstance(each, Delivered) else each
            for each in kept
        ]

    forger.rewrite(skip)


def _is_of(event: Any, stage: str) -> bool:
    told = getattr(event, "attempt", None) or getattr(event, "subject", None)
    return bool(told) and told.stage == stage and told.epoch > 0


def evidence_of(forger: Forger, stage: str, gate: str) -> Path:
    events = forger.history()
    verdict = next(
        each for each in events
        if isinstance(each, VerdictGiven) and each.gate == f"{stage}/{gate}" and each.subject.epoch > 0
    )  # fmt: skip
    return forger.blob(verdict.evidence[0].digest)


def other_file(forger: Forger) -> None:
    """A blob of the accepted tree with another content under its name."""
    store = forger.state / "store.git"
    oid = forger.world.git("--git-dir", str(store), "rev-parse", f"{forger.accepted('plan').commit}:plan.txt")
    forger.change_object(oid, b"evil\n")


def planted_key(forger: Forger) -> None:
    """The public key of the forger, under the name of the user's."""
    (path,) = forger.keys.file.with_name("public").iterdir()
    path.write_bytes(public_pem(FORGED.public_key()))


TREE = "0" * 40
NOT = "does not match: the record was changed"
RECORD = {
    "file": (lambda f: f.overwrite(f.blob(f.accepted("plan").record), b"{}"), "plan/1.1", "the record was changed"),
    "statement": (lambda f: f.replace_record("plan", f.reworded("plan", other_result)), "plan/1.1", NOT),
    "type": (another_type, "code/1.1", NOT),
    "no signature": (lambda f: f.replace_record("plan", dumped({**f.envelope("plan"), "signatures": []})),
                     "plan/1.1", "the record is no envelope: expected 1 to 16 signatures"),
    "unsigned": (unsigned, "plan/1.1", "it is not signed"),
    "of another run": (other_runs_record, "plan/1.1", "it is the record of "),
    "nonsense": (lambda f: f.replace_record("plan", b"[1]"), "plan/1.1", "the record is no envelope"),
    "commit": (changed(HandoffAccepted, "plan", commit=TREE), "plan/1.1", "the commit or tree was changed"),
    "tree": (changed(HandoffAccepted, "plan", tree=TREE), "plan/1.1", "the commit or tree was changed"),
    "who overrode": (changed(HandoffAccepted, "plan", override_by="ann"), "plan/1.1", "override_by was changed"),
    "who accepted": (changed(HandoffAccepted, "plan", by="ann"), "plan/1.1", "accepted_by was changed"),
    "attempt": (changed(AttemptStarted, "plan", model="other"), "plan/1.1", "the attempt was changed"),
    "claim": (changed(CandidateProduced, "plan", claim="Done."), "plan/1.1", "the attempt was changed"),
    "lost": (lambda f: (f.blob(f.accepted("plan").record).unlink(), f.forget_copies()),
             "plan/1.1", "is missing, and so is its copy"),
}  # fmt: skip
VERDICT = {
    "notes": (changed(VerdictGiven, gate="plan/there", notes=("so",)), "plan/1.1", "the verdict of plan/there was"),
    "status": (changed(VerdictGiven, gate="code/test", status=VerdictStatus.FAILED), "code/1.1",
               "the verdict of code/test was changed"),
    "level": (changed(VerdictGiven, gate="plan/there", sandbox="fs"), "plan/1.1", "the verdict of plan/there was"),
    "removed": (without(VerdictGiven, "code"), "code/1.1", "the verdicts, or their order was changed"),
    "evidence": (lambda f: f.overwrite(evidence_of(f, "code", "test"), b"all passed"), "code/1.1",
                 "log of verdict code/test was changed"),
    "evidence lost": (lambda f: evidence_of(f, "code", "test").unlink(), "code/1.1",
                      "log of verdict code/test is missing"),
}  # fmt: skip
POLICY = {
    "text": (lambda f: f.rewrite_policy(lambda text: text.replace("test -s code.txt", "true")), "code/1.1",
             "the policy (the pipeline's text) was changed"),
    "text alone": (lambda f: f.rewrite_policy(lambda text: text.replace("test -s", "true"), first_event=False), "",
                   "its pipeline was changed"),
    "task": (changed(RunStarted, task="Something else."), "plan/1.1", "the start of the run"),
    "base": (changed(RunStarted, base_commit=TREE), "plan/1.1", "the start of the run"),
}  # fmt: skip
ORDER = {
    "verdicts": (swapped_verdicts, "plan/1.1", "the verdicts, or their order was changed"),
    "records": (swapped_records, "plan/1.1", "it is the record of "),
    "handoffs": (swapped_handoffs, "", "its history is inconsistent"),
    "a handoff that is gone": (without(HandoffAccepted, "plan"), "code/1.1", "the records of its inputs"),
    "delivered": (other_branch, "", "was accepted"),
    "other history below": (no_parent, "", "has other commits below it"),
    "one commit more below": (one_more_parent, "", "has other commits below it"),
    "more history below": (more_parents, "", "has other commits below it"),
    "a stage skipped": (skipped, "", "stage code was skipped, and the policy has no `when` for it"),
    "nothing delivered": (
        lambda f: f.rewrite(lambda all_: [each for each in all_ if not isinstance(each, Delivered)]),
        "",
        "does not say what was delivered",
    ),
    "delivered too early": (other_source, "", "which is not what the run came to"),
}
KEY = {
    "own": (lambda f: f.replace_record("code", f.resigned("code", FORGED)), "code/1.1", "signed by an unknown key"),
    "claims to be ours": (lambda f: f.replace_record("code", f.resigned("code", FORGED, f.keys.signer().id)),
                          "code/1.1", NOT),
    "revoked": (lambda f: f.keys.revoke(f.keys.signer().id), "plan/1.1", "signed by a key that was revoked"),
}  # fmt: skip
STORE = {"a file of the tree": (other_file, "plan/1.1", "is not as it was")}
WHAT = {"record": RECORD, "verdict": VERDICT, "policy": POLICY, "order": ORDER, "key": KEY, "store": STORE}
ATTACKS: dict[str, tuple[Attack, str, str]] = {
    f"{what}: {name}": row for what, rows in WHAT.items() for name, row in rows.items()
}
# One of each first: a push takes these.
NAMES_OF_ATTACKS = sorted(ATTACKS, key=lambda name: list(WHAT[name.partition(":")[0]]).index(name.partition(": ")[2]))


def test_an_untouched_run_is_verified(forger: Forger) -> None:
    forger.put_back()
    found = forger.verified()
    assert (found.verdict, [one.attempt for one in found.handoffs]) == ("verified", ["plan/1.1", "code/1.1"]), found


def test_a_history_that_is_written_again_as_it_was_is_verified(forger: Forger) -> None:
    """What the forger does by itself is not what is named."""
    forger.put_back()
    forger.edit(lambda event: event)
    assert forger.verified().verdict == "verified"


@pytest.mark.parametrize("name", rest_at_night(NAMES_OF_ATTACKS, 12))
def test_it_is_named(forger: Forger, name: str) -> None:
    attack, attempt, words = ATTACKS[name]
    found = attacked(forger, attack)
    assert found.verdict != "verified"
    told = {one.attempt: " ".join((*one.problems, *one.unchecked)) for one in (*found.handoffs, found.itself)}
    assert words in told.get(attempt, ""), told


def test_each_commit_of_a_series_is_one_that_was_accepted(tmp_path: Path) -> None:
    forger = Forger(tmp_path, PIPELINE + "deliver: {series: true}\n")
    world = forger.world
    assert forger.verified().verdict == "verified"
    delivered = next(event for event in forger.history() if isinstance(event, Delivered))
    base, first, tree = (world.git("rev-parse", f"{delivered.commit}{each}") for each in ("^^", "^^{tree}", "^{tree}"))
    empty = world.git("hash-object", "-t", "tree", "-w", "/dev/null")
    for below in (empty, tree):
        commit = world.git("commit-tree", "-m", "x", "-p", world.git("commit-tree", "-m", "y", "-p", base, below), tree)
        forger.edit(lambda event: dataclasses.replace(event, commit=commit) if isinstance(event, Delivered) else event)  # noqa: B023
        assert "other commits below it" in " ".join(forger.verified().itself.problems), first


def test_a_key_under_the_name_of_another_is_named(forger: Forger) -> None:
    forger.put_back()
    planted_key(forger)
    forger.world.ask("verify", forger.run).ended(5, "holds another key than its name says")


# --- holes ----------------------------------------------------------------------------------------

HOLES: dict[str, tuple[Any, str, Any, tuple[str, ...]]] = {
    "a signature counts unseen": (
        keys, "_signed", lambda *_: True, ("key: claims to be ours",),
    ),
    "any key counts": (
        PublicKeys, "signer_of", lambda self, envelope: (envelope.signatures[0][0], ""), ("key: own", "key: revoked"),
    ),
    "the history is not compared": (
        verification, "differences", lambda *_: [],
        ("record: attempt", "record: who accepted", "record: who overrode", "verdict: notes", "verdict: status",
         "policy: text", "policy: task", "order: verdicts", "verdict: removed"),
    ),
    "evidence is not read": (verification, "_evidence_flaw", lambda *_: "", ("verdict: evidence", "verdict: evidence lost")),
    "the store is not read": (StoredRecords, "flaw", lambda *_: "", ("store: a file of the tree",)),
    "what was delivered is not looked at": (verification, "_delivery", lambda *_: ((), ()), ("order: delivered",)),
    "skipped is skipped": (verification, "_skipped", lambda *_: Finding(), ("order: a stage skipped",)),
}  # fmt: skip


PLANTED = sorted(
    ((hole, name) for hole, row in HOLES.items() for name in row[3]), key=lambda row: HOLES[row[0]][3].index(row[1])
)


@pytest.mark.parametrize(("hole", "name"), rest_at_night(PLANTED, len(HOLES)))
def test_with_a_hole_it_would_pass(forger: Forger, monkeypatch: pytest.MonkeyPatch, hole: str, name: str) -> None:
    where, what, instead, _ = HOLES[hole]
    monkeypatch.setattr(where, what, instead)
    assert attacked(forger, ATTACKS[name][0]).verdict == "verified"


def test_a_record_that_is_not_compared_with_its_digest_would_pass(
    forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileBlobs, "get", lambda self, digest: self.path(digest).read_bytes())
    found = attacked(forger, ATTACKS["verdict: evidence"][0])
    assert found.verdict == "verified"


def attacked(forger: Forger, attack: Attack) -> Verification:
    forger.put_back()
    attack(forger)
    return forger.verified()


# --- whatever an envelope holds -------------------------------------------------------------------


@pytest.fixture(scope="module")
def trusted(forger: Forger) -> PublicKeys:
    forger.put_back()
    return forger.keys.public()


@pytest.fixture(scope="module")
def signer(forger: Forger, trusted: PublicKeys) -> Signer:
    return forger.keys.signer()


@pytest.fixture(scope="module")
def genuine(forger: Forger) -> bytes:
    forger.put_back()
    return forger.blob(forger.accepted("code").record).read_bytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "keyid",
                                                                     "sig", "_type", "predicate", "x"]), inner),
    max_leaves=12,
)  # fmt: skip
NAMES = st.sampled_from(["subject", "name", "digest", "predicate", "interlock", "version", "attempt", "evidence", "verdicts",
                         "gate", "inputAttestations", "sha256", "delivers", "gitTree", "run", "id", "base"])  # fmt: skip
NESTED = st.recursive(JSON, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=12)
STATEMENTS = NESTED | st.fixed_dictionaries({
    "_type": st.just(STATEMENT), "predicateType": st.just(SUMMARY), "subject": NESTED,
    "predicate": st.fixed_dictionaries({"inputAttestations": NESTED, "interlock": st.fixed_dictionaries({
        "version": st.just(RECORD_VERSION), "attempt": NESTED, "verdicts": NESTED, "delivers": NESTED, "run": NESTED,
    })}),
})  # fmt: skip
MANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(content=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_content_crashes_or_passes(trusted: PublicKeys, content: bytes) -> None:
    assert isinstance(read_record(content, trusted), Unsigned)


@MANY
@given(data=st.data())
def test_no_changed_byte_passes(trusted: PublicKeys, genuine: bytes, data: st.DataObject) -> None:
    """Deleted, doubled and replaced bytes; only what says the same may pass."""
    at = data.draw(st.integers(0, len(genuine) - 1))
    size = data.draw(st.integers(0, 3))
    mutant = genuine[:at] + data.draw(st.binary(max_size=3)) + genuine[at + size :]
    found = read_record(mutant, trusted)
    if isinstance(found, Signed):
        assert found == read_record(genuine, trusted)


@MANY
@given(signature=st.binary(max_size=70), content=st.binary(max_size=50), key=st.text(max_size=70))
def test_no_signature_passes_that_the_key_did_not_make(
    trusted: PublicKeys, signature: bytes, content: bytes, key: str
) -> None:
    from base64 import b64encode

    for key_id in (key, *trusted.trusted):
        found = {"keyid": key_id, "sig": b64encode(signature).decode()}
        envelope = {"payload": b64encode(content).decode(), "payloadType": statements.IN_TOTO, "signatures": [found]}
        assert isinstance(read_record(dumped(envelope), trusted), Unsigned)


@MANY
@given(statement=STATEMENTS)
def test_no_statement_crashes_even_one_that_is_signed(signer: Signer, trusted: PublicKeys, statement: object) -> None:
    content = signer.sign(statements.IN_TOTO, json.dumps(statement).encode())
    found = read_record(content, trusted)
    if isinstance(found, Signed):
        list(found.evidence())
        differences(found.statement, {"subject": [{"name": found.name}]})
    verify_bundle(content + b"\n" + content, trusted)


@MANY
@given(content=st.binary() | st.lists(JSON.map(json.dumps)).map(lambda lines: "\n".join(lines).encode()))
def test_no_file_is_taken_for_a_bundle(trusted: PublicKeys, content: bytes) -> None:
    assert verify_bundle(content, trusted).verdict == "wrong"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"payload":"","payload":"","payloadType":"","signatures":[]}', "a key twice"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"payload":"=","payloadType":"","signatures":[{"keyid":"","sig":""}]}', "not base64"),
        (b'{"payload":"QR==","payloadType":"","signatures":[{"keyid":"","sig":""}]}', "not the one base64"),
        (b'{"payload":NaN,"payloadType":"","signatures":[]}', "NaN is no JSON"),
        ("{é}".encode(), "not ASCII"),
        (b"x" * 16_000_001, "longer than"),
    ],
)  # fmt: skip
def test_an_envelope_has_one_form(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_envelope(content)

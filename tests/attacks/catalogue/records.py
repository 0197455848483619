"""Changes of what was recorded, after the fact."""

from __future__ import annotations

from tests.attacks.catalogue.row import HELD, OPEN, Row

ROWS = (
    Row(
        "An edited record: another statement, type, commit, tree or name, the record of another run, a record "
        "without a signature as earlier versions wrote it",
        "the signature is of type and content; the statement is made again from the history and compared",
        tests="test_verify.py",
        hole="test_verify.py::test_with_a_hole_it_would_pass",
        number=41,
    ),
    Row(
        "An edited verdict: its status, notes or level, its evidence, a verdict that is gone",
        "the record names each verdict by the digest of its event, and evidence by its digest",
        tests="test_verify.py",
        hole="test_verify.py::test_with_a_hole_it_would_pass",
        number=41,
    ),
    Row(
        "An edited policy, task or base",
        "the record names the pipeline's text and the run's first event by their digests",
        tests="test_verify.py",
        hole="test_verify.py::test_with_a_hole_it_would_pass",
        number=41,
    ),
    Row(
        "Another order: of verdicts, records or handoffs, a handoff that is gone, a stage that looks skipped, "
        "another commit as the delivered one, or others below it",
        "verdicts and input records are named in order; the record says which tree is delivered",
        tests="test_verify.py",
        hole="test_verify.py::test_with_a_hole_it_would_pass",
        number=41,
    ),
    Row(
        "A record signed with another key, or with one that was revoked; a key under the name of another",
        "only keys of the key folder count, or those given with `--key`; a key's name is its digest",
        tests="test_verify.py",
        hole="test_verify.py::test_with_a_hole_it_would_pass",
        number=41,
    ),
    Row(
        "Other contents under the name of an object of the store",
        "every file of an accepted tree is read and compared with its name",
        tests="test_verify.py",
        hole="test_verify.py::test_with_a_hole_it_would_pass",
        number=41,
    ),
    Row(
        "A program that uses the key, or adds one of its own to the key folder, as your user",
        "the sandbox keeps programs away from it; `verify --key` on another machine trusts only the key that you gave it",
        tests="test_room.py::test_nothing_is_got, test_fence.py::test_nothing_is_got",
        fs=HELD,
        none=OPEN,
        hole="test_room.py::test_without_its_defence_it_is[06-journal]",
    ),
    Row(
        "What no handoff rests on: attempts that were rejected, with their findings and cost; the name of the delivered branch; "
        "whether the run was cancelled after its delivery",
        "nothing: only what was accepted is signed",
        full=OPEN,
        none=OPEN,
    ),
)

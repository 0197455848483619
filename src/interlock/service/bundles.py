"""The records of a run as a file for others: an envelope on each line, in the order of acceptance.

Whoever has the file and the public key can check it without Interlock's state: that each record is signed, that they
are of one run, and that each is made from records above it. What the digests in them stand for is checked by `verify`
where the run is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from interlock.core.events import HandoffAccepted, Recorded
from interlock.ports import InfrastructureError, UsageError
from interlock.service.statements import Signed, Unsigned, mapping, read_record
from interlock.service.verification import Finding, Sources, Verification
from interlock.signing import PublicKeys
from interlock.text.cleaning import plain

_LINES_MAX = 10_000


def bundle(sources: Sources, run: str, history: Iterable[Recorded]) -> Iterator[str]:
    """The envelopes of the accepted handoffs. Raises UsageError if there is none, or one is not signed, and
    InfrastructureError if one is lost."""
    accepted = [record.event for record in history if isinstance(record.event, HandoffAccepted)]
    if not accepted:
        raise UsageError(f"run {run} has no accepted handoff yet: there is nothing to export")
    for event in accepted:
        content = _content(sources, run, event.record)
        signed = read_record(content, sources.keys)
        if isinstance(signed, Unsigned):
            raise UsageError(f"{event.attempt}: {signed.why}")
        yield content.decode("ascii")


def verify_bundle(content: bytes, keys: PublicKeys) -> Verification:
    """Check a file of envelopes."""
    lines = content.splitlines()
    if not lines or len(lines) > _LINES_MAX:
        words = "is empty" if not lines else f"has more than {_LINES_MAX} lines"
        return Verification("", (), Finding(problems=(f"the file {words}: expected an envelope on each line",)))
    verified: dict[str, Signed] = {}
    handoffs = []
    for number, line in enumerate(lines, 1):
        digest = sha256(line).hexdigest()
        signed = read_record(line, keys)
        if isinstance(signed, Unsigned):
            handoffs.append(Finding(f"line {number}", digest, problems=(signed.why,)))
            continue
        problems = tuple(_problems(signed, verified))
        name = plain(signed.name.partition("/")[2], 200)
        handoffs.append(Finding(name, digest, signed.key, plain(signed.delivers, 64), problems))
        if not problems:
            verified[digest] = signed
    run = next((plain(signed.name.partition("/")[0], 100) for signed in verified.values()), "")
    last = handoffs[-1]
    told = f"the last record delivers tree {last.tree}: compare it with `git rev-parse BRANCH^{{tree}}`"
    return Verification(run, tuple(handoffs), Finding(notes=(told,) if last.tree and not last.problems else ()))


def _problems(signed: Signed, verified: dict[str, Signed]) -> Iterator[str]:
    """What does not fit the records above it."""
    for digest in signed.inputs:
        if digest not in verified:
            yield f"the record of its input, {plain(digest, 12)}, is not above it, or is wrong"
    first = next(iter(verified.values()), signed)
    for part in ("run", "base"):
        if signed.interlock.get(part) != first.interlock.get(part):
            yield f"it is of another {part} than the records above it"
    if any(signed.name == other.name for other in verified.values()):
        yield "it is a second record of the same attempt"
    if mapping(signed.interlock.get("run")).get("id") != signed.name.partition("/")[0]:
        yield "its name is of another run"


def _content(sources: Sources, run: str, digest: str) -> bytes:
    try:
        return sources.blobs.get(digest)
    except InfrastructureError:
        kept = sources.store.get(run, digest)
        if kept is None:
            raise
        return kept

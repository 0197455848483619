"""Records of handoffs as anybody reads them: the statement in an envelope, who signed it, how two statements differ.

Rule: whatever an envelope holds, reading it ends in a `Signed` or in words that say what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from interlock.execution.records import RECORD_VERSION, STATEMENT, SUMMARY
from interlock.signing import IN_TOTO, PublicKeys, Unreadable, parsed, read_envelope
from interlock.text.cleaning import plain

_SHOWN_MAX = 4  # differences
_VALUE_MAX = 60  # characters
_OLD = "it is not signed: a version of Interlock before signed records wrote it"
_NEW = "a newer Interlock wrote it: upgrade this one"
# What a person calls the parts of a statement, by where they are.
_WORDS = (
    ("subject", "the commit or tree"),
    ("predicate.policy", "the policy"),
    ("predicate.interlock.run.pipeline", "the policy (the pipeline's text)"),
    ("predicate.interlock.run.started", "the start of the run (task, base or policy)"),
    ("predicate.interlock.stage", "the policy (the stage)"),
    ("predicate.inputAttestations", "the records of its inputs, or their order"),
    ("predicate.interlock.input", "its input"),
    ("predicate.interlock.attempt", "the attempt"),
    ("predicate.interlock.verdicts", "the verdicts, or their order"),
    ("predicate.interlock.delivers", "the delivered tree"),
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement that a trusted key signed. `verdicts` and `evidence` are digests by what they are of."""

    key: str
    statement: Mapping[str, object]

    @property
    def interlock(self) -> Mapping[str, object]:
        return mapping(mapping(self.statement.get("predicate")).get("interlock"))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The digests of the records of its inputs."""
        attested = items(mapping(self.statement.get("predicate")).get("inputAttestations"))
        return tuple(str(mapping(mapping(one).get("digest")).get("sha256", "")) for one in attested)

    @property
    def delivers(self) -> str:
        return str(mapping(self.interlock.get("delivers")).get("gitTree", ""))

    @property
    def name(self) -> str:
        """RUN/STAGE/EPOCH.NUMBER."""
        return str(mapping(next(iter(items(self.statement.get("subject"))), {})).get("name", ""))

    def evidence(self) -> Iterator[tuple[str, str]]:
        """What each digest is of, and the digest."""
        for name, digest in mapping(mapping(self.interlock.get("attempt")).get("evidence")).items():
            yield f"{name} of the attempt", str(digest)
        for verdict in map(mapping, items(self.interlock.get("verdicts"))):
            for name, digest in mapping(verdict.get("evidence")).items():
                yield f"{name} of verdict {verdict.get('gate')}", str(digest)


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Why a record proves nothing. `old`: it may be right, and nobody can tell."""

    why: str
    old: bool = False


def read_record(content: bytes, keys: PublicKeys) -> Signed | Unsigned:
    """The statement of a record, if one of the trusted keys signed it."""
    try:
        envelope = read_envelope(content)
    except Unreadable as error:
        return Unsigned(_OLD, old=True) if _is_old(content) else Unsigned(f"the record is no envelope: {error}")
    key, why = keys.signer_of(envelope)
    if not key:
        return Unsigned(why)
    if envelope.content_type != IN_TOTO:
        return Unsigned(f"it is signed as {plain(envelope.content_type, 100)}, not as {IN_TOTO}")
    try:
        statement = mapping(parsed(envelope.content))
    except Unreadable as error:
        return Unsigned(f"the statement in it cannot be read: {error}")
    signed = Signed(key, statement)
    if (statement.get("_type"), statement.get("predicateType")) != (STATEMENT, SUMMARY) or not signed.interlock:
        return Unsigned("it is a statement about something else than a handoff")
    if signed.interlock.get("version") != RECORD_VERSION:
        return Unsigned(_NEW, old=True)
    return signed


def differences(signed: object, told: object) -> list[str]:
    """What a signed statement says otherwise than the history, in words, one for each part. A statement about another
    handoff is named as that."""
    names = [Signed("", mapping(each)).name for each in (signed, told)]
    if names[0] != names[1]:
        return [f"it is the record of {_shown(names[0])}, not of {_shown(names[1])}"]
    found: dict[str, str] = {}
    for path, one, other in _unequal("", signed, told):
        found.setdefault(_named(path), f"signed {_shown(one)}, the history says {_shown(other)}")
    listed = [f"{name} was changed: {what}" for name, what in found.items()]
    return [*listed[:_SHOWN_MAX], *([f"and {len(listed) - _SHOWN_MAX} more"] if len(listed) > _SHOWN_MAX else [])]


def mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _is_old(content: bytes) -> bool:
    try:
        return mapping(parsed(content)).get("_type") == STATEMENT
    except Unreadable:
        return False


def _unequal(path: str, one: object, other: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            yield from _unequal(f"{path}.{name}" if path else name, one.get(name), other.get(name))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and path.endswith("verdicts"):
        for first, second in zip(one, other, strict=True):
            gates = {str(mapping(each).get("gate")) for each in (first, second)}
            yield from _unequal(f"{path}[{gates.pop()}]" if len(gates) == 1 else path, first, second)
    elif one != other or type(one) is not type(other):
        yield path, one, other


def _named(path: str) -> str:
    before, bracket, rest = path.partition("verdicts[")
    if before and bracket:
        return f"the verdict of {plain(rest.partition(']')[0], 100)}"
    return next((words for start, words in _WORDS if path.startswith(start)), plain(path, 100))


def _shown(value: object) -> str:
    text = plain(str(value), 1_000)
    return text if len(text) <= _VALUE_MAX else f"{text[:_VALUE_MAX]}..."

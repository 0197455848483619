"""`verify`: whether the records of a run's handoffs are signed, and say what the history and the store say.

Rule: a handoff is verified only if all of it was checked. What is wrong is a problem; what cannot be checked, such as a
record that nobody signed, is told apart from that, and neither counts as verified.

Rule: the history is taken as it is in the journal, since only what is signed counts: each statement is made again from
the history and compared with the one that was signed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path

from interlock.core.events import Delivered, HandoffAccepted, Recorded, RunFinished, RunStatus, StageSkipped
from interlock.core.fold import apply
from interlock.core.handoffs import accept_handoff
from interlock.core.pipeline import Pipeline
from interlock.core.plan import series_of
from interlock.core.state import RunState
from interlock.execution.context import Context
from interlock.execution.documents import artifact_path, pointed_at
from interlock.execution.records import handoff_record
from interlock.ports import Blobs, Damaged, InfrastructureError, Merged, RecordStore, Stamp
from interlock.process import capture
from interlock.service.formats import document
from interlock.service.statements import Signed, Unsigned, differences, read_record
from interlock.signing import PublicKeys

_NO_MERGE = "the delivered commit is a merge without a record, and cannot be made again from verified handoffs"

_ARTIFACT_MAX = 10_000_000  # bytes
_OF_RUN = ("problems", "unchecked", "notes")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CALL_S = 30.0


class Verdict(StrEnum):
    VERIFIED = "verified"
    WRONG = "wrong"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a handoff, or of the run itself, which has no attempt."""

    attempt: str = ""
    record: str = ""
    key: str = ""
    tree: str = ""
    problems: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        if self.problems:
            return Verdict.WRONG
        return Verdict.UNCHECKED if self.unchecked else Verdict.VERIFIED


@dataclass(frozen=True, slots=True)
class Verification:
    run: str
    handoffs: tuple[Finding, ...]
    itself: Finding = Finding()
    delivered: Delivered | None = None

    @property
    def verdict(self) -> Verdict:
        found = {one.verdict for one in (*self.handoffs, self.itself)}
        return next((each for each in (Verdict.WRONG, Verdict.UNCHECKED) if each in found), Verdict.VERIFIED)

    def as_json(self) -> str:
        """As `interlock verify --json` prints it."""
        handoffs = [{"verdict": one.verdict, **_values(one)} for one in self.handoffs]
        itself = {name: value for name, value in _values(self.itself).items() if name in _OF_RUN}
        return document(run=self.run, verdict=self.verdict, handoffs=handoffs, **itself, delivered=self.delivered)


def _values(one: Finding) -> dict[str, object]:
    return {each.name: getattr(one, each.name) for each in fields(one)}


@dataclass(frozen=True, slots=True)
class Branch:
    """A commit in the user's repository: its tree, empty if it is not there; and the tree of each commit since the
    base, in order: empty for a merge. There is none if it does not follow from the base."""

    tree: str = ""
    trees: tuple[str, ...] = ()


def branch_of(repository: Path, environ: Mapping[str, str], commit: str, base: str) -> Branch:
    """What the user's repository has. Objects that replace others are not looked at."""
    if not _COMMIT.fullmatch(commit) or not _COMMIT.fullmatch(base):
        return Branch()

    def git(*words: str) -> str:
        done = capture(["git", "--no-replace-objects", *words], cwd=repository, env=environ, timeout_s=_CALL_S)
        return done.out.decode("ascii", "replace").strip() if done.code == 0 else ""

    tree = git("rev-parse", "--verify", "-q", f"{commit}^{{tree}}")
    follows = git("merge-base", base, commit) == base
    since = git("log", "--reverse", "--topo-order", "--format=%T %P", f"{base}..{commit}") if follows else ""
    lines = [line.split() for line in since.splitlines()]
    return Branch(tree, tuple(line[0] if len(line) == 2 else "" for line in lines))


def tip_of(repository: Path, environ: Mapping[str, str], branch: str) -> str:
    """Where the user's branch is now; empty if it is not there."""
    words = ["git", "rev-parse", "--verify", "-q", f"refs/heads/{branch}"]
    done = capture(words, cwd=repository, env=environ, timeout_s=_CALL_S)
    return done.out.decode("ascii", "replace").strip() if done.code == 0 else ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a run is read from. `records_of` and `pipeline_of` raise Damaged where a run is not as it was recorded.
    `branch` looks at a commit in the user's repository, and at how it follows from another, `tip` at the commit of a
    branch there; the others are those of Workspaces."""

    keys: PublicKeys
    blobs: Blobs
    store: RecordStore
    has: Callable[[str], bool]
    pipeline_of: Callable[[str], Pipeline]
    records_of: Callable[[str], list[Recorded]]
    read: Callable[[str, str, int], bytes | None]
    branch: Callable[[str, str], Branch]
    tip: Callable[[str], str]
    merge: Callable[[Sequence[str], Stamp, str, Sequence[str]], Merged]


@dataclass(slots=True)
class _Reading:
    """What was read so far. `read` are digests of evidence that is whole, `wrong` those that are not, with why."""

    sources: Sources
    pipeline: Pipeline
    state: RunState = field(default_factory=RunState)
    ended: bool = False
    statements: dict[str, Signed] = field(default_factory=dict)  # by commit
    records: set[str] = field(default_factory=set)  # verified
    unsigned: set[str] = field(default_factory=set)  # records of an earlier version
    evidence: dict[str, str] = field(default_factory=dict)  # digest: what is wrong with it, or empty
    skips: list[Finding] = field(default_factory=list)


def verify_run(sources: Sources, run: str) -> Verification:
    """Check all handoffs of a run. Raises UsageError (no such run), InfrastructureError (the disk, another version)."""
    try:
        history, pipeline = sources.records_of(run), sources.pipeline_of(run)
        handoffs, delivered = [], None
        reading = _Reading(sources, pipeline)
        reading.ended = any(isinstance(record.event, RunFinished) for record in history)
        for record in history:
            if isinstance(record.event, HandoffAccepted):
                handoffs.append(_handoff(reading, record.event))
            if isinstance(record.event, StageSkipped):
                reading.skips.append(_skipped(reading, record.event))
            if isinstance(record.event, Delivered):
                delivered = record.event
            reading.state = apply(reading.state, record)
    except Damaged as error:
        return Verification(run, (), Finding(problems=(f"the history: {error}",)))
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, InfrastructureError):
            raise
        what = f"{type(error).__name__}: {error}"
        return Verification(run, (), Finding(problems=(f"the history is inconsistent ({what})",)))
    itself = _of_run(reading, handoffs, delivered)
    return Verification(run, tuple(handoffs), itself, delivered)


# --- a handoff ------------------------------------------------------------------------------------


def _handoff(reading: _Reading, event: HandoffAccepted) -> Finding:
    found = Finding(str(event.attempt), event.record, tree=event.tree)
    content, notes = _content(reading, event.record)
    if isinstance(content, str):
        return replace(found, problems=(content,))
    signed = read_record(content, reading.sources.keys)
    if isinstance(signed, Unsigned):
        if signed.old:
            reading.unsigned.add(event.record)
            return replace(found, unchecked=(signed.why,))
        return replace(found, problems=(signed.why,), notes=notes)
    missing = not reading.sources.has(event.commit)
    problems = [
        *_told_otherwise(reading, event, signed, missing=missing),
        *_evidence_problems(reading, signed),
        *_input_problems(reading, signed),
    ]
    if missing and not reading.ended:
        problems.append(f"the commit {event.commit} is not in the store, which an unfinished run needs")
    elif missing:
        notes += (f"commit {event.commit[:12]} is no longer in the store: its files were not read again",)
    elif flaw := reading.sources.store.flaw(event.commit, event.tree):
        problems.append(flaw)
    unchecked = tuple(
        f"the record of its input, {digest[:12]}, is not signed"
        for digest in signed.inputs
        if digest in reading.unsigned
    )
    if not problems:
        (reading.unsigned if unchecked else reading.records).add(event.record)
        reading.statements[event.commit] = signed
    return replace(found, key=signed.key, problems=tuple(problems), unchecked=unchecked, notes=notes)


def _content(reading: _Reading, digest: str) -> tuple[bytes | str, tuple[str, ...]]:
    """The record, or what is wrong with it. One that is lost as evidence is put back from the store."""
    sources = reading.sources
    run = reading.state.started.run if reading.state.started else ""
    kept = sources.store.get(run, digest)
    try:
        return sources.blobs.get(digest), () if kept else ("the store has no copy of its record",)
    except InfrastructureError as error:
        if sources.blobs.size(digest) is not None:
            return f"the record was changed: {error}", ()
    if kept is None:
        return f"the record {digest} is missing, and so is its copy in the store", ()
    sources.blobs.put(kept)
    return kept, ("its record was missing and was put back from the store",)


def _told_otherwise(reading: _Reading, event: HandoffAccepted, signed: Signed, *, missing: bool) -> Iterator[str]:
    state, started = reading.state, reading.state.started
    effect = accept_handoff(reading.pipeline, state, event.attempt, event.by) if started else None
    if started is None or effect is None:
        yield "the history has no candidate that it accepts: the order of events was changed"
        return
    effect = replace(effect, override_by=event.override_by, commit=event.commit, tree=event.tree)
    delivers = signed.delivers
    if not missing and reading.sources.has(started.base_commit):
        delivers = reading.sources.store.delivered_tree(event.commit, started.base_commit)
    context = Context(started.run, reading.pipeline, started, state.started_at)
    yield from differences(signed.statement, json.loads(handoff_record(context, effect, delivers)))


def _evidence_problems(reading: _Reading, signed: Signed) -> Iterator[str]:
    for what, digest in signed.evidence():
        if digest not in reading.evidence:
            reading.evidence[digest] = _evidence_flaw(reading.sources.blobs, digest)
        if flaw := reading.evidence[digest]:
            yield f"the {what} {flaw}"


def _evidence_flaw(blobs: Blobs, digest: str) -> str:
    try:
        blobs.get(digest)
    except InfrastructureError as error:
        return f"was changed: {error}" if blobs.size(digest) is not None else f"is missing: {digest}"
    return ""


def _input_problems(reading: _Reading, signed: Signed) -> Iterator[str]:
    for digest in signed.inputs:
        if digest not in reading.records | reading.unsigned:
            yield f"the record of its input, {digest[:12]}, is not verified"


def _skipped(reading: _Reading, event: StageSkipped) -> Finding:
    """A stage that was skipped has no record: its condition is read again."""
    stage, prepared = reading.pipeline.stage(event.subject.stage), reading.state.stages[event.subject.stage].input
    if stage.when is None or prepared is None:
        return Finding(problems=(f"stage {stage.id} was skipped, and the policy has no `when` for it",))
    if not reading.sources.has(prepared.commit):
        return Finding(
            unchecked=(f"why stage {stage.id} was skipped cannot be read again: its input is not in the store",)
        )
    content = reading.sources.read(prepared.commit, artifact_path(reading.pipeline, stage.when.artifact), _ARTIFACT_MAX)
    try:
        value = pointed_at(json.loads(content or b"null"), stage.when.at)
    except ValueError:
        return Finding(problems=(f"stage {stage.id} was skipped, and {stage.when.artifact} is not JSON",))
    if value == json.loads(stage.when.equals):
        return Finding(problems=(f"stage {stage.id} was skipped, although its `when` holds",))
    return Finding()


# --- the run --------------------------------------------------------------------------------------


def _of_run(reading: _Reading, handoffs: list[Finding], delivered: Delivered | None) -> Finding:
    found = [*reading.skips, _end(reading, handoffs, delivered)]
    return Finding(
        problems=tuple(problem for one in found for problem in one.problems),
        unchecked=tuple(each for one in found for each in one.unchecked),
        notes=tuple(_notes(reading, delivered)),
    )


def _notes(reading: _Reading, delivered: Delivered | None) -> Iterator[str]:
    if not reading.ended:
        yield "the run has not ended: this is what was accepted so far"
    now = reading.sources.tip(delivered.branch) if delivered is not None else ""
    if delivered is not None and now not in ("", delivered.commit):
        yield f"branch {delivered.branch} is now at {now[:10]}, which this run did not deliver"


def _end(reading: _Reading, handoffs: list[Finding], delivered: Delivered | None) -> Finding:
    state = reading.state
    if delivered is not None:
        problems, unchecked = _delivery(reading, delivered)
        return Finding(problems=problems, unchecked=unchecked)
    if state.finished and state.finished.status is RunStatus.ACCEPTED and state.started and not state.started.until:
        return Finding(problems=("the run was accepted, and the history does not say what was delivered",))
    return Finding() if handoffs else Finding(unchecked=("nothing was accepted",))


def _delivery(reading: _Reading, delivered: Delivered) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is wrong with the delivered commit, and what cannot be checked of it."""
    output = reading.state.output
    source = delivered.source or (output[0] if output else "")
    if output is None or output[0] != source:
        return (f"the delivered commit was made from {source[:12]}, which is not what the run came to",), ()
    accepted = {stage.accepted.commit for stage in reading.state.stages.values() if stage.accepted}
    if source in accepted and source not in reading.statements:
        return (), ("the delivered commit is of a handoff that is not verified",)
    commit, delivers = _delivers(reading, source)
    if not delivers:
        return (), (_NO_MERGE,)
    base = reading.state.started.base_commit if reading.state.started else ""
    branch = reading.sources.branch(delivered.commit, base)
    if not branch.tree:
        return (), (f"the delivered commit {delivered.commit} is no longer in the repository",)
    if branch.tree != delivers:
        return (f"the delivered commit has the tree {branch.tree}, and {delivers} was accepted",), ()
    return _below(reading, commit, (base, delivers), branch.trees)


def _below(
    reading: _Reading, commit: str, ends: tuple[str, str], trees: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As `_delivery`, of all commits from the base to the delivered one: of a series, each is what was accepted."""
    base, delivers = ends
    series = series_of(reading.pipeline, reading.state)
    wanted: tuple[str, ...] = (delivers,)
    if series and not all(each in reading.statements for each in series):
        return (), ("the delivered commits are of handoffs that are not verified",)
    if series and not all(map(reading.sources.has, (base, commit, *series))):
        signed = {reading.statements[each].delivers for each in series}
        if not trees or not signed.issuperset(trees):
            return (), (
                "the commits below the delivered one cannot be made again: the store has lost what was accepted",
            )
        wanted = trees
    elif series:
        wanted = reading.sources.store.delivered_trees(commit, base, series)
    if trees != wanted:
        return ("the delivered commit has other commits below it than the accepted ones on the base",), ()
    return (), ()


def _delivers(reading: _Reading, source: str) -> tuple[str, str]:
    """`source`, and the tree that a branch of it has. A merge that skipped stages passed on is made again from the
    handoffs that were merged. Empty where neither can be told."""
    if (signed := reading.statements.get(source)) is not None:
        return source, signed.delivers
    inputs = (stage.input for stage in reading.state.stages.values())
    prepared = next((each for each in inputs if each is not None and each.commit == source), None)
    started = reading.state.started
    if prepared is None or started is None or not all(each in reading.statements for each in prepared.sources):
        return "", ""
    if not all(map(reading.sources.has, (*prepared.sources, started.base_commit))):
        return "", ""
    merged = reading.sources.merge(prepared.sources, Stamp("interlock: verify", 0), "", prepared.names)
    if merged.conflicts:
        return "", ""
    return merged.commit, reading.sources.store.delivered_tree(merged.commit, started.base_commit)

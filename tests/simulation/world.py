"""The ports over a simulated world, as one owner of a run sees them.

Before and after each effect the owner's fate is asked, so that it may die with the effect done and not
recorded, or be stopped there while another owner takes the run and moves it on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Protocol

from tests.simulation.chance import Chance, portion
from tests.simulation.oracle import Oracle
from tests.simulation.store import CONFLICT, NOTHING, Commit, Store

from interlock.core.events import Evidence, Finding, Usage, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, GateKind
from interlock.journal.memory import MemoryBlobs
from interlock.ports import (
    Brief,
    Cancel,
    Cancelled,
    Candidate,
    Change,
    Checkout,
    CheckoutSpec,
    DeliveryRefused,
    Ended,
    GateRequest,
    InfrastructureError,
    Judgement,
    Merged,
    Outcome,
    Stamp,
    UnfitTree,
    UsageError,
)

SECRET = "held-out-secret"
KEPT = "kept"  # the protected content of the base


class Fate(Protocol):
    def before(self, effect: str, *, lasting: bool = False) -> None: ...
    def after(self, effect: str) -> None: ...
    def stopped(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Nature:
    """How good the work is and how often things fail; all of it seeded."""

    seed: int
    agents: Chance
    gates: Chance
    trouble: Chance


class SimWorkspaces:
    def __init__(self, store: Store, nature: Nature, oracle: Oracle, fate: Fate) -> None:
        self._store, self._nature, self._oracle, self._fate = store, nature, oracle, fate

    def merge(self, sources: Sequence[str], stamp: Stamp, ref: str, names: Sequence[str] = ()) -> Merged:
        self._begin("merge", lasting=True)
        self._oracle.merging(ref)
        commits = [self._store.commits[source] for source in sources]
        work = NOTHING.union(*(commit.work for commit in commits))
        contents = NOTHING.union(*(self._store.contents[commit.tree] for commit in commits))
        for source, commit in zip(sources, commits, strict=True):
            if commit.work == work and self._store.contents[commit.tree] == contents:
                self._store.keep(ref, source)
                return Merged(source, commit.tree)
        conflicts = ("clash.txt",) if self._clash(sources) else ()
        tree = self._store.tree(contents | {CONFLICT} if conflicts else contents)
        merged = self._store.commit(Commit(tree, work), "merge", tuple(sources))
        self._store.keep(ref, merged)
        self._fate.after("merge")
        return Merged(merged, tree, conflicts)

    def open(self, run: str, attempt: AttemptId, commit: str, spec: CheckoutSpec, *, overlay: str = "") -> Checkout:
        self._begin("open")
        self._oracle.opening(attempt, commit, overlay)
        found = self._store.commits[commit]
        if overlay:
            over = self._store.commits[overlay]
            tree = self._store.tree(self._store.contents[found.tree] | self._store.contents[over.tree])
            found = Commit(tree, found.work | over.work)
        root = Path("/places") / str(attempt)
        self._store.places[str(root)] = found
        self._fate.after("open")
        return Checkout(root, root / "tree", root / "home", root / "tmp")

    def snapshot(self, checkout: Checkout, parent: str, spec: CheckoutSpec, stamp: Stamp, ref: str) -> Candidate:
        self._begin("snapshot", lasting=True)
        if self._nature.agents.one_in(0.01):
            raise UnfitTree((Finding("unfit", "a fifo"),))
        found = self._store.places[str(checkout.root)]
        name = self._store.commit(found, parent, stamp)
        self._store.keep(ref, name)
        self._fate.after("snapshot")
        return Candidate(name, found.tree)

    def adopt(self, commit: str, parent: str, stamp: Stamp, ref: str) -> Candidate:
        self._begin("adopt", lasting=True)
        found = self._store.commits.get(commit)
        if found is None:
            raise UsageError(f"no commit {commit} here")
        name = self._store.commit(Commit(found.tree, found.work), parent, stamp)
        self._store.keep(ref, name)
        self._fate.after("adopt")
        return Candidate(name, found.tree)

    def put_beside(self, checkout: Checkout, name: str, content: bytes) -> Path:
        assert content
        return checkout.root / name

    def wipe(self, checkout: Checkout) -> None:
        self._store.places.pop(str(checkout.root), None)

    def discard(self, run: str, attempt: AttemptId) -> None:
        self._begin("discard")
        self._store.places.pop(f"/places/{attempt}", None)

    def removal_notes(self) -> tuple[str, ...]:
        return ()

    def has(self, commit: str) -> bool:
        return commit in self._store.commits

    @contextmanager
    def _room(self, commit: str) -> Iterator[Checkout]:
        yield Checkout(Path("/room"), Path("/room/tree"), Path("/room/home"), Path("/room/tmp"))

    def clean_checkout(self, commit: str, base: str, spec: CheckoutSpec) -> AbstractContextManager[Checkout]:
        return self._room(commit)

    def read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        self._begin("read")
        stage = path.split("/")[2]
        said = sorted(item for item in self._store.of(commit) if item.startswith(f"{stage}:"))
        if not said:
            return None
        return json.dumps({"size": "large" if portion("size", said[-1]) < 0.5 else "small"}).encode()

    def files(self, commit: str, globs: Sequence[str]) -> tuple[str, ...]:
        return ()

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        return ()

    def patch(self, old: str, new: str, without: Sequence[str] = (), *, text: Sequence[str] = ()) -> bytes:
        self._begin("patch")
        return f"{old}..{new}".encode()

    def restore(self, commit: str, onto: str, globs: Sequence[str], stamp: Stamp) -> str:
        self._begin("restore")
        found = self._store.commits.get(commit)
        if found is None:
            raise UsageError(f"no commit {commit} here")
        tree = self._store.tree(self._store.contents[found.tree] | {KEPT})
        return self._store.commit(Commit(tree, found.work, commit), "restored", commit, onto)

    def write_contents(self, commit: str, contents: Mapping[str, bytes], stamp: Stamp) -> str:
        return commit  # the files of this world have no contents

    def send(self, commit: str, base: str, branch: str, stamp: Stamp, series: Sequence[str], *, sign: bool) -> str:
        self._begin("send")
        there = self._store.branches.get(branch)
        if there is None and self._nature.trouble.one_in(self._nature.trouble.rate / 2):
            raise DeliveryRefused(f"{branch} is checked out")
        delivered = f"d{commit}"
        if there not in (None, delivered):
            raise DeliveryRefused(f"{branch} is at {there}")
        self._fate.after("send")
        return delivered

    def create_branch(self, branch: str, commit: str) -> None:
        self._fate.stopped()
        self._fate.before("create_branch", lasting=True)
        there = self._store.branches.get(branch)
        if there is None and self._nature.trouble.one_in(self._nature.trouble.rate / 4):
            raise InfrastructureError("create_branch: the disk is full", undone=True)
        self._oracle.delivering(branch, commit)
        self._store.branches[branch] = commit
        self._fate.after("create_branch")

    def _begin(self, effect: str, *, lasting: bool = False) -> None:
        self._fate.before(effect, lasting=lasting)
        _maybe_trouble(self._nature, effect)

    def _clash(self, sources: Sequence[str]) -> bool:
        trees = (self._store.commits[source].tree for source in sources)
        return any(portion(self._nature.seed, "clash", *sorted(pair)) < 0.1 for pair in combinations(trees, 2))


class SimAgent:
    """Does the work of an attempt: adds a content of its stage, wrong at times, or fails in every known way."""

    def __init__(self, store: Store, nature: Nature, oracle: Oracle, fate: Fate) -> None:
        self._store, self._nature, self._oracle, self._fate = store, nature, oracle, fate

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        self._fate.before("work")
        attempt = brief.attempt
        self._oracle.working(attempt, brief.text, SECRET)
        if cancel.is_set() and self._nature.agents.one_in(0.5):
            return Outcome(Ended.CANCELLED)
        found = self._store.places.get(str(checkout.root))
        ended, changes = self._ending(spec.command is not None)
        if changes and found is not None:
            self._store.places[str(checkout.root)] = self._change(found, attempt, scripted=spec.command is not None)
        self._fate.after("work")
        known = self._nature.agents.one_in(0.8)
        usage = Usage(100, 50, None, 0.2) if known else Usage()
        retry_at = 0.0 if self._nature.agents.one_in(0.5) else 5.0
        return Outcome(ended, "done", usage=usage, retry_at=retry_at, permanent=self._nature.agents.one_in(0.02))

    def _ending(self, scripted: bool) -> tuple[Ended, bool]:
        chance = self._nature.trouble
        if not chance.happens():
            return Ended.COMPLETED, self._nature.agents.one_in(0.95) or scripted
        ended = chance.choice(
            (Ended.CRASHED, Ended.TIMED_OUT, Ended.REFUSED, Ended.RATE_LIMITED, Ended.UNAVAILABLE, Ended.OUT_OF_BUDGET)
        )
        return ended, chance.one_in(0.5)

    def _change(self, found: Commit, attempt: AttemptId, *, scripted: bool) -> Commit:
        contents = self._store.contents[found.tree]
        if CONFLICT in contents and self._nature.agents.one_in(0.8):
            contents = contents - {CONFLICT}
        draw = 0 if scripted else self._nature.agents.randrange(6)
        good = scripted or not self._nature.agents.happens()
        added = f"{attempt.stage}:{'g' if good else 'b'}{draw}"
        return Commit(self._store.tree(contents | {added}), found.work | {str(attempt)})


class SimGates:
    """What a gate says of a tree hangs on its contents alone; at times it cannot say."""

    def __init__(self, store: Store, nature: Nature, oracle: Oracle, fate: Fate, blobs: MemoryBlobs) -> None:
        self._store, self._nature, self._oracle, self._fate, self._blobs = store, nature, oracle, fate, blobs

    def evaluate(self, request: GateRequest, cancel: Cancel) -> Judgement:
        self._fate.before("evaluate")
        if cancel.is_set() and self._nature.gates.one_in(0.5):
            raise Cancelled("no longer wanted")
        self._oracle.evaluating(request)
        _maybe_trouble(self._nature, "evaluate")
        if self._nature.gates.happens():
            finding = Finding("cannot", "the gate could not run")
            return Judgement(VerdictStatus.ERRORED, (finding,), permanent=self._nature.gates.one_in(0.1))
        wrong = tuple(self._wrong(request))
        status = VerdictStatus.FAILED if wrong else VerdictStatus.PASSED
        self._oracle.evaluated(request, status)
        self._fate.after("evaluate")
        paid = Usage(30, 5, None, 0.05) if request.gate.kind == "review" else Usage()
        return Judgement(status, wrong, self._report(request), digest="key", usage=paid)

    def _report(self, request: GateRequest) -> tuple[Evidence, ...]:
        if not request.gate.needs_baseline:
            return ()
        content = f"{request.gate.digest} on {request.tree}".encode()
        return (Evidence("report", self._blobs.put(content), len(content)),)

    def _wrong(self, request: GateRequest) -> Iterator[Finding]:
        contents = self._store.contents[request.tree]
        if request.gate.kind == GateKind.SCOPE:
            yield from self._out_of_scope(request, contents)
            return
        for content in sorted(contents):
            stage, _, variant = content.partition(":")
            if not variant or variant.startswith("p"):
                continue
            if portion(self._nature.seed, request.gate.digest, content) < self._fails(request, stage, variant):
                yield self._finding(request, content)
        if request.gate.kind == GateKind.RUN:
            yield from self._broken_together(request, contents)

    def _fails(self, request: GateRequest, stage: str, variant: str) -> float:
        """Bad work of the judged stage mostly fails; of an earlier one only seldom, seen too late."""
        if stage == request.stage.id:
            return 0.8 if variant.startswith("b") else 0.05
        return 0.15 if variant.startswith("b") else 0.0

    def _out_of_scope(self, request: GateRequest, contents: frozenset[str]) -> Iterator[Finding]:
        if CONFLICT in contents:
            yield Finding("scope.markers", "left-over markers")
        if request.tree == request.input_tree and not request.stage.may_be_empty:
            yield Finding("scope.empty", "it changed nothing")

    def _broken_together(self, request: GateRequest, contents: frozenset[str]) -> Iterator[Finding]:
        worked = sorted(content for content in contents if ":" in content)
        for pair in combinations(worked, 2):
            if portion(self._nature.seed, request.gate.digest, *pair) < 0.01:
                yield Finding("together", f"{pair[0]} and {pair[1]} do not fit")
        if CONFLICT in contents:
            yield Finding("syntax", "conflict markers")
        if portion(self._nature.seed, request.gate.digest, "base") < 0.1 and len(contents) < 3:
            yield Finding("base", "red from the start")

    def _finding(self, request: GateRequest, content: str) -> Finding:
        reason = ("", "design", "code")[int(portion(content, request.gate.id) * 3)]
        if request.gate.kind == "review" and portion(content, "escalate") < 0.1:
            reason = "escalate"
        secret = bool(request.gate.held_out)
        message = f"{SECRET if secret else ''} wrong {'' if portion(content) < 0.3 else content}"
        file = ("a.py", "b/c.txt", "")[int(portion(content, request.gate.id, "file") * 3)]
        return Finding("wrong", message, file=file, line=len(content), reason=reason, secret=secret)


def _maybe_trouble(nature: Nature, effect: str) -> None:
    if nature.trouble.one_in(nature.trouble.rate / 4):
        raise InfrastructureError(f"{effect}: the disk is full", permanent=nature.trouble.one_in(0.15))

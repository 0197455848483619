"""A panel of reviewers: agents read the candidate and say approve, revise or escalate.

Rule: it is asked only of what passed every hard gate, and overrules none. Each reviewer works alone in a checkout
that is thrown away and holds no instruction files for agents. Who gives no answer that matches the schema counts for
nobody; where the others cannot decide without it, nothing is decided. What was answered is kept, so that a crash
pays no reviewer twice. Who can no longer let the candidate through is not waited for.
"""

from __future__ import annotations

import math
import os
import shutil
import stat
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from interlock.core.events import Evidence, Usage, VerdictStatus
from interlock.core.globs import matches_any
from interlock.core.judge_files import AGENT_FILES
from interlock.core.pipeline import AgentSpec
from interlock.gates.bench import Bench
from interlock.gates.declaration import options_of
from interlock.gates.kinds.review import Review
from interlock.gates.reviews.answers import Asked, NoAnswer, read, schema
from interlock.gates.reviews.asking import again, earlier_of, mark_of, question, requirements
from interlock.gates.reviews.opinions import ASKED_MAX, Kept, Opinion, is_settled, together, total
from interlock.ports import Brief, Cancel, Cancelled, Case, Ended, Judgement, Outcome, Place, Room, secrets_of
from interlock.process import scrubbed

_POLL_S = 0.1
_NOTHING = Usage(0, 0, 0, 0.0)
_FAILED = frozenset({Ended.CRASHED, Ended.TIMED_OUT, Ended.REFUSED})  # it was asked, and this is what came of it


def asked_panel(bench: Bench, case: Case, review: Review, cancel: Cancel) -> Judgement:
    """What the reviewers come to. Raises Cancelled, and InfrastructureError for the machine."""
    wanted = requirements(bench, case, review)
    kept = Kept(bench.journal, case)
    settled = _Either(cancel)
    opinions: dict[str, Opinion] = {}
    with ThreadPoolExecutor(len(review.by)) as pool:
        asked = [Asked(name, earlier_of(case, name), wanted, mark_of(case, name)) for name in review.by]
        given = [pool.submit(_opinion, bench, case, kept, one, settled) for one in asked]
        for one in as_completed(given):
            opinions[one.result().reviewer] = one.result()
            if is_settled(review, list(opinions.values())):
                settled.set()
    if cancel.is_set():
        raise Cancelled(f"{case.stage.id}/{case.gate.id}: no longer wanted")
    inorder = [opinions[name] for name in review.by]
    judgement = together(review, inorder)
    if judgement.status is VerdictStatus.ERRORED:
        kept.keep_try(inorder)
    return judgement


class _Either:
    """Set where the gate is no longer wanted, and where its reviewers are not."""

    def __init__(self, outer: Cancel) -> None:
        self._outer = outer
        self._own = threading.Event()

    def set(self) -> None:
        self._own.set()

    def is_set(self) -> bool:
        return self._own.is_set() or self._outer.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        until = time.monotonic() + timeout if timeout is not None else math.inf
        while not self.is_set() and (left := until - time.monotonic()) > 0:
            self._own.wait(min(left, _POLL_S))
        return self.is_set()


# --- one reviewer -----------------------------------------------------------------------------------


def _opinion(bench: Bench, case: Case, kept: Kept, asked: Asked, cancel: Cancel) -> Opinion:
    """What it said, now or before. Of a gate that is no longer wanted nobody takes it."""
    answered = kept.answer_of(asked)
    if answered is not None:
        return answered
    before = kept.silence_of(asked.reviewer)
    if before is not None and before.asked >= ASKED_MAX:
        return Opinion(asked.reviewer, None, before.why, _NOTHING, before.evidence, asked=before.asked)
    if cancel.is_set():
        return Opinion(asked.reviewer, None, usage=_NOTHING, ended=True)
    try:
        opinion = _asked(bench, case, asked, before.asked if before else 0, cancel)
    except Cancelled:
        return Opinion(asked.reviewer, None, ended=True)
    if opinion.answer is not None:
        kept.keep_answer(asked, opinion)
    return opinion


def _asked(bench: Bench, case: Case, asked: Asked, times: int, cancel: Cancel) -> Opinion:
    """Ask until there is an answer, where it was asked so many `times`. What all of it used counts."""
    text = first = question(bench, case, options_of(case.gate, Review), asked)
    usages: list[Usage] = []
    evidence: list[Evidence] = []
    while True:
        outcome, left = _once(bench, case, asked, text, cancel)
        usages.append(outcome.usage)
        evidence += left
        silent = Opinion(asked.reviewer, None, "", total(usages), tuple(evidence))
        if outcome.ended is Ended.CANCELLED:
            return replace(silent, ended=True)
        if outcome.ended is not Ended.COMPLETED:
            times += outcome.ended in _FAILED
            why = f"{outcome.ended}: {outcome.message}"
            quota = outcome.ended is Ended.RATE_LIMITED
            silent = replace(silent, why=why, retry_at=outcome.retry_at, permanent=outcome.permanent, asked=times)
            return replace(silent, quota=quota)
        try:
            answer = read(outcome.answer or outcome.message, asked)
        except NoAnswer as error:
            times += 1
            if times >= ASKED_MAX:
                return replace(silent, why=f"its answer does not match the schema ({error})", asked=times)
            text = again(first, str(error))
            continue
        return replace(silent, answer=answer)


def _once(bench: Bench, case: Case, asked: Asked, text: str, cancel: Cancel) -> tuple[Outcome, list[Evidence]]:
    """One run of the reviewer's program in a checkout of its own, and what is kept of it."""
    spec = case.pipeline.agent(asked.reviewer)
    with bench.workspaces.clean_room(case.commit, case.input_commit, Room()) as place:
        remove_instructions(place.tree)
        _write_protect(place.tree)
        brief = replace(_brief(bench, case, spec, place), text=text, answer_schema=schema(asked.mark))
        outcome = bench.agents[spec.use].work(spec, brief, place, cancel)
        return outcome, _evidence(bench, asked.reviewer, outcome)


def _brief(bench: Bench, case: Case, spec: AgentSpec, place: Place) -> Brief:
    return Brief(
        run=case.run,
        attempt=case.subject,
        text="",
        task=case.values.get("TASK", ""),
        model=spec.model,
        env=_environment(bench, case, spec, place),
        timeout_s=case.gate.timeout_s,
        idle_timeout_s=case.stage.idle_timeout_s,
        secrets=tuple(value for _, value in secrets_of(case.pipeline, bench.environ, bench.agents)),
    )


def _environment(bench: Bench, case: Case, spec: AgentSpec, place: Place) -> Mapping[str, str]:
    allowed = (*case.gate.env, *case.gate.secrets, *spec.env, *spec.secrets)
    own = {"HOME": str(place.home), "TMPDIR": str(place.tmp), "TASK": case.values.get("TASK", "")}
    return {**scrubbed(bench.environ, allowed), **dict(place.env), **own}


def _write_protect(tree: Path) -> None:
    """Files only, as a sign to the reviewer: the checkout is thrown away whatever it does."""
    for path in tree.rglob("*"):
        if ".git" not in path.parts and path.is_file() and not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def _evidence(bench: Bench, reviewer: str, outcome: Outcome) -> list[Evidence]:
    said = (outcome.answer or outcome.message).encode("utf-8", "replace")
    kept = [Evidence(f"{reviewer}.answer", bench.blobs.put(said), len(said))] if said else []
    if outcome.log is not None:
        kept.append(Evidence(f"{reviewer}.log", *bench.blobs.put_file(outcome.log)))
    return kept


def remove_instructions(tree: Path) -> None:
    """Remove them from a checkout that nobody has worked in."""
    globs = tuple(glob.lower() for glob in AGENT_FILES)
    for folder, folders, files in os.walk(tree):
        below = os.path.relpath(folder, tree)
        for name in (*folders, *files):
            path = os.path.normpath(os.path.join(below, name)).lower()  # noqa: PTH118 - one string per file
            if matches_any(globs, path) or matches_any(globs, f"{path}/x"):
                _remove(Path(folder, name))
        folders[:] = [name for name in folders if name != ".git" and os.path.lexists(Path(folder, name))]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()

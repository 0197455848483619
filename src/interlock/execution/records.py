"""Documents that outlive a run: its pipeline, handoff records, feedback, the message of the delivered commit.

A handoff's record is an in-toto Statement v1 whose predicate is a SLSA verification summary v1. The pipeline is stored
beside the history, whose first event has its digest. Rule: everything that drives or shows a run reads it here, so that
a changed pipeline is never used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256

from interlock.core.effects import AcceptHandoff, RejectCandidate
from interlock.core.events import CandidateProduced, Event, Evidence, RunStarted, VerdictGiven
from interlock.core.feedback import failed, for_agent, for_worker
from interlock.core.ids import AttemptId
from interlock.core.judging import find_gate
from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.core.wire import encode_event
from interlock.execution.briefing.rejections import HELD_OUT_RED_BEFORE, RED_BEFORE
from interlock.execution.context import Context
from interlock.pipelinefile import decode_pipeline
from interlock.ports import Damaged, Engine, Render, UsageError, World
from interlock.text.cleaning import plain, without_place

TAIL = 4_000  # bytes of a failed gate's output that an agent is shown
SUBJECT_MAX = 72  # characters, as git's own pages advise
STATEMENT = "https://in-toto.io/Statement/v1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
RECORD_VERSION = 2  # 1 had fewer digests and was not signed
_TASK_MAX = 4_000  # characters of it in a commit's message


def handoff_record(context: Context, effect: AcceptHandoff, delivers: str = "") -> bytes:
    """Everything that the acceptance hangs on, by digest. `delivers` is the tree that a branch of it would have,
    without the artifacts. Whole events are named by their digest, so that nothing in them can be changed later."""
    stage, started = context.pipeline.stage(effect.attempt.stage), context.started
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": f"{context.run}/{effect.attempt}", "digest": _commit(effect.commit, effect.tree)}],
        "predicateType": SUMMARY,
        "predicate": {
            "verifier": {"id": "interlock"},
            "resourceUri": _uri(context, effect.attempt),
            "policy": {"uri": f"interlock:{context.pipeline.name}", "digest": {"sha256": context.pipeline.digest}},
            "inputAttestations": [
                {"uri": _uri(context, one.attempt), "digest": {"sha256": one.record}} for one in effect.inputs
            ],
            "verificationResult": "FAILED" if effect.override_by else "PASSED",
            "verifiedLevels": [],
            "interlock": {
                "version": RECORD_VERSION,
                "run": {"id": context.run, "started": _event_digest(started), "pipeline": started.pipeline_text},
                "stage": {"id": stage.id, "sha256": stage.digest},
                "base": _commit(started.base_commit, started.base_tree),
                "input": _input(effect),
                "attempt": _attempt(effect),
                "sandbox": started.sandbox,
                "override_by": effect.override_by,
                "accepted_by": effect.by,
                "delivers": {"gitTree": delivers},
                "verdicts": [_verdict(context, verdict) for verdict in effect.verdicts],
            },
        },
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def feedback_document(world: World, context: Context, effect: RejectCandidate, patch: str) -> bytes:
    """Findings and the useful end of the output, without anything of held-out gates but counts. `patch` is a digest."""
    held_out = {gate for gate in (verdict.gate for verdict in effect.verdicts) if _is_held_out(context, gate)}
    findings = [
        _finding("" if gate in held_out else gate, finding.file, finding.line, for_worker(finding.message))
        for gate, finding in for_agent(effect.verdicts)
    ]
    findings += [
        _finding("", "", 0, HELD_OUT_RED_BEFORE)
        if verdict.gate in held_out
        else _finding(verdict.gate, "", 0, RED_BEFORE)
        for verdict in failed(effect.verdicts)
        if verdict.gate in effect.red_before
    ]
    document = {
        "attempt": str(effect.attempt),
        "findings": findings,
        "output": {
            verdict.gate: tail for verdict in failed(effect.verdicts) if (tail := _tail(world, context, verdict))
        },
        "patch": patch,
    }
    return json.dumps(document, sort_keys=True).encode()


def delivery_branch(render: Render, pipeline: Pipeline, started: RunStarted) -> str:
    """The name that the pipeline gives to the run's branch. Raises UsageError where it cannot be filled in."""
    values = {"run": {"id": started.run}, "task": started.task, "inputs": dict(started.inputs)}
    return render(pipeline.deliver.branch, values)


def delivery_message(context: Context) -> str:
    """The task as git wants a message: a short subject, and the rest below it, both bounded."""
    task = plain(context.started.task.strip(), _TASK_MAX)
    first, _, rest = task.partition("\n")
    subject = shortened(first)
    body = rest.strip() if subject == first else task
    parts = [subject or f"interlock: {context.pipeline.name}", body, f"Interlock-Run: {context.run}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def candidate_message(context: Context, attempt: AttemptId, who: str) -> str:
    """The message of a candidate. `who` may be a person with a long name."""
    return f"{shortened(f'interlock: {attempt} by {who}')}\n\nBy: {plain(who, 200)}\nRun: {context.run}"


def shortened(line: str) -> str:
    """One line that fits as a commit's subject, cut between words where there are any."""
    if len(line) <= SUBJECT_MAX:
        return line
    cut = line[: SUBJECT_MAX - 3]
    return f"{cut.rpartition(' ')[0] or cut}..."


def text_digest(text: str) -> str:
    """The sha256 in hex of a text as the journal keeps it."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def recorded_pipeline(engine: Engine, run: str, state_of: Callable[[str], RunState]) -> Pipeline:
    """As it was when the run started. Raises UsageError where there is no such run, Damaged."""
    text = engine.pipeline(run)
    if text is None and run in engine.runs():
        raise Damaged("its pipeline is no longer in the journal")
    if text is None:
        raise UsageError(f"no run {run} in this repository: `interlock list` shows all runs")
    started = state_of(run).started
    if started is not None and started.pipeline_text not in ("", text_digest(text)):
        raise Damaged(
            "its pipeline was changed: its digest does not match the first event: put the newest"
            " journal.db, with its -wal, back in its place"
        )
    return decode_pipeline(text)


def _commit(commit: str, tree: str) -> dict[str, str]:
    return {"gitCommit": commit, "gitTree": tree}


def _uri(context: Context, attempt: AttemptId) -> str:
    return f"interlock:{context.run}/{attempt}"


def _input(effect: AcceptHandoff) -> dict[str, object]:
    prepared = effect.prepared
    if prepared is None:
        return {"gitTree": effect.input_tree}
    return {**_commit(prepared.commit, prepared.tree), "event": _event_digest(prepared)}


def _attempt(effect: AcceptHandoff) -> dict[str, object]:
    """Who made the candidate, with which model, at which level of the sandbox, told what, and what is kept of it."""
    started, candidate = effect.started, effect.candidate
    return {
        "agent": started.agent if started else "",
        "model": started.model if started else "",
        "by": started.by if started else "",
        "sandbox": (candidate.sandbox if candidate else "") or (started.sandbox if started else ""),
        **_worker(candidate),
        "started": _event_digest(started),
        "brief": next((item.digest for item in candidate.evidence if item.name == "brief"), "") if candidate else "",
        "evidence": _evidence(candidate.evidence if candidate else ()),
        "candidate": _event_digest(candidate),
    }


def _verdict(context: Context, verdict: VerdictGiven) -> dict[str, object]:
    _, gate = find_gate(context.pipeline, verdict.gate)
    return {
        "gate": verdict.gate,
        "definition": gate.digest,
        "status": verdict.status,
        "hard": verdict.hard,
        "tree": verdict.tree,
        "digest": verdict.digest,
        "by": verdict.by,
        "sandbox": verdict.sandbox,
        **_worker(verdict),
        "evidence": _evidence(verdict.evidence),
        "event": _event_digest(verdict),
    }


def _worker(event: CandidateProduced | VerdictGiven | None) -> dict[str, str]:
    """The machine that says so, where it is another one than that of the record."""
    return {"worker": event.worker} if event is not None and event.worker else {}


def _evidence(evidence: Iterable[Evidence]) -> dict[str, str]:
    return {item.name: item.digest for item in evidence}


def _event_digest(event: Event | None) -> str:
    """Of the stored form, to which later versions only add what has its default."""
    return text_digest(encode_event(event)) if event is not None else ""


def _tail(world: World, context: Context, verdict: VerdictGiven) -> str:
    """The end of the output; none where findings hold it, without the tests that the referee added."""
    _, gate = find_gate(context.pipeline, verdict.gate)
    log = verdict.evidence_of("log")
    if gate.held_out or gate.canary or not log:
        return ""
    return world.blobs.get(log)[-TAIL:].decode("utf-8", "replace")


def _is_held_out(context: Context, gate: str) -> bool:
    return bool(find_gate(context.pipeline, gate)[1].held_out)


def _finding(gate: str, file: str, line: int, message: str) -> dict[str, object]:
    return {"gate": gate, "file": file, "line": line, "message": without_place(message, file, line)}

"""What tools answer, made from what verbs print with `--json`: the same keys and words, in the order of what matters.

Rule: a compact answer leaves out what is empty, what passed without a finding, digests and times. Every list is bounded
and says with which call the rest comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interlock.mcp.tool import Document, Schema, ToolError

OVER = ("accepted", "cancelled", "stopped")
MOVING = ("running", "sleeping")
_DONE = ("accepted", "skipped")  # stages
_PHASES = (*MOVING, "waiting", "interrupted", *OVER)  # of a run that can be read
_LIST_MAX, _FULL_MAX = 20, 200  # entries of a list, in a compact and in a full answer
_GATES_MAX, _REASONS_MAX, _EARLIER_MAX = 8, 5, 5
_FINDINGS_MAX, _FINDINGS_PAGE = 5, 50
_TASK_MAX, _TEXT_MAX, _FULL_TEXT_MAX = 36, 300, 4_000  # characters; the first in a list
_FULL = 'ask with detail="full"'

_S: Schema = {"type": "string"}
_I: Schema = {"type": "integer"}
_B: Schema = {"type": "boolean"}
_NAMES: Schema = {"type": "array", "items": _S}


def _of(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split()}


def _each(**properties: Schema) -> Schema:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


_FINDINGS = _each(file=_S, line=_I, message=_S)
_GATES = _each(gate=_S, status=_S, findings=_FINDINGS, more=_S)
_WAITS = _each(subject=_S, detail=_S, commands=_NAMES)
_REASONS = _each(gate=_S, attempt=_S, file=_S, line=_I, message=_S, times=_I)
_STAGES = _each(id=_S, phase=_S, attempts=_I)

PIPELINES = _of("valid pipelines", valid=_B, pipelines=_each(name=_S, valid=_B, mistakes=_FINDINGS))
CHECKED = _of("passed gates next", passed=_B, gates=_GATES, next=_S)
STARTED = _of("run next", run=_S, next=_S)
RUNS = _of("runs", runs=_each(id=_S, phase=_S, who_acts=_S, needs=_S))
RUN = _of(
    "id phase who_acts next stages", id=_S, phase={"enum": list(_PHASES)},
    who_acts={"enum": ["person", "run", "nobody"]}, waits=_WAITS, reasons=_REASONS, next=_S, stages=_STAGES,
    timed_out=_B,
)  # fmt: skip
ATTEMPT = _of("run id phase verdicts next", run=_S, id=_S, phase=_S, verdicts=_GATES, next=_S)
ANSWERED = _of("run next", run=_S, next=_S)


def pipelines_document(shown: Document, *, one: bool) -> Document:
    """`one`: a pipeline was asked for by its name."""
    most = _FULL_MAX if one else _FINDINGS_MAX

    def pipeline(each: Document) -> Document:
        more = "fix these first" if one else f'ask with pipeline="{each["file"]}"'
        mistakes, rest = _first(each["mistakes"], most, more)
        named = {name: each.get(name) for name in ("name", "file", "valid")}
        return _kept({**named, "mistakes": [_kept(mistake) for mistake in mistakes], "more": rest})

    return {"valid": shown["valid"], "pipelines": [pipeline(each) for each in shown["pipelines"]]}


def checked_document(shown: Document, *, full: bool) -> Document:
    """The gates that did not pass, with their findings; of the others the names."""
    told = [gate for gate in shown["gates"] if gate["status"] not in ("passed", "skipped") or _findings(gate)]
    quiet = [gate for gate in shown["gates"] if gate not in told]
    gates, more = _first(told, _FULL_MAX if full else _GATES_MAX, _FULL)
    next_step = "fix what did not pass, then call `check` again" if not shown["passed"] else "nothing is against it"
    document = {
        "passed": shown["passed"],
        "gates": [_checked_gate(gate, full=full) for gate in gates],
        "more": more,
        "next": next_step,
        "passed_gates": [_gate_name(gate) for gate in quiet if gate["status"] == "passed"],
        "skipped": _skipped(gate for gate in quiet if gate["status"] == "skipped"),
    }
    return _kept(document, always=("passed", "gates"))


def runs_document(shown: Document, count: int) -> Document:
    """First the runs that need a person, then those at work, then the others, each newest first."""
    order = ("person", "run", "nobody")
    runs = sorted(shown["runs"], key=lambda run: order.index(who_acts(run["phase"])))
    rows, more = _first(runs, count, f"ask with count={2 * count}")
    return _kept({"runs": [_run_row(run) for run in rows], "more": more}, always=("runs",))


def who_acts(phase: str) -> str:
    if phase in MOVING:
        return "run"
    return "nobody" if phase in OVER else "person"


def run_document(run: Document, *, full: bool, answers: bool) -> Document:
    """State, who must act, why, and the next tool; then where the stages are, and what it cost."""
    head = {"id": run["id"], "phase": run["phase"], "who_acts": who_acts(run["phase"])}
    head |= {"may_be_old": run["behind"]} if run.get("behind") else {}
    next_step = _next_of_run(run, answers=answers)
    if full:
        counted = [{**stage, "attempts": len(stage["attempts"])} for stage in run["stages"]]
        every = {**head, "waits": run["waits"], "reasons": run["reasons"], "next": next_step, "stages": counted}
        every |= {name: value for name, value in run.items() if name not in every}
        return _bounded(every)
    reasons, more_reasons = _first(run["reasons"], _REASONS_MAX, _FULL)
    open_stages = [each for each in run["stages"] if each["phase"] not in _DONE]
    stages, more_stages = _first(open_stages, _LIST_MAX, _FULL)
    document = {
        **head,
        "why": _cut(run["why"]),
        "waits": [_wait(each) for each in run["waits"][:_LIST_MAX]],
        "reasons": [_reason(each) for each in reasons],
        "more_reasons": more_reasons,
        "next": next_step,
        "stages": [_kept({**_some(each, "id", "phase"), "attempts": len(each["attempts"])}) for each in stages],
        "more_stages": more_stages,
        "stages_done": len(run["stages"]) - len(open_stages),
        "overrides": run["overrides"],
        "branch": run["branch"],
        "spent": _spent(run["spent"]),
        "near": [limit["name"] for limit in run["limits"] if limit["near"]],
        "sandbox": run["sandbox"],
        "pipeline": run["pipeline"],
        "task": _cut(run["task"]),
    }
    return _kept(document, always=("stages",))


def attempt_document(run: str, attempts: Sequence[Document], *, full: bool, gate: str, offset: int) -> Document:
    """The last of `attempts` of a stage. `gate` asks for the findings of this gate alone, from `offset`."""
    attempt = attempts[-1]
    newest = _newest_verdicts(attempt)
    told = [one for one in newest if one["status"] != "passed" or one["findings"]]
    if gate:
        told = _of_gate(newest, gate, str(attempt["id"]))
    shown, more = _first(told, _FULL_MAX if full or gate else _GATES_MAX, _FULL)
    most = _FINDINGS_PAGE if full or gate else _FINDINGS_MAX
    document = {
        "run": run,
        **_some(attempt, "id", "phase"),
        "why": _cut(attempt["why"]),
        "verdicts": [_verdict(one, most, offset if gate else 0, full=full) for one in shown],
        "more": more,
    }
    if gate:
        return _kept({**document, "next": "`read` with what=\"log\" and this gate's `name` has all that it printed"},
                     always=("verdicts",))  # fmt: skip
    every = {name: value for name, value in attempt.items() if name not in (*document, "verdicts")} if full else {}
    document |= {
        "next": _next_of_attempt(attempt),
        "passed": [one["gate"] for one in newest if one not in told],
        "tests": {one["gate"]: one["tests"] for one in newest if one not in told and one["tests"]},
        "override_by": attempt["override_by"],
        "claim": _cut(attempt["claim"]),
        "worker": attempt["worker"],
        "earlier": [_earlier(one) for one in attempts[-1 - _EARLIER_MAX : -1]],
    }
    return _kept({**document, **_bounded(every)}, always=("verdicts",))


# --- runs -------------------------------------------------------------------------------------------


def _run_row(run: Document) -> Document:
    row = {**_some(run, "id", "phase"), "who_acts": who_acts(run["phase"]), "task": _cut(run["task"], _TASK_MAX)}
    return _kept({**row, "needs": _needs(run), "why": _cut(run["why"], 2 * _TASK_MAX)})


def _needs(run: Document) -> str:
    """What a person has to do, and what the first of several waits is about."""
    if run["phase"] == "interrupted":
        return "`interlock resume`"
    waits = run.get("waits") or ()
    if not waits:
        return ""
    first, more = waits[0], f" and {len(waits) - 1} more" if len(waits) > 1 else ""
    about = _cut(first["subject"] or first["stage"] or "run")
    return f"{first['reason']} of {about}{more}: {_cut(first['detail'], _TASK_MAX)}"


def _next_of_run(run: Document, *, answers: bool) -> str:
    phase = run["phase"]
    if phase in MOVING:
        return "`get_run` with wait_s=45 waits until it needs a person or is over"
    if phase == "accepted":
        return '`read` with what="change" shows the work'
    subject = next((each["attempt"] for each in run["reasons"] if each["attempt"]), "")
    look = f'`get_attempt` with attempt="{subject}" has all findings' if subject else ""
    if phase == "interrupted":
        return f"tell a person to run `interlock resume {run['id']}`"
    if phase == "waiting":
        asked = next((f' with attempt="{one["subject"]}"' for one in run["waits"] if one["reason"] == "approval"), "")
        act = f"`answer`{asked}, or tell a person" if answers else "tell a person what it waits for, and its `commands`"
        return "; ".join(part for part in (act, '`read` with what="change" shows the work', look) if part)
    return look or "`start_run` begins anew"


def _wait(wait: Document) -> Document:
    kept = _some(wait, "subject", "stage", "gate", "reason")
    if kept["subject"]:
        del kept["stage"]
    return _kept({**kept, "detail": _cut(wait["detail"]), "hint": wait["hint"], "commands": wait["commands"]})


def _reason(reason: Document) -> Document:
    """Where no attempt is the base, or the input of the stage."""
    names = ("gate", "attempt", "status", "file", "line")
    kept = {**_some(reason, *names), "message": _cut(reason["message"])}
    times = reason["times"] if reason["times"] > 1 else 0
    more = reason["findings"] - 1 if reason["findings"] > 1 else 0
    return _kept({**kept, "times": times, "more_findings": more, "soft": not reason["hard"]})


def _spent(spent: Document) -> Document:
    cost = round(spent["cost_usd"], 4)
    return _kept(
        {
            **_some(spent, "attempts", "tokens"),
            "cost_usd": cost,
            "cost_is_partial": bool(cost) and not spent["cost_known"],
        }
    )


# --- attempts ---------------------------------------------------------------------------------------


def _newest_verdicts(attempt: Document) -> list[Document]:
    """One of each gate, those that did not pass first."""
    newest = {shown["verdict"]["gate"]: shown["verdict"] for shown in attempt["verdicts"]}
    return sorted(newest.values(), key=lambda one: (one["status"] == "passed", not one["hard"]))


def _of_gate(verdicts: Iterable[Document], gate: str, attempt: str) -> list[Document]:
    known = {one["gate"]: one for one in verdicts}
    name = gate if gate in known else f"{attempt.partition('/')[0]}/{gate}"
    if name not in known:
        raise ToolError(f"{attempt} has no verdict of a gate `{gate}`: there are {', '.join(known) or 'none'}")
    return [known[name]]


def _verdict(verdict: Document, most: int, offset: int, *, full: bool) -> Document:
    findings = verdict["findings"][max(0, offset) :]
    shown, _ = _first(findings, most, "")
    rest = len(findings) - len(shown)
    ask = f'{rest} more: ask with gate="{verdict["gate"]}" offset={max(0, offset) + len(shown)}' if rest else ""
    told = {
        "findings": [_finding(one, _FULL_TEXT_MAX if most > _FINDINGS_MAX else _TEXT_MAX) for one in shown],
        "more": ask,
    }
    if full:
        return {**verdict, **told}
    return _kept(
        {**_some(verdict, "gate", "status", "by", "tests"), **told, "soft": not verdict["hard"]}, always=("findings",)
    )


def _earlier(attempt: Document) -> Document:
    refused = [one["gate"] for one in _newest_verdicts(attempt) if one["status"] != "passed"]
    return _kept({**_some(attempt, "id", "phase"), "by": refused, "why": _cut(attempt["why"], 2 * _TASK_MAX)})


def _next_of_attempt(attempt: Document) -> str:
    if not attempt["commit"]:
        return '`read` with what="log" has what its agent printed'
    return '`read` with what="diff" has the change, what="log" what was printed'


# --- gates and findings -----------------------------------------------------------------------------


def _checked_gate(gate: Document, *, full: bool) -> Document:
    most, text = (_FINDINGS_PAGE, _FULL_TEXT_MAX) if full else (_FINDINGS_MAX, _TEXT_MAX)
    findings, more = _first(_findings(gate), most, "fix these first" if full else _FULL)
    told = {"gate": _gate_name(gate), "status": gate["status"], "soft": gate["class"] != "hard"}
    told |= {"findings": [_finding(one, text) for one in findings], "more": more, **_some(gate, "failed_before")}
    return _kept(told, always=("findings",))


def _gate_name(gate: Document) -> str:
    return f"{gate['stage']}/{gate['gate']}"


def _findings(gate: Document) -> list[Document]:
    return list((gate["judgement"] or {}).get("findings") or ())


def _skipped(gates: Iterable[Document]) -> Document:
    """The names of gates by why they were skipped."""
    found: Document = {}
    for gate in gates:
        found.setdefault(gate["skipped"], []).append(_gate_name(gate))
    return found


def _finding(finding: Document, most: int) -> Document:
    kept = {**_some(finding, "file", "line", "rule"), "message": _cut(finding["message"], most)}
    severity = finding["severity"] if finding["severity"] != "error" else ""
    return _kept({**kept, "severity": severity, "reason": finding["reason"]})


# --- any document -----------------------------------------------------------------------------------


def _some(document: Mapping[str, Any], *names: str) -> Document:
    return {name: document.get(name) for name in names}


def _kept(document: Document, always: tuple[str, ...] = ()) -> Document:
    """Without what is empty, no, or nothing."""
    return {name: value for name, value in document.items() if name in always or value or name == "valid"}


def _first(values: Sequence[Document], most: int, ask: str) -> tuple[Sequence[Document], str]:
    """The first `most`, and what is said about the rest."""
    rest = len(values) - most
    return values[:most], f"{rest} more: {ask}" if rest > 0 else ""


def _cut(text: str, most: int = _TEXT_MAX) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _bounded(document: Document) -> Document:
    """With every list and text of a bounded length, and what is said about the rest."""
    told: Document = {}
    for name, value in document.items():
        told[name] = _bounded_value(value)
        if isinstance(value, list) and len(value) > _FULL_MAX:
            told[f"more_{name}"] = f"{len(value) - _FULL_MAX} more"
    return told


def _bounded_value(value: object) -> object:
    if isinstance(value, str):
        return _cut(value, _FULL_TEXT_MAX)
    if isinstance(value, list):
        return [_bounded_value(one) for one in value[:_FULL_MAX]]
    return _bounded(value) if isinstance(value, dict) else value

"""The ci gate: the candidate is pushed to a branch of its own, and an outside CI says what it thinks of it.

Rule: what was not decided (no checks, no end, no answer) is errored and never a pass. The branch is deleted once
there is a verdict, or none is wanted; where none came it stays, and asking again goes on with it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

from interlock.core.events import Evidence, Finding, Severity, VerdictStatus
from interlock.core.pipeline import Ci
from interlock.gates.bench import Bench
from interlock.gates.outside.api import Api, Unanswered
from interlock.gates.outside.verdict import Check, Said, annotated, checks_of, missing, pending, verdict, wanted
from interlock.ports import Cancel, Cancelled, Case, InfrastructureError, Judgement, UsageError

_BACKOFF_MAX_S = 300.0
_ADDRESS = re.compile(r"(?:[/:]|^)([\w.-]+/[\w.-]+?)(?:\.git)?/?$")


def judge(bench: Bench, case: Case, cancel: Cancel) -> Judgement:
    """What the CI says. Raises Cancelled, and InfrastructureError where the candidate cannot be pushed."""
    ci = case.gate.ci
    assert ci is not None
    branch = branch_of(case)
    try:
        with case.alone():
            if cancel.is_set():
                raise Cancelled(f"{case.stage.id}/{case.gate.id}: no longer wanted")
            address = bench.workspaces.publish(case.commit, ci.remote, branch)
        api = Api(bench.outside, _repository(ci, address), bench.environ.get(bench.outside.token, ""))
    except UsageError as error:
        raise InfrastructureError(str(error), permanent=True) from error
    try:
        judgement = _waited(bench, api, case, cancel)
    except Cancelled:
        _withdrawn(bench, case, ci, branch)
        raise
    if judgement.status is VerdictStatus.ERRORED:
        note = Finding("branch", f"branch {branch} stays at {ci.remote} until there is a verdict", Severity.NOTE)
        return replace(judgement, findings=(*judgement.findings, note))
    return replace(judgement, findings=(*judgement.findings, *_withdrawn(bench, case, ci, branch)))


def branch_of(case: Case) -> str:
    """The same for the same candidate and gate, whoever asks and how often."""
    return f"interlock/{case.run}/{case.subject}/{case.gate.id}"


def _withdrawn(bench: Bench, case: Case, ci: Ci, branch: str) -> tuple[Finding, ...]:
    """Delete the branch; what hinders that is told, and changes no verdict. Raises Fenced: it is another's now."""
    try:
        with case.alone():
            bench.workspaces.withdraw(case.commit, ci.remote, branch)
    except (InfrastructureError, UsageError) as error:
        return (Finding("branch", str(error), Severity.WARNING),)
    return ()


def _repository(ci: Ci, address: str) -> str:
    if ci.repository:
        return ci.repository
    found = _ADDRESS.search(address) if ":" in address else None
    if found is None:
        raise UsageError(
            f"the address of the remote {ci.remote} names no repository: add `repository: OWNER/NAME` to ci"
        )
    return found[1]


# --- waiting ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Watch:
    """How long it has been, and how often in a row there was no answer."""

    began: float
    misses: int = 0
    why: str = ""

    @property
    def lasted(self) -> float:
        return time.monotonic() - self.began


def _waited(bench: Bench, api: Api, case: Case, cancel: Cancel) -> Judgement:
    """Ask until all has ended; without names twice alike, since a workflow may start another when it ends."""
    ci = case.gate.ci
    assert ci is not None
    watch = _Watch(time.monotonic())
    before: tuple[Check, ...] | None = None
    checks: tuple[Check, ...] = ()
    while True:
        wait_s = api.outside.poll_s
        try:
            before, checks = checks, _asked(api, case.commit)
            watch.misses, watch.why = 0, ""
        except Unanswered as error:
            if error.lasting:
                return _undecided("api", str(error), permanent=True)
            watch.misses, watch.why = watch.misses + 1, str(error)
            wait_s = max(error.wait_s, min(_BACKOFF_MAX_S, wait_s * 2.0**watch.misses))
        else:
            if _is_settled(ci, checks) and (ci.checks or before == checks):
                return _decided(bench, api, ci, checks)
            if watch.lasted >= api.outside.grace_s and (absent := _absent(ci, checks)):
                return _undecided("checks", f"{absent} after {api.outside.grace_s:g} s: let the CI run on this branch")
        if watch.lasted + wait_s > case.gate.timeout_s:
            return _undecided("timeout", _late(case, checks, watch))
        if cancel.wait(wait_s):
            raise Cancelled(f"{case.stage.id}/{case.gate.id}: no longer wanted")


def _asked(api: Api, commit: str) -> tuple[Check, ...]:
    now = time.time()
    return checks_of(api.check_runs(commit, now), api.statuses(commit, now))


def _is_settled(ci: Ci, checks: tuple[Check, ...]) -> bool:
    return bool(wanted(ci, checks)) and not missing(ci, checks) and not pending(ci, checks)


def _absent(ci: Ci, checks: tuple[Check, ...]) -> str:
    if not ci.checks:
        return "" if checks else "there is no check"
    names = missing(ci, checks)
    running = any(check.said is Said.PENDING for check in checks)  # others at work may lead to it
    return "" if running or not names else f"there is no check {', '.join(names)}"


def _late(case: Case, checks: tuple[Check, ...], watch: _Watch) -> str:
    assert case.gate.ci is not None
    open_ = (*pending(case.gate.ci, checks), *missing(case.gate.ci, checks))
    why = watch.why or (f"waiting for {', '.join(open_)}" if open_ else "the checks went on changing")
    return f"no verdict within {case.gate.timeout_s} s: {why}: ask again with `interlock resume`, or raise the timeout"


def _undecided(rule: str, message: str, *, permanent: bool = True) -> Judgement:
    return Judgement(VerdictStatus.ERRORED, (Finding(rule, message),), permanent=permanent)


def _decided(bench: Bench, api: Api, ci: Ci, checks: tuple[Check, ...]) -> Judgement:
    judgement = verdict(ci, checks)
    told = (" - ".join(part for part in (f"{one.name}: {one.word}", one.text, one.url) if part) for one in checks)
    content = "".join(f"{line}\n" for line in told).encode("utf-8", "replace")
    evidence = Evidence("log", bench.blobs.put(content), len(content))
    lines = [finding for check in wanted(ci, checks) if check.said is Said.NO for finding in _lines(api, check)]
    return replace(judgement, findings=(*lines, *judgement.findings), evidence=(evidence,))


def _lines(api: Api, check: Check) -> tuple[Finding, ...]:
    """What a failed check wrote on lines, where it can be had: the verdict does not hang on it."""
    try:
        return annotated(check, api.annotations(check.run, time.time())) if check.run else ()
    except Unanswered:
        return ()

"""The ci gate: the candidate is pushed to a branch of its own, and an outside CI judges it.

Rule: the gate passes if at least one check succeeded and none failed. What was not decided (no checks, timeout, no
answer) is errored and never passes. The branch is deleted after a verdict or if the gate is cancelled; without a
verdict it stays, and the next try uses it again.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from interlock.core.events import Evidence, Finding, Severity, VerdictStatus
from interlock.core.pipeline import Gate, GateOptions, Pipeline, Stage
from interlock.gates.ci_api import Api, Unanswered
from interlock.gates.kinds import KeyPath, Kind, OutsideRun, View, option, options_of
from interlock.ports import Cancel, Cancelled, GateRequest, InfrastructureError, Judgement, UsageError
from interlock.text.cleaning import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from interlock.gates.referee import GateContext

_BACKOFF_MAX_S = 300.0
_SUMMARY_MAX = 600
_ADDRESS = re.compile(r"(?:[/:]|^)([\w.-]+/[\w.-]+?)(?:\.git)?/?$")


@dataclass(frozen=True, slots=True)
class Ci(GateOptions):
    """An outside CI that judges: all `checks` must succeed; without names, all that exist."""

    remote: str = option("The git remote that the candidate is pushed to.", default="origin")
    checks: tuple[str, ...] = option("Checks that must all pass. Default: all checks.", default=())
    repository: str = option("OWNER/NAME at the CI, if the remote's address does not contain it.", default="")

    @property
    def in_repository(self) -> bool:
        """It pushes to a remote of the repository."""
        return True


def check(view: View, stage: Stage, gate: Gate, at: KeyPath) -> None:
    ci = options_of(gate, Ci)
    if not re.fullmatch(r"[A-Za-z0-9_][\w./-]*", ci.remote) or "://" in ci.remote:
        hint = "write the name that `git remote` prints, such as origin"
        view.error((*at, "remote"), f"{ci.remote!r} is not a valid name of a remote", hint)
    if ci.repository and not re.fullmatch(r"[\w.-]+/[\w.-]+", ci.repository):
        view.error((*at, "repository"), f"{ci.repository!r} is no repository", "write OWNER/NAME")
    for index, name in enumerate(ci.checks):
        if not name.strip() or name in ci.checks[:index]:
            hint = "write each name once, exactly as the CI shows it"
            view.error((*at, "checks", index), f"the check {name!r} is empty or named twice", hint)


def judge(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    """The judgement of the CI. Raises Cancelled, and InfrastructureError if the candidate cannot be pushed."""
    ci = options_of(request.gate, Ci)
    branch = branch_of(request)
    try:
        with request.alone():
            if cancel.is_set():
                raise Cancelled(f"{request.stage.id}/{request.gate.id}: no longer wanted")
            address = context.workspaces.publish(request.commit, ci.remote, branch)
        api = Api(context.outside, _repository(ci, address), context.environ.get(context.outside.token, ""))
    except UsageError as error:
        raise InfrastructureError(str(error), permanent=True) from error
    try:
        judgement = _wait_for_checks(context, api, request, cancel)
    except Cancelled:
        _delete_branch(context, request, ci, branch)
        raise
    if judgement.status is VerdictStatus.ERRORED:
        note = Finding("branch", f"branch {branch} stays at {ci.remote} until there is a verdict", Severity.NOTE)
        return replace(judgement, findings=(*judgement.findings, note))
    return replace(judgement, findings=(*judgement.findings, *_delete_branch(context, request, ci, branch)))


def branch_of(request: GateRequest) -> str:
    """The branch: always the same for the same candidate and gate."""
    return f"interlock/{request.run}/{request.subject}/{request.gate.id}"


def _delete_branch(context: GateContext, request: GateRequest, ci: Ci, branch: str) -> tuple[Finding, ...]:
    """Delete the branch. A failure is a finding and changes no verdict. Raises Fenced if the run has another owner."""
    try:
        with request.alone():
            context.workspaces.withdraw(request.commit, ci.remote, branch)
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
    """How long the gate waits, and how often in a row there was no answer."""

    began: float
    misses: int = 0
    why: str = ""

    @property
    def lasted(self) -> float:
        return time.monotonic() - self.began


def _wait_for_checks(context: GateContext, api: Api, request: GateRequest, cancel: Cancel) -> Judgement:
    """Ask until all checks have ended; without names, until two answers are equal, since a workflow may start
    another."""
    ci = options_of(request.gate, Ci)
    watch = _Watch(time.monotonic())
    before: tuple[Check, ...] | None = None
    checks: tuple[Check, ...] = ()
    while True:
        wait_s = api.outside.poll_s
        try:
            before, checks = checks, _current_checks(api, request.commit)
            watch.misses, watch.why = 0, ""
        except Unanswered as error:
            if error.lasting:
                return _undecided("api", str(error), permanent=True)
            watch.misses, watch.why = watch.misses + 1, str(error)
            wait_s = max(error.wait_s, min(_BACKOFF_MAX_S, wait_s * 2.0**watch.misses))
        else:
            if _is_settled(ci.checks, checks) and (ci.checks or before == checks):
                return _decided(context, api, ci, checks)
            if watch.lasted >= api.outside.grace_s and (absent := _absent(ci.checks, checks)):
                return _undecided(
                    "checks", f"{absent} after {api.outside.grace_s:g} s: configure the CI to run on this branch"
                )
        if watch.lasted + wait_s > request.gate.timeout_s:
            return _undecided("timeout", _timeout_message(request, checks, watch))
        if cancel.wait(wait_s):
            raise Cancelled(f"{request.stage.id}/{request.gate.id}: no longer wanted")


def _current_checks(api: Api, commit: str) -> tuple[Check, ...]:
    now = time.time()
    return checks_of(api.check_runs(commit, now), api.statuses(commit, now))


def _is_settled(names: Sequence[str], checks: Sequence[Check]) -> bool:
    return bool(wanted(names, checks)) and not missing(names, checks) and not pending(names, checks)


def _absent(names: Sequence[str], checks: Sequence[Check]) -> str:
    if not names:
        return "" if checks else "there is no check"
    absent = missing(names, checks)
    running = any(check.state is CheckState.PENDING for check in checks)  # another running check may start it
    return "" if running or not absent else f"there is no check {', '.join(absent)}"


def _timeout_message(request: GateRequest, checks: tuple[Check, ...], watch: _Watch) -> str:
    names = options_of(request.gate, Ci).checks
    open_ = (*pending(names, checks), *missing(names, checks))
    why = watch.why or (f"waiting for {', '.join(open_)}" if open_ else "the checks kept changing")
    return (
        f"no verdict within {request.gate.timeout_s} s: {why}: ask again with `interlock resume`, or raise the timeout"
    )


def _undecided(rule: str, message: str, *, permanent: bool = True) -> Judgement:
    return Judgement(VerdictStatus.ERRORED, (Finding(rule, message),), permanent=permanent)


def _decided(context: GateContext, api: Api, ci: Ci, checks: tuple[Check, ...]) -> Judgement:
    judgement = verdict(ci.checks, checks)
    listed = (" - ".join(part for part in (f"{one.name}: {one.word}", one.text, one.url) if part) for one in checks)
    content = "".join(f"{line}\n" for line in listed).encode("utf-8", "replace")
    evidence = Evidence("log", context.blobs.put(content), len(content))
    lines = [
        finding for check in wanted(ci.checks, checks) if check.state is CheckState.NO for finding in _lines(api, check)
    ]
    return replace(judgement, findings=(*lines, *judgement.findings), evidence=(evidence,))


def _lines(api: Api, check: Check) -> tuple[Finding, ...]:
    """The annotations of a failed check on lines, if they can be read: the verdict does not depend on them."""
    try:
        return annotated(check, api.annotations(check.run, time.time())) if check.run else ()
    except Unanswered:
        return ()


# --- the verdict of a commit's checks and statuses (pure) ----------------------------------------


class CheckState(StrEnum):
    PENDING = "pending"
    YES = "yes"
    NOTHING = "nothing"  # skipped or neutral: neither success nor failure
    NO = "no"
    BROKEN = "broken"  # it ended without a result


_CONCLUSIONS = {
    "success": CheckState.YES,
    "neutral": CheckState.NOTHING,
    "skipped": CheckState.NOTHING,
    "failure": CheckState.NO,
    "timed_out": CheckState.NO,
}  # cancelled, stale, startup_failure, action_required: no result
_STATES = {"success": CheckState.YES, "failure": CheckState.NO, "pending": CheckState.PENDING}


@dataclass(frozen=True, slots=True)
class Check:
    """A check run or a commit status. `run` is the id of a check run, 0 for a status."""

    name: str
    state: CheckState
    word: str  # the CI's own word
    text: str = ""
    url: str = ""
    run: int = 0


def checks_of(runs: Iterable[dict[str, Any]], statuses: Iterable[dict[str, Any]]) -> tuple[Check, ...]:
    """Checks by name; if a name occurs twice, both count."""
    found = [*(_of_run(item) for item in runs), *(_of_status(item) for item in statuses)]
    return tuple(sorted(found, key=lambda check: (check.name, check.run)))


def wanted(names: Sequence[str], checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that count."""
    return tuple(check for check in checks if not names or check.name in names)


def missing(names: Sequence[str], checks: Sequence[Check]) -> tuple[str, ...]:
    """Names of checks that count and do not exist yet."""
    there = {check.name for check in checks}
    return tuple(name for name in names if name not in there)


def pending(names: Sequence[str], checks: Sequence[Check]) -> tuple[str, ...]:
    """Names of the checks that have not ended."""
    return tuple(check.name for check in wanted(names, checks) if check.state is CheckState.PENDING)


def verdict(names: Sequence[str], checks: Sequence[Check]) -> Judgement:
    """The verdict, if all checks have ended."""
    count = wanted(names, checks)
    no = [check for check in count if check.state is CheckState.NO]
    if no:
        return Judgement(VerdictStatus.FAILED, tuple(_finding(check) for check in no))
    broken = [check for check in count if check.state is CheckState.BROKEN]
    skipped = [check for check in count if check.state is CheckState.NOTHING and check.word == "skipped" and names]
    if broken or skipped:
        findings = tuple(_finding(check, "did not judge") for check in (*broken, *skipped))
        return Judgement(VerdictStatus.ERRORED, findings, permanent=True)
    if not any(check.state is CheckState.YES for check in count):
        listed = ", ".join(check.name for check in count)
        message = f"no check passed ({listed}: skipped or neutral): at least one must run on this branch"
        return Judgement(VerdictStatus.ERRORED, (Finding("ci", message),), permanent=True)
    return Judgement(VerdictStatus.PASSED, tuple(_note(check) for check in count if check.state is CheckState.NOTHING))


def annotated(check: Check, annotations: Iterable[dict[str, Any]]) -> tuple[Finding, ...]:
    """The failures and warnings that a check run wrote on lines."""
    levels = {"failure": Severity.ERROR, "warning": Severity.WARNING}
    return tuple(
        Finding(check.name, _text(item, "message"), levels[level], _text(item, "path"), _number(item, "start_line"))
        for item in annotations
        if (level := _text(item, "annotation_level")) in levels
    )


def _of_run(item: dict[str, Any]) -> Check:
    name, url = _text(item, "name"), _text(item, "html_url")
    if item.get("status") != "completed":
        return Check(name, CheckState.PENDING, _text(item, "status"), url=url)
    word = _text(item, "conclusion")
    output = item.get("output")
    texts = [_text(output, key) for key in ("title", "summary")] if isinstance(output, dict) else []
    text = ": ".join(part for part in texts if part)[:_SUMMARY_MAX]
    return Check(name, _CONCLUSIONS.get(word, CheckState.BROKEN), word, text, url, _number(item, "id"))


def _of_status(item: dict[str, Any]) -> Check:
    word = _text(item, "state")
    text = _text(item, "description")
    return Check(_text(item, "context"), _STATES.get(word, CheckState.BROKEN), word, text, _text(item, "target_url"))


def _finding(check: Check, why: str = "") -> Finding:
    text = f"{check.name}: {check.word}{f' ({why})' if why else ''}"
    return Finding(check.name, " - ".join(part for part in (text, check.text, check.url) if part))


def _note(check: Check) -> Finding:
    return Finding(check.name, f"{check.name}: {check.word}", Severity.NOTE)


def _text(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _number(item: dict[str, Any], key: str) -> int:
    value = item.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _outside_run(gate: Gate, conditions: OutsideRun) -> str:
    return "an outside CI is asked only in a run"


def _brief_line(pipeline: Pipeline, stage: Stage, gate: Gate) -> str:
    checks = options_of(gate, Ci).checks
    named = f" ({cut(', '.join(checks), 240)})" if checks else ""
    return f"the project's CI{named} passes"


def _plan_line(gate: Gate) -> str:
    ci = options_of(gate, Ci)
    return f"{', '.join(ci.checks) or 'all checks'} at {ci.remote}"


KIND = Kind(
    "ci",
    "Push the candidate and wait for the verdict of an outside CI.",
    judge,
    options=Ci,
    takes=("timeout",),
    timeout_s=3600,
    names_files=False,
    for_agents=False,
    check=check,
    outside_run=_outside_run,
    brief_line=_brief_line,
    plan_line=_plan_line,
)

"""The runner of every known agent program. A kind adds only how to start its program and how to read its output.

Rule: a program succeeded only if its exit code and its own last event say so. Each attempt has its own home, state and
TMPDIR outside the checkout. The program sees the environment of the brief, and the variables that its kind adds.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from interlock.agents.credentials import lent_login, secret_tokens
from interlock.agents.failures import (
    Access,
    advice,
    classify_failure,
    failure_message,
    is_of_the_endpoint,
    missing_keys,
    too_old_message,
    unknown_flag_line,
)
from interlock.agents.isolation import hidden_files, leftovers, remove_left, settle
from interlock.agents.limits import Meter, OverBudget, priced
from interlock.agents.logs import Event, tail
from interlock.agents.outside import Outside, cannot_stay_outside, keep_outside, wants_outside
from interlock.agents.probe import login_path, version_in
from interlock.agents.program import (
    ANSWER_BYTES_MAX,
    CHECK_PROMPT,
    LOG_BYTES_MAX,
    NO_TERMINALS,
    NOT_RUNNABLE,
    Check,
    folder_error,
    in_room,
    limit_words,
    log_path,
    make_artifacts,
    offer_check,
    silence_words,
    timeout_words,
    without_secrets,
)
from interlock.agents.retries import (
    RESUME_PROMPT,
    RETRIES_MAX,
    RetryWatch,
    Session,
    find_session,
    is_silent,
    latest_usage,
    load_session,
    may_retry,
    merge_outcomes,
    move_log,
    remaining_after,
    retry_delay_s,
    save_session,
    usage_since,
)
from interlock.conventions.programs import obeyed
from interlock.conventions.programs import program as program_row
from interlock.core.events import Usage
from interlock.core.pipeline import AgentSpec
from interlock.ports import RESUME, Brief, Cancel, Cancelled, Checkout, Ended, Outcome
from interlock.process import Finished, How, Supervised, supervise

_MESSAGE_MAX = 2_000


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """One attempt, as a kind sees it. `state` is a folder for the program's own files, outside checkout, home and
    TMPDIR."""

    brief: Brief
    endpoint: str  # the address of the model's API without /v1; empty: the provider's own
    login: bool
    state: Path
    tree: Path
    price: object = None  # as the user wrote it
    keys: Mapping[str, str] = field(default_factory=dict)  # the agent's `secrets` that are set, by name
    secrets: tuple[str, ...] = ()  # the names of the agent's `secrets`, set or not
    session: Session | None = None  # the session to resume
    check: Check | None = None  # the MCP server through which the agent can ask the gates
    seen: Callable[[Path], str] = str  # how the program sees a path of the checkout or its state
    lies: Callable[[str], Path] = Path  # the reverse
    confined: bool = False  # it runs in a room in which it cannot make a sandbox of its own
    outside: Outside | None = None  # its key, if that stays outside of the room

    @property
    def text(self) -> str:
        """The prompt: the whole brief, or only what is new if a session is resumed."""
        prompt = self.brief.resumed if self.session is not None else self.brief.text
        return f"{prompt}\n{CHECK_PROMPT}\n" if self.check is not None else prompt

    @property
    def reviews(self) -> bool:
        return bool(self.brief.answer_schema)


@dataclass(frozen=True, slots=True)
class Start:
    """How a program is started: the arguments after its name, and the variables that are added to its environment.
    `hidden` names variables to remove: the program gets these keys in a way that the commands it starts do not see."""

    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    hidden: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What a program reported. `done`: it reported success. `error` is an error that it reported, `status` the HTTP
    status of that error."""

    done: bool = False
    refused: bool = False
    message: str = ""
    error: str = ""
    status: int = 0
    retry_at: float = 0.0
    over_budget: bool = False  # it stopped by itself at the remaining limit
    usage: Usage = Usage()
    model: str = ""
    session: str = ""
    transcript: Path | None = None
    begun: bool = False  # the model answered at least once
    ended_by_us: bool = False  # we stopped it while it kept retrying
    retries: int = 0  # failed calls of the model that it retried, as far as it reports them


@dataclass(frozen=True, slots=True)
class Kind:
    """An agent program. `program` is its name on PATH. Its row in `conventions.programs` has the rest."""

    program: str
    start: Callable[[AttemptRequest], Start]
    read: Callable[[AttemptRequest, Path], AgentReport]
    login_file: str = ""  # where the program reads a lent login, below `state`; empty: it takes none
    sessions: str = ""  # a glob below `state` for the file of a session; {} stands for the session's name
    resume: Callable[[AttemptRequest, Session], None] | None = None  # puts a saved session where the program expects it
    session_in_state: bool = False  # a session can be resumed only in the same attempt, from `state`
    cumulative: frozenset[str] = frozenset()  # fields of Usage that are sums of the whole session if it is resumed
    call_tokens: Callable[[Event], tuple[str, int] | None] | None = None  # the id of a model call, its tokens so far
    give_up_reason: Callable[[AttemptRequest, Path], str] | None = None  # asked while it runs: why to stop its retries
    checks: bool = False  # it gets `check` as an MCP server
    quiet_s: int = 0  # it may print nothing for this long, even if the stage's idle timeout is shorter
    label: str = ""  # its name in messages, if `program` means nothing to people
    terminals: bool = False  # it gives its commands terminals, which the level `fs` has not
    leftovers: str = ""  # a glob of files that it writes into the checkout for itself: they are removed

    @property
    def name(self) -> str:
        return self.label or self.program


class Driven:
    """Implements ports.Agent for one kind. `environ` is our own environment; it only locates the login."""

    def __init__(self, kind: Kind, environ: Mapping[str, str]) -> None:
        self._kind, self._environ = kind, environ

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        if wrong := folder_error(checkout.tree, brief.dir):
            return Outcome(Ended.CRASHED, wrong)
        request = self._resuming(_request(spec, brief, checkout))
        program = shutil.which(self._kind.program, path=brief.env.get("PATH", ""))
        if program is None:
            message = f"{self._kind.program}: not found on PATH: install it (interlock doctor lists the programs found)"
            return Outcome(Ended.UNAVAILABLE, message, permanent=True)
        if missing := missing_keys(_access(self._kind, request)):
            return Outcome(Ended.UNAVAILABLE, f"{self._kind.name}: {missing}, {RESUME}", permanent=True)
        if self._kind.terminals and checkout.sandbox.level == "fs":
            return Outcome(Ended.UNAVAILABLE, f"{self._kind.name}: {NO_TERMINALS}", permanent=True)
        if wants_outside(spec):
            if wrong := cannot_stay_outside(spec, brief, checkout):
                return Outcome(Ended.UNAVAILABLE, f"{self._kind.name}: {wrong}", permanent=True)
            outside = keep_outside(spec, brief, request.endpoint)
            keys, shown = outside.hide(request.keys), outside.hide_in(brief)
            request = replace(request, brief=shown, endpoint=outside.address, keys=keys, outside=outside)
        make_artifacts(brief.env.get("ARTIFACTS", ""), checkout)
        secrets = request.brief.secrets
        if self._kind.checks:
            request = replace(request, check=offer_check(request.brief, checkout))
        try:
            with ExitStack() as stack:
                aside = log_path(checkout.root).with_name("aside")
                stack.enter_context(hidden_files(checkout.tree, brief.dir, obeyed(spec.use), aside))
                if request.login and self._kind.login_file:
                    copy = request.state / self._kind.login_file
                    stack.enter_context(lent_login(self._login_path(), copy, cancel))
                    secrets += secret_tokens(copy)
                outcome, session = self._with_retries(program, request, checkout, cancel, secrets)
        except Cancelled as cancelled:
            return Outcome(Ended.CANCELLED, str(cancelled))
        if session is not None and session.content:
            path = save_session(log_path(checkout.root).with_name("session"), session, secrets)
            outcome = replace(outcome, kept_session=path)
        return without_secrets(outcome, secrets)

    def lends(self, spec: AgentSpec) -> tuple[tuple[str, str], ...]:
        """The secrets in the user's own login, if `spec` is lent it."""
        if not self._kind.login_file or dict(spec.options).get("login") != "true":
            return ()
        return tuple((f"your login of {self._kind.program}", token) for token in secret_tokens(self._login_path()))

    def _with_retries(
        self, program: str, request: AttemptRequest, checkout: Checkout, cancel: Cancel, secrets: tuple[str, ...]
    ) -> tuple[Outcome, Session | None]:
        """One outcome of all tries: if the endpoint stopped the program in the middle of its work, its session is
        resumed."""
        until, limits = time.monotonic() + request.brief.timeout_s, request.brief.remaining
        outcome, report, session = self._run_once(program, request, checkout, cancel, secrets)
        for tries in range(RETRIES_MAX):
            delay = retry_delay_s(outcome, tries)
            stopped = tries if report.ended_by_us else -1
            if session is None or not may_retry(outcome, begun=report.begun, tried=stopped):
                break
            remaining = remaining_after(limits, outcome.usage, self._kind.cumulative)
            if time.monotonic() + delay >= until or min(remaining.tokens, remaining.cost_usd) <= 0:
                break
            if cancel.wait(delay):
                raise Cancelled("cancelled while it waited to retry")
            before = request.session.used if request.session is not None else Usage()
            session = replace(session, used=latest_usage(report.usage, before))
            timeout_s = max(1, int(until - time.monotonic()))
            brief = replace(request.brief, resumed=RESUME_PROMPT, timeout_s=timeout_s, remaining=remaining)
            request = replace(request, brief=brief, session=session)
            former, log = outcome, move_log(outcome.log)
            outcome, report, session = self._run_once(program, request, checkout, cancel, secrets)
            outcome = merge_outcomes(former, outcome, log)
        return outcome, session

    def _run_once(
        self, program: str, request: AttemptRequest, checkout: Checkout, cancel: Cancel, secrets: tuple[str, ...]
    ) -> tuple[Outcome, AgentReport, Session | None]:
        brief, kind, log = request.brief, self._kind, log_path(checkout.root)
        start = kind.start(request)
        work = Supervised(
            (program, *start.arguments),
            checkout.tree / brief.dir,
            {**{name: value for name, value in brief.env.items() if name not in start.hidden}, **start.env},
            log,
            timeout_s=brief.timeout_s,
            stdin=start.stdin,
            idle_timeout_s=max(brief.idle_timeout_s, kind.quiet_s) if brief.idle_timeout_s else 0,
            log_bytes_max=LOG_BYTES_MAX,
            watch=(checkout.changed,),
            secrets=secrets,
        )
        before = leftovers(checkout.tree, brief.dir, kind.leftovers)
        watch = RetryWatch(cancel, partial(kind.give_up_reason or (lambda *_: ""), request, log))
        try:
            meter = Meter(kind.call_tokens, brief.remaining.tokens)
            serves = request.outside.serves if request.outside is not None else ()
            try:
                finished = supervise(
                    in_room(work, checkout, brief, serves=serves), watch, meter if kind.call_tokens else None
                )
            finally:
                settle(request.state)
        except OverBudget as over:
            report = replace(kind.read(request, log), usage=Usage(over.tokens))
            return _over_budget(kind, request, report, str(over), log), report, None
        for path in leftovers(checkout.tree, brief.dir, kind.leftovers) - before:
            remove_left(path)
        report = _resumed_report(request, kind.read(request, log))
        succeeded = finished.how is How.EXITED and report.done
        if watch.reason and not cancel.is_set() and not succeeded:
            used = Usage(meter.used) if report.usage == Usage() and meter.used else report.usage
            report = replace(report, done=False, error=report.error or watch.reason, usage=used, ended_by_us=True)
            finished = replace(finished, how=How.EXITED)
        return _outcome(kind, request, finished, report, log), report, self._session(request, report)

    def _session(self, request: AttemptRequest, report: AgentReport) -> Session | None:
        if self._kind.session_in_state and report.session:
            return Session(report.session, "", "", report.usage)
        if not self._kind.sessions:
            return None
        return find_session(request.state, self._kind.sessions, report.session, report.usage)

    def _resuming(self, request: AttemptRequest) -> AttemptRequest:
        """With the session to resume, put where the program expects it; without one, a new session begins."""
        session = load_session(request.brief.session) if request.brief.session else None
        if session is None or self._kind.resume is None:
            return request
        self._kind.resume(request, session)
        return replace(request, session=session)

    def _login_path(self) -> Path:
        login = program_row(self._kind.program).login
        assert login is not None
        return login_path(login, self._environ)


def _resumed_report(request: AttemptRequest, report: AgentReport) -> AgentReport:
    """A resumed session had begun before, and the program may end before it prints the session's name again."""
    if request.session is None:
        return report
    return replace(report, session=report.session or request.session.name, begun=True)


def _request(spec: AgentSpec, brief: Brief, checkout: Checkout) -> AttemptRequest:
    options = {name: json.loads(value) for name, value in spec.options}
    state = checkout.root / "agent" / "state"
    state.mkdir(parents=True, exist_ok=True)
    endpoint, login = str(options.get("endpoint") or "").rstrip("/").removesuffix("/v1"), options.get("login") is True
    keys = {name: brief.env[name] for name in spec.secrets if brief.env.get(name)}
    return AttemptRequest(
        brief, endpoint, login, state, checkout.tree, options.get("price"), keys, spec.secrets,
        seen=checkout.seen, lies=checkout.lies,
        confined=checkout.sandbox.level != "none" and not checkout.sandbox.nested,
    )  # fmt: skip


def _outcome(kind: Kind, request: AttemptRequest, finished: Finished, report: AgentReport, log: Path) -> Outcome:
    before = request.session.used if request.session is not None else Usage()
    common = Outcome(
        Ended.COMPLETED,
        exit_code=finished.code,
        usage=priced(usage_since(report.usage, before, kind.cumulative), request.price),
        model=report.model or request.brief.model,
        session=report.session,
        sent_brief=request.text,
        log=log if log.is_file() else None,
        transcript=report.transcript,
        answer=report.message[:ANSWER_BYTES_MAX] if request.reviews else "",
        worked=report.begun or bool(report.usage.tokens_in or report.usage.tokens_out),
        notes=(f"failed calls of the model that the program retried: {report.retries}",) if report.retries else (),
    )
    failed = finished.how is How.EXITED and finished.code and not report.done and not report.error
    if failed and (line := unknown_flag_line(tail(log))):
        why = too_old_message(kind.program, version_in(request.brief.env, kind.program), line)
        return replace(common, ended=Ended.UNAVAILABLE, permanent=True, message=why)
    if finished.how is How.EXITED and (finished.code or 0) < 0:  # a signal that we did not send: anyone may have
        report = AgentReport(begun=report.begun)  # written its last event
        finished = replace(finished, tail=f"ended by signal {-(finished.code or 0)}".encode())
    if finished.how is not How.EXITED and (kind.give_up_reason is None or kind.quiet_s) and is_silent(log):
        report = replace(report, error="")  # a retry was running since its last error
    return _ended(kind, request, finished, report, common)


def _access(kind: Kind, request: AttemptRequest) -> Access:
    login = request.login if kind.login_file else None
    endpoint = request.outside.endpoint if request.outside is not None else request.endpoint
    return Access(kind.program, request.brief.env, request.secrets, endpoint, login)


def _over_budget(kind: Kind, request: AttemptRequest, report: AgentReport, why: str, log: Path) -> Outcome:
    finished = Finished(How.CANCELLED, None, 0.0, truncated=False, tail=b"")
    return replace(_outcome(kind, request, finished, report, log), ended=Ended.OUT_OF_BUDGET, message=why)


def _ended(kind: Kind, request: AttemptRequest, finished: Finished, report: AgentReport, common: Outcome) -> Outcome:
    endpoint_failed = report.error and is_of_the_endpoint(report.error, time.time(), status=report.status)
    if finished.how in (How.TIMED_OUT, How.IDLE) and endpoint_failed:
        return _exited(kind, request, finished, report, common)  # it kept retrying until the timeout
    name = kind.name
    match finished.how:
        case How.CANCELLED:
            return replace(common, ended=Ended.CANCELLED, message=f"{name} was stopped: its attempt is cancelled")
        case How.TIMED_OUT:
            return replace(common, ended=Ended.TIMED_OUT, message=timeout_words(name, request.brief.timeout_s))
        case How.IDLE:
            why = silence_words(name, request.brief.idle_timeout_s, kind.quiet_s)
            return replace(common, ended=Ended.TIMED_OUT, message=why)
        case How.OVER_LIMIT:
            return replace(common, ended=Ended.OVER_LIMIT, message=limit_words(name, finished))
        case How.NOT_FOUND:
            return replace(common, ended=Ended.UNAVAILABLE, message=f"{name}: cannot be started", permanent=True)
        case How.EXITED:
            return _exited(kind, request, finished, report, common)


def _exited(kind: Kind, request: AttemptRequest, finished: Finished, report: AgentReport, common: Outcome) -> Outcome:
    if report.over_budget:
        return replace(common, ended=Ended.OUT_OF_BUDGET, message=f"{kind.name}: {report.error}")
    if report.done and report.refused:
        return replace(common, ended=Ended.REFUSED, message=report.message[:_MESSAGE_MAX] or "the model refused")
    if report.done and finished.code == 0:
        return replace(common, message=report.message[:_MESSAGE_MAX])
    why = report.error or finished.tail.decode("utf-8", "replace")[-_MESSAGE_MAX:].strip()
    failure = classify_failure(why, time.time(), status=report.status) if report.error else classify_failure("", 0.0)
    what_to_do = advice(failure.cause, _access(kind, request))
    message = failure_message(kind.name, what_to_do, why or f"exit code {finished.code}")
    if failure.ended is Ended.REFUSED:
        return replace(common, ended=Ended.REFUSED, message=message)
    permanent = failure.permanent or (not report.error and finished.code in NOT_RUNNABLE)
    retry_at = report.retry_at or failure.retry_at
    return replace(common, ended=failure.ended, message=message, permanent=permanent, retry_at=retry_at)

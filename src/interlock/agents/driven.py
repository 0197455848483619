"""The one runner of the known agent programs: what each kind adds is how to start it and how to read it.

Rule: a program has succeeded only where its exit code and its own last word say so. It has its own home, state and
TMPDIR per attempt, outside the checkout; of the environment it sees what the brief holds and what its kind adds.
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

from interlock.agents.check_server import ADVICE, Check, offer
from interlock.agents.credentials import lent, tokens_in
from interlock.agents.failures import Access, advice, classify_failure, does_not_know, telling, too_old, unset
from interlock.agents.isolation import laid_aside
from interlock.agents.limits import Meter, OverBudget, priced
from interlock.agents.logs import Event, tail
from interlock.agents.probe import version_in
from interlock.agents.program import (
    ANSWER_BYTES_MAX,
    LOG_BYTES_MAX,
    NOT_RUNNABLE,
    make_artifacts,
    no_folder,
    without_secrets,
)
from interlock.agents.retries import GO_ON, WORDS, Patience, goes_on, known, less, pause_s, set_aside, silent, together
from interlock.agents.sessions import Session, found, keep, kept, since
from interlock.core.events import Usage
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Cancel, Cancelled, Checkout, Ended, Outcome
from interlock.process import Finished, How, Supervised, supervise

_MESSAGE_MAX = 2_000
_OF_THE_ENDPOINT = (Ended.RATE_LIMITED, Ended.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """One attempt, as a kind sees it. `state` is a folder of its own outside of checkout, home and TMPDIR."""

    brief: Brief
    endpoint: str  # the address of the model's API without /v1, empty for the provider's own
    login: bool
    state: Path
    tree: Path
    price: object = None  # as the user wrote it
    keys: Mapping[str, str] = field(default_factory=dict)  # the agent's own secrets that are set, by their names
    secrets: tuple[str, ...] = ()  # the names of the agent's own, set or not
    session: Session | None = None  # that it goes on with
    check: Check | None = None  # the MCP server by which it can ask the gates

    @property
    def text(self) -> str:
        """What it is told: the brief, or what is new in it."""
        told = self.brief.resumed if self.session is not None else self.brief.text
        return f"{told}\n{ADVICE}\n" if self.check is not None else told

    @property
    def reviews(self) -> bool:
        return bool(self.brief.answer_schema)


@dataclass(frozen=True, slots=True)
class Start:
    """How a program is started: the arguments after its name, and what is added to its environment. `hidden` is what
    its environment is without: it gets these keys in a way that the commands which it starts do not see."""

    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    hidden: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What a program said of itself. `done` is its own word that all went well; `trouble` is an error that it
    reported and `status` its HTTP status."""

    done: bool = False
    refused: bool = False
    message: str = ""
    trouble: str = ""
    status: int = 0
    retry_at: float = 0.0
    over_budget: bool = False  # it ended itself at what was left of the limits
    usage: Usage = Usage()
    model: str = ""
    session: str = ""
    transcript: Path | None = None
    begun: bool = False  # the model answered at least once
    ended_by_us: bool = False  # while it tried again and again
    retries: int = 0  # of calls of the model that failed, as far as it tells of them


@dataclass(frozen=True, slots=True)
class Kind:
    """A program: its name on PATH, where it keeps a login (below the user's home, and below `state`)."""

    program: str
    start: Callable[[AttemptRequest], Start]
    read: Callable[[AttemptRequest, Path], AgentReport]
    login: tuple[str, str] | None = None
    login_home: str = ""  # the variable that names another folder for the login
    sessions: str = ""  # a glob below `state` of the file that holds a session, with {} for its name
    resume: Callable[[AttemptRequest, Session], None] | None = (
        None  # puts a kept session where the program looks for it
    )
    stays: bool = False  # its session lies in its state, and it goes on with it there alone: for no other attempt
    cumulative: frozenset[str] = frozenset()  # of Usage: what it tells of the whole session when it goes on
    streamed: Callable[[Event], tuple[str, int] | None] | None = None  # a call of the model, and its tokens by now
    of_no_use: Callable[[AttemptRequest, Path], str] | None = (
        None  # why it need not go on trying, asked while it is at work
    )
    checks: bool = False  # it is given `check` as an MCP server
    silent_s: int = 0  # how long it may well say nothing, beyond what the stage allows
    label: str = ""  # what it is called, where its program says nothing to people
    obeys: tuple[str, ...] = ()  # as of its `core.programs.Program`
    leaves: str = ""  # a glob of what it puts into the checkout for itself, and which is no work

    @property
    def name(self) -> str:
        return self.label or self.program


class Driven:
    """Implements ports.Agent for one kind. `environ` is our own, asked only where the login lies."""

    def __init__(self, kind: Kind, environ: Mapping[str, str]) -> None:
        self._kind, self._environ = kind, environ

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        if wrong := no_folder(checkout.tree, brief.dir):
            return Outcome(Ended.CRASHED, wrong)
        asked = self._resuming(_asked(spec, brief, checkout))
        program = shutil.which(self._kind.program, path=brief.env.get("PATH", ""))
        if program is None:
            message = f"{self._kind.program}: not found on PATH: install it (interlock doctor says which are there)"
            return Outcome(Ended.UNAVAILABLE, message, permanent=True)
        if wanted := unset(_access(self._kind, asked)):
            return Outcome(Ended.UNAVAILABLE, f"{self._kind.name}: {wanted}, then `interlock resume`", permanent=True)
        make_artifacts(brief.env.get("ARTIFACTS", ""), checkout)
        if self._kind.checks:
            asked = replace(asked, check=offer(brief, checkout))
        secrets = brief.secrets
        try:
            with ExitStack() as stack:
                aside = asked.state.parent / "aside"
                stack.enter_context(laid_aside(checkout.tree, brief.dir, self._kind.obeys, aside))
                if asked.login and self._kind.login is not None:
                    copy = asked.state / self._kind.login[1]
                    stack.enter_context(lent(self._original(), copy, cancel))
                    secrets += tokens_in(copy)
                outcome, left = self._in_tries(program, asked, checkout, cancel, secrets)
        except Cancelled as cancelled:
            return Outcome(Ended.CANCELLED, str(cancelled))
        if left is not None and left.content:
            outcome = replace(outcome, kept_session=keep(asked.state.parent / "session", left, secrets))
        return without_secrets(outcome, secrets)

    def lends(self, spec: AgentSpec) -> tuple[tuple[str, str], ...]:
        """What is secret in the user's own login, where `spec` is lent it."""
        if self._kind.login is None or dict(spec.options).get("login") != "true":
            return ()
        return tuple((f"your login of {self._kind.program}", token) for token in tokens_in(self._original()))

    def _in_tries(
        self, program: str, asked: AttemptRequest, checkout: Checkout, cancel: Cancel, secrets: tuple[str, ...]
    ) -> tuple[Outcome, Session | None]:
        """As one outcome: where a limit ended it in the middle of its work, it goes on with its own session."""
        until, allowed = time.monotonic() + asked.brief.timeout_s, asked.brief.remaining
        outcome, told, left = self._once(program, asked, checkout, cancel, secrets)
        for tries in range(GO_ON):
            pause = pause_s(outcome, tries)
            if left is None or not goes_on(outcome, begun=told.begun, tried=tries if told.ended_by_us else -1):
                break
            still = less(allowed, outcome.usage, self._kind.cumulative)
            if time.monotonic() + pause >= until or min(still.tokens, still.cost_usd) <= 0:
                break
            if cancel.wait(pause):
                raise Cancelled("no longer wanted, while it waited for its model")
            before = asked.session.used if asked.session is not None else Usage()
            left = replace(left, used=known(told.usage, before))
            timeout_s = max(1, int(until - time.monotonic()))
            brief = replace(asked.brief, resumed=WORDS, timeout_s=timeout_s, remaining=still)
            asked = replace(asked, brief=brief, session=left)
            former, log = outcome, set_aside(outcome.log)
            outcome, told, left = self._once(program, asked, checkout, cancel, secrets)
            outcome = together(former, outcome, log)
        return outcome, left

    def _once(
        self, program: str, asked: AttemptRequest, checkout: Checkout, cancel: Cancel, secrets: tuple[str, ...]
    ) -> tuple[Outcome, AgentReport, Session | None]:
        brief, kind, log = asked.brief, self._kind, asked.state.parent / "log"
        start = kind.start(asked)
        work = Supervised(
            (program, *start.arguments),
            checkout.tree / brief.dir,
            {**{name: value for name, value in brief.env.items() if name not in start.hidden}, **start.env},
            log,
            timeout_s=brief.timeout_s,
            stdin=start.stdin,
            idle_timeout_s=max(brief.idle_timeout_s, kind.silent_s) if brief.idle_timeout_s else 0,
            log_bytes_max=LOG_BYTES_MAX,
            watch=(checkout.tree,),
            secrets=secrets,
        )
        before = self._left(checkout, brief.dir)
        patience = Patience(cancel, partial(kind.of_no_use or _of_use, asked, log))
        try:
            meter = Meter(kind.streamed, brief.remaining.tokens)
            finished = supervise(work, patience, meter if kind.streamed else None)
        except OverBudget as over:
            told = replace(kind.read(asked, log), usage=Usage(over.tokens))
            return _over(kind, asked, told, str(over), log), told, None
        for path in self._left(checkout, brief.dir) - before:
            shutil.rmtree(path, ignore_errors=True)
        told = _going_on(asked, kind.read(asked, log))
        ended_well = finished.how is How.EXITED and told.done
        if patience.why and not cancel.is_set() and not ended_well:
            used = Usage(meter.used) if told.usage == Usage() and meter.used else told.usage
            told = replace(told, done=False, trouble=told.trouble or patience.why, usage=used, ended_by_us=True)
            finished = replace(finished, how=How.EXITED)
        return _outcome(kind, asked, finished, told, log), told, self._session(asked, told)

    def _session(self, asked: AttemptRequest, told: AgentReport) -> Session | None:
        if self._kind.stays and told.session:
            return Session(told.session, "", "", told.usage)
        return found(asked.state, self._kind.sessions, told.session, told.usage) if self._kind.sessions else None

    def _resuming(self, asked: AttemptRequest) -> AttemptRequest:
        """With the session that is to be resumed, put in its place; a fresh one where there is none."""
        session = kept(asked.brief.session) if asked.brief.session is not None else None
        if session is None or self._kind.resume is None:
            return asked
        self._kind.resume(asked, session)
        return replace(asked, session=session)

    def _left(self, checkout: Checkout, folder: str) -> set[Path]:
        """What it leaves lies where it takes the root to be: the folder of the work, or one above it."""
        above = {Path(), *Path(folder).parents, Path(folder)} if self._kind.leaves else set()
        return {path for one in above for path in (checkout.tree / one).glob(self._kind.leaves)}

    def _original(self) -> Path:
        assert self._kind.login is not None
        folder = self._environ.get(self._kind.login_home, "")
        own = Path(self._kind.login[0])
        return Path(folder) / own.name if folder else Path(self._environ.get("HOME", "/")) / own


def _going_on(asked: AttemptRequest, told: AgentReport) -> AgentReport:
    """One that goes on had begun, and may end before it names its session again."""
    if asked.session is None:
        return told
    return replace(told, session=told.session or asked.session.name, begun=True)


def _of_use(asked: AttemptRequest, log: Path) -> str:
    """It tries for as long as it likes."""
    return ""


def _asked(spec: AgentSpec, brief: Brief, checkout: Checkout) -> AttemptRequest:
    told = {name: json.loads(value) for name, value in spec.options}
    state = checkout.root / "agent" / "state"
    state.mkdir(parents=True, exist_ok=True)
    endpoint, lent = str(told.get("endpoint") or "").rstrip("/").removesuffix("/v1"), told.get("login") is True
    keys = {name: brief.env[name] for name in spec.secrets if brief.env.get(name)}
    return AttemptRequest(brief, endpoint, lent, state, checkout.tree, told.get("price"), keys, spec.secrets)


def _outcome(kind: Kind, asked: AttemptRequest, finished: Finished, told: AgentReport, log: Path) -> Outcome:
    before = asked.session.used if asked.session is not None else Usage()
    common = Outcome(
        Ended.COMPLETED,
        exit_code=finished.code,
        usage=priced(since(told.usage, before, kind.cumulative), asked.price),
        model=told.model or asked.brief.model,
        session=told.session,
        sent_brief=asked.text,
        log=log if log.is_file() else None,
        transcript=told.transcript,
        answer=told.message[:ANSWER_BYTES_MAX] if asked.reviews else "",
        worked=told.begun or bool(told.usage.tokens_in or told.usage.tokens_out),
        notes=(f"its model failed, and was asked again: {told.retries}",) if told.retries else (),
    )
    failed = finished.how is How.EXITED and finished.code and not told.done and not told.trouble
    if failed and (line := does_not_know(tail(log))):
        why = too_old(kind.program, version_in(asked.brief.env, kind.program), line)
        return replace(common, ended=Ended.UNAVAILABLE, permanent=True, message=why)
    if finished.how is How.EXITED and (finished.code or 0) < 0:  # by nobody of ours: its last word is anybody's
        told = AgentReport(begun=told.begun)
        finished = replace(finished, tail=f"ended by signal {-(finished.code or 0)}".encode())
    if finished.how is not How.EXITED and (kind.of_no_use is None or kind.silent_s) and silent(log):
        told = replace(told, trouble="")  # a try was at work since its last error
    return _judged(kind, asked, finished, told, common)


def _access(kind: Kind, asked: AttemptRequest) -> Access:
    login = asked.login if kind.login is not None else None
    return Access(kind.program, asked.brief.env, asked.secrets, asked.endpoint, login)


def _over(kind: Kind, asked: AttemptRequest, told: AgentReport, why: str, log: Path) -> Outcome:
    finished = Finished(How.CANCELLED, None, 0.0, truncated=False, tail=b"")
    return replace(_outcome(kind, asked, finished, told, log), ended=Ended.OUT_OF_BUDGET, message=why)


def _judged(kind: Kind, asked: AttemptRequest, finished: Finished, told: AgentReport, common: Outcome) -> Outcome:
    ended_at_errors = (
        told.trouble and classify_failure(told.trouble, time.time(), status=told.status).ended in _OF_THE_ENDPOINT
    )
    if finished.how in (How.TIMED_OUT, How.IDLE) and ended_at_errors:
        return _exited(kind, asked, finished, told, common)  # it was trying again and again
    name = kind.name
    match finished.how:
        case How.CANCELLED:
            return replace(common, ended=Ended.CANCELLED, message=f"{name} was ended: its work is no longer wanted")
        case How.TIMED_OUT:
            why = f"{name} did not end within {asked.brief.timeout_s} s"
            return replace(common, ended=Ended.TIMED_OUT, message=why)
        case How.IDLE:
            return replace(common, ended=Ended.TIMED_OUT, message=f"{name} was silent")
        case How.NOT_FOUND:
            return replace(common, ended=Ended.UNAVAILABLE, message=f"{name}: cannot be started", permanent=True)
        case How.EXITED:
            return _exited(kind, asked, finished, told, common)


def _exited(kind: Kind, asked: AttemptRequest, finished: Finished, told: AgentReport, common: Outcome) -> Outcome:
    if told.over_budget:
        return replace(common, ended=Ended.OUT_OF_BUDGET, message=f"{kind.name}: {told.trouble}")
    if told.done and told.refused:
        return replace(common, ended=Ended.REFUSED, message=told.message[:_MESSAGE_MAX] or "the model refused")
    if told.done and finished.code == 0:
        return replace(common, message=told.message[:_MESSAGE_MAX])
    why = told.trouble or finished.tail.decode("utf-8", "replace")[-_MESSAGE_MAX:].strip()
    known = classify_failure(why, time.time(), status=told.status) if told.trouble else classify_failure("", 0.0)
    message = telling(kind.name, advice(known.cause, _access(kind, asked)), why or f"exit code {finished.code}")
    if known.ended is Ended.REFUSED:
        return replace(common, ended=Ended.REFUSED, message=message)
    permanent = known.permanent or (not told.trouble and finished.code in NOT_RUNNABLE)
    retry_at = told.retry_at or known.retry_at
    return replace(common, ended=known.ended, message=message, permanent=permanent, retry_at=retry_at)

"""Messages (which events of a run are sent, and the JSON of one), and channels: a webhook receives the JSON over HTTP,
and a program receives it on its standard input.

Rule: a message says what a person does not know yet. Whoever cancels a run knows it, so that is not sent.

Rule: one call of `send` is one try, bounded in time and ended when it is no longer wanted. A refusal never holds the
address, which may be a secret of its own, nor the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, assert_never
from urllib.parse import urlsplit

from interlock import __version__
from interlock.core.events import (
    AnswerTaken,
    ApprovalAsked,
    AttemptErrored,
    AttemptLost,
    AttemptStarted,
    CandidateProduced,
    CandidateRejected,
    Delivered,
    DeliveryBegun,
    EffectErrored,
    Event,
    HandoffAccepted,
    InputPrepared,
    OwnerChanged,
    Paused,
    Recorded,
    Refused,
    RunFinished,
    RunStarted,
    RunStatus,
    SentBack,
    StageSkipped,
    TimeReached,
    VerdictGiven,
    WhenHeld,
)
from interlock.ports import Cancel, InfrastructureError, started
from interlock.process import How, Supervised, own_environment, supervise_outside
from interlock.readmodel.run import RunSummary, WaitView
from interlock.text.cleaning import ending, plain

if TYPE_CHECKING:
    from interlock.process.http import HttpError, HttpRequest


VERSION = 1
_TEXT_MAX = 2000


@dataclass(frozen=True, slots=True)
class Message:
    """`delivery` is RUN/SEQ, the same each time it is sent."""

    delivery: str
    event: str
    body: bytes


def kind_of(event: Event) -> str:
    """waiting, accepted or failed; empty for an event that is not sent."""
    match event:
        case ApprovalAsked() | Paused():
            return "waiting"
        case RunFinished(status=RunStatus.ACCEPTED):
            return "accepted"
        case RunFinished(status=RunStatus.STOPPED):
            return "failed"
        case (
            RunStarted() | OwnerChanged() | InputPrepared() | StageSkipped() | WhenHeld() | AttemptStarted()
            | AttemptLost() | AttemptErrored() | CandidateProduced() | VerdictGiven() | HandoffAccepted()
            | CandidateRejected() | SentBack() | AnswerTaken() | Refused() | TimeReached() | EffectErrored()
            | DeliveryBegun() | Delivered() | RunFinished()
        ):  # fmt: skip
            return ""
        case _:
            assert_never(event)


def message(repository: str, record: Recorded, summary: RunSummary) -> Message:
    """Of a record for which `kind_of` has a name. `summary` is the state of its run now."""
    delivery, kind = f"{summary.id}/{record.seq}", kind_of(record.event)
    waits = _waits_for(record.event, summary)
    content = {
        "version": VERSION,
        "delivery": delivery,
        "event": kind,
        "run": summary.id,
        "repository": repository,
        "pipeline": summary.pipeline,
        "phase": summary.phase,
        "seq": record.seq,
        "at": record.at,
        "waits": asdict(waits) if waits else None,
        "why": plain(summary.why, _TEXT_MAX) if kind == "failed" else "",
        "branch": summary.branch,
        "commit": summary.commit,
        "show": f"interlock show {summary.id}",
    }
    return Message(delivery, kind, json.dumps(content).encode())


def _waits_for(event: Event, summary: RunSummary) -> WaitView | None:
    """With the commands that answer it; without commands if it was answered meanwhile."""
    if isinstance(event, ApprovalAsked):
        wait = WaitView(event.subject.stage, str(event.subject), event.gate, "approval", event.question, ())
    elif isinstance(event, Paused):
        wait = WaitView(event.stage, "", "", event.reason, event.detail, ())
    else:
        return None
    now = next((one for one in summary.waits if _is_same(one, wait)), wait)
    return replace(now, detail=plain(now.detail, _TEXT_MAX))


def _is_same(now: WaitView, then: WaitView) -> bool:
    same = (now.stage, now.gate, now.reason, now.detail) == (then.stage, then.gate, then.reason, then.detail)
    return same and then.subject in ("", now.subject)


# --- channels -----------------------------------------------------------------------------------


_POLL_S = 0.05
_RETRYABLE = (408, 425, 429)  # of 4xx: asking again may help
_MESSAGE_MAX = 200
_LOG_MAX = 100_000


class Refusal(Exception):
    """The channel did not accept the message. `wait_s`: how long the other side asks us to wait; `lasting`: trying
    again at once cannot help."""

    def __init__(self, why: str, *, wait_s: float = 0.0, lasting: bool = False) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.lasting = lasting


class Channel(Protocol):
    @property
    def name(self) -> str:
        """The name in the journal. It stays the same if the address or the program is changed."""

    @property
    def shown(self) -> str:
        """The name that people see."""

    def send(self, message: Message, cancel: Cancel) -> None:
        """Raises Refusal."""


# --- an address ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Webhook:
    """`secret` is the name of the variable in `environ` that holds the key; empty: nothing is signed."""

    address: str
    secret: str
    environ: Mapping[str, str]
    timeout_s: float
    name: str = "webhook"

    @property
    def shown(self) -> str:
        return f"webhook {urlsplit(self.address).netloc}"

    def send(self, message: Message, cancel: Cancel) -> None:
        from interlock.process.http import HttpRequest

        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"interlock/{__version__}",
            "X-Interlock-Delivery": message.delivery,
            "X-Interlock-Event": message.event,
            **self._signature(message.body),
        }
        _post(HttpRequest(self.address, headers, message.body), self.timeout_s, cancel)

    def _signature(self, body: bytes) -> dict[str, str]:
        if not self.secret:
            return {}
        key = self.environ.get(self.secret, "")
        if not key:
            raise Refusal(f"the environment variable {self.secret} with the key is not set", lasting=True)
        return {"X-Interlock-Signature-256": f"sha256={signature(key, body)}"}


def signature(key: str, body: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) in hex."""
    return hmac.new(key.encode("utf-8", "surrogateescape"), body, hashlib.sha256).hexdigest()


def _post(request: HttpRequest, timeout_s: float, cancel: Cancel) -> None:
    """On a thread of its own, which is abandoned if it takes too long: a socket's timeout is for each byte."""
    from interlock.process import http

    refusals: list[Refusal] = []
    done = threading.Event()

    def post() -> None:
        try:
            http.send(request, timeout_s)
        except http.HttpError as error:
            refusals.append(_refused(error))
        except Exception as error:  # noqa: BLE001 - of whatever an address or a server can make of a request
            refusals.append(Refusal(f"cannot be sent ({type(error).__name__})"))
        finally:
            done.set()

    if not started(threading.Thread(target=post, name="webhook", daemon=True)):
        raise Refusal("cannot be sent: no thread can be started")
    deadline = time.monotonic() + timeout_s
    while not done.wait(_POLL_S):
        if cancel.is_set():
            raise Refusal("no answer before interlock exited")
        if time.monotonic() >= deadline:
            raise Refusal(f"no answer in {timeout_s:g} s")
    if refusals:
        raise refusals[0]


def _refused(error: HttpError) -> Refusal:
    hint = ": it is a redirect, and redirects are not followed" if 300 <= error.status < 400 else ""
    lasting = 300 <= error.status < 500 and error.status not in _RETRYABLE
    return Refusal(f"{error}{hint}", wait_s=error.retry_after(time.time()), lasting=lasting)


# --- a program -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandChannel:
    """A program of the user, started in their environment without `secrets` (names of variables) and GIT_*."""

    argv: tuple[str, ...]
    cwd: Path
    environ: Mapping[str, str]
    timeout_s: float
    secrets: tuple[str, ...] = ()
    name: str = "command"

    @property
    def shown(self) -> str:
        return f"command {self.argv[0]}"

    def send(self, message: Message, cancel: Cancel) -> None:
        env = own_environment(self.environ, self.secrets)
        hidden = tuple(value for name in self.secrets if (value := self.environ.get(name, "")))
        try:
            with tempfile.TemporaryDirectory(prefix="interlock-notify-") as folder:
                log = Path(folder) / "log"
                work = Supervised(
                    self.argv, self.cwd, env, log, self.timeout_s, message.body, log_bytes_max=_LOG_MAX, secrets=hidden
                )
                ended = supervise_outside(work, cancel)
        except (InfrastructureError, OSError) as error:
            raise Refusal(f"infrastructure error: {error}") from error
        if ended.how is How.NOT_FOUND:
            raise Refusal("there is no such program, or it may not be executed", lasting=True)
        output = ending(ended.tail, _MESSAGE_MAX).rpartition("\n")[2]
        if why := _ended(ended.how, ended.code, self.timeout_s):
            raise Refusal(f"{why}: {output}" if output else why)


def _ended(how: How, code: int | None, timeout_s: float) -> str:
    """Why the program did not accept the message; empty if it did."""
    match how:
        case How.EXITED:
            return f"exit code {code}" if code else ""
        case How.TIMED_OUT | How.IDLE:
            return f"no end after {timeout_s:g} s"
        case How.OVER_LIMIT:
            return "it used too much"
        case How.CANCELLED | How.NOT_FOUND:
            return "no end before interlock exited"

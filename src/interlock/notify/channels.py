"""Who can be told: an address that is sent the JSON, a program that gets it on its standard input.

Rule: one call of `tell` is one try, bounded in time and ended when it is no longer wanted. A refusal never holds the
address, which may be a secret of its own, nor the key.
"""

from __future__ import annotations

import hashlib
import hmac
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from interlock import __version__
from interlock.core.text import ending
from interlock.notify.messages import Message
from interlock.ports import Cancel, InfrastructureError, started
from interlock.process import How, Supervised, supervise

if TYPE_CHECKING:
    from urllib.request import Request

_TICK_S = 0.05
_SAID_MAX = 200
_LOG_MAX = 100_000


class Refusal(Exception):
    """It was not taken. `wait_s` is how long the other side asks to be left alone; `lasting` where trying again at
    once cannot help."""

    def __init__(self, why: str, *, wait_s: float = 0.0, lasting: bool = False) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.lasting = lasting


class Channel(Protocol):
    @property
    def name(self) -> str:
        """What the journal remembers it by; it stays when the address or the program is changed."""

    @property
    def shown(self) -> str:
        """Whom people see."""

    def tell(self, message: Message, cancel: Cancel) -> None:
        """Raises Refusal."""


# --- an address ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Webhook:
    """`secret` names the variable in `environ` with the key; empty: nothing is signed."""

    address: str
    secret: str
    environ: Mapping[str, str]
    timeout_s: float
    name: str = "webhook"

    @property
    def shown(self) -> str:
        return f"webhook {urlsplit(self.address).netloc}"

    def tell(self, message: Message, cancel: Cancel) -> None:
        from interlock.notify.posting import request

        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"interlock/{__version__}",
            "X-Interlock-Delivery": message.delivery,
            "X-Interlock-Event": message.event,
            **self._signature(message.body),
        }
        _answered(request(self.address, message.body, headers), self.timeout_s, cancel)

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


def _answered(request: Request, timeout_s: float, cancel: Cancel) -> None:
    """On a thread of its own that is left behind where it takes too long: a socket's timeout is for each byte."""
    from interlock.notify.posting import post  # late: who only looks at runs posts nothing

    refusals: list[Refusal] = []
    done = threading.Event()

    def ask() -> None:
        try:
            post(request, timeout_s)
        except Refusal as refusal:
            refusals.append(refusal)
        except Exception as error:  # noqa: BLE001 - of whatever an address or a server can make of a request
            refusals.append(Refusal(f"cannot be asked ({type(error).__name__})"))
        finally:
            done.set()

    if not started(threading.Thread(target=ask, name="webhook", daemon=True)):
        raise Refusal("cannot be asked: no thread can be started")
    late_at = time.monotonic() + timeout_s
    while not done.wait(_TICK_S):
        if cancel.is_set():
            raise Refusal("no answer before the run was left")
        if time.monotonic() >= late_at:
            raise Refusal(f"no answer in {timeout_s:g} s")
    if refusals:
        raise refusals[0]


# --- a program -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandChannel:
    """A program of the user's own, in their environment without `secrets` (names of variables) and GIT_*."""

    argv: tuple[str, ...]
    cwd: Path
    environ: Mapping[str, str]
    timeout_s: float
    secrets: tuple[str, ...] = ()
    name: str = "command"

    @property
    def shown(self) -> str:
        return f"command {self.argv[0]}"

    def tell(self, message: Message, cancel: Cancel) -> None:
        env = {name: value for name, value in self.environ.items() if not name.startswith("GIT_")}
        hidden = tuple(value for name in self.secrets if (value := env.pop(name, "")))
        try:
            with tempfile.TemporaryDirectory(prefix="interlock-notify-") as folder:
                log = Path(folder) / "log"
                work = Supervised(
                    self.argv, self.cwd, env, log, self.timeout_s, message.body, log_bytes_max=_LOG_MAX, secrets=hidden
                )
                ended = supervise(work, cancel)
        except (InfrastructureError, OSError) as error:
            raise Refusal(f"infrastructure error: {error}") from error
        if ended.how is How.NOT_FOUND:
            raise Refusal("there is no such program, or it may not be executed", lasting=True)
        said = ending(ended.tail, _SAID_MAX).rpartition("\n")[2]
        if why := _ended(ended.how, ended.code, self.timeout_s):
            raise Refusal(f"{why}: {said}" if said else why)


def _ended(how: How, code: int | None, timeout_s: float) -> str:
    """Empty where it took it."""
    match how:
        case How.EXITED:
            return f"exit code {code}" if code else ""
        case How.TIMED_OUT | How.IDLE:
            return f"no end after {timeout_s:g} s"
        case How.CANCELLED | How.NOT_FOUND:
            return "no end before the run was left"

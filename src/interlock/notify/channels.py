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
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from interlock import __version__
from interlock.core.text import ending
from interlock.notify.messages import Message
from interlock.ports import Cancel, InfrastructureError
from interlock.process import How, Supervised, supervise

_TICK_S = 0.05
_LASTING_BUT = (408, 425, 429)  # of 4xx: asking again may help
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
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"interlock/{__version__}",
            "X-Interlock-Delivery": message.delivery,
            "X-Interlock-Event": message.event,
            **self._signature(message.body),
        }
        _answered(urllib.request.Request(self.address, message.body, headers, method="POST"), self.timeout_s, cancel)

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


def _answered(request: urllib.request.Request, timeout_s: float, cancel: Cancel) -> None:
    """On a thread of its own that is left behind where it takes too long: a socket's timeout is for each byte."""
    refusals: list[Refusal] = []
    done = threading.Event()

    def ask() -> None:
        try:
            _post(request, timeout_s)
        except Refusal as refusal:
            refusals.append(refusal)
        except Exception as error:  # noqa: BLE001 - of whatever an address or a server can make of a request
            refusals.append(Refusal(f"cannot be asked ({type(error).__name__})"))
        finally:
            done.set()

    threading.Thread(target=ask, name="webhook", daemon=True).start()
    late_at = time.monotonic() + timeout_s
    while not done.wait(_TICK_S):
        if cancel.is_set():
            raise Refusal("no answer before the run was left")
        if time.monotonic() >= late_at:
            raise Refusal(f"no answer in {timeout_s:g} s")
    if refusals:
        raise refusals[0]


def _post(request: urllib.request.Request, timeout_s: float) -> None:
    """Any 2xx is a yes. What it says beside that is not read."""
    local = [urllib.request.ProxyHandler({})] if request.type == "http" else []
    try:
        with urllib.request.build_opener(_NoRedirect, *local).open(request, timeout=timeout_s):
            return
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error) from error
    except urllib.error.URLError as error:
        reason = error.reason
        why = (reason.strerror or type(reason).__name__) if isinstance(reason, OSError) else type(error).__name__
        raise Refusal(f"cannot be reached: {why}") from error
    except (OSError, HTTPException) as error:
        raise Refusal(f"broke off ({type(error).__name__})") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Neither the body nor its signature goes anywhere but to the address."""

    def redirect_request(  # noqa: PLR0913 - as urllib calls it
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _refused(error: urllib.error.HTTPError) -> Refusal:
    after = error.headers.get("Retry-After", "")
    wait_s = float(after) if after.isascii() and after.isdecimal() and len(after) < 6 else 0.0
    hint = ": it leads elsewhere, and redirects are not followed" if 300 <= error.code < 400 else ""
    lasting = error.code < 500 and error.code not in _LASTING_BUT
    return Refusal(f"HTTP {error.code}{hint}", wait_s=wait_s, lasting=lasting)


# --- a program -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
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
            raise Refusal(f"the machine is in the way: {error}") from error
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

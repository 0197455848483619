"""Access: the token, the Host, the Origin, the headers of every response, and connections that send no request.

Rule: only a request with the token, to a Host that is allowed, gets past this. A page of another site can neither read
(no cookie: SameSite=Strict) nor write (Origin, and a CSRF token in each form).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer a browser hides the Origin of our own forms too
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
_SAFE = ("GET", "HEAD")
REQUEST_S = 20.0
CONNECTIONS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Keys:
    """The random token, and the secrets that are derived from it."""

    token: str

    @property
    def cookie(self) -> str:
        return self._derived("cookie")

    @property
    def csrf(self) -> str:
        return self._derived("csrf")

    def _derived(self, use: str) -> str:
        return hmac.new(self.token.encode(), use.encode(), sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Guard:
    """`hosts` are the allowed values of Host, with ports. Implements an ASGI middleware."""

    app: ASGIApp
    keys: Keys
    hosts: frozenset[str]
    cookie_name: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._handle(scope, receive, _with_headers(scope, send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), None)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif given is not None and scope["method"] in _SAFE and _same(given, self.keys.token):
            await self._log_in(scope, query)(scope, receive, send)
        elif self._is_known(headers):
            await self.app(scope, receive, send)
        else:
            words = "the token is missing or wrong: open the address that `interlock serve` printed\n"
            await PlainTextResponse(words, 401)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if host.lower() not in self.hosts:
            return PlainTextResponse("this server does not answer to that Host: see --allow-remote\n", 421)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if scope["method"] in _SAFE:
            return None
        foreign = origin is not None and origin.lower() not in _origins(host.lower())
        by_program = origin is None and "authorization" in headers
        if foreign or site not in ("same-origin", "none") or (origin is None and not by_program):
            return PlainTextResponse("a request of another site: refused\n", 403)
        return None

    def _is_known(self, headers: Headers) -> bool:
        kind, _, word = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(word.strip(), self.keys.token):
            return True
        cookies = cookie_parser(headers.get("cookie", ""))
        return _same(cookies.get(self.cookie_name, ""), self.keys.cookie)

    def _log_in(self, scope: Scope, query: list[tuple[str, str]]) -> RedirectResponse:
        """Redirect to the address without the token, so that no history and no screenshot has it."""
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + scope["path"].lstrip("/")
        response = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        response.set_cookie(
            self.cookie_name, self.keys.cookie, httponly=True, samesite="strict", path="/", max_age=30 * 86_400
        )
        return response


def _origins(host: str) -> tuple[str, ...]:
    """What a browser may send as Origin; it leaves the usual port out."""
    return f"http://{host}", f"https://{host}", f"http://{host.removesuffix(':80')}", (
        f"https://{host.removesuffix(':443')}"
    )  # fmt: skip


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _with_headers(scope: Scope, send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if not scope["path"].startswith("/static/"):
                headers.setdefault("cache-control", "no-store")
        await send(message)

    return sent


class BoundedConnection(H11Protocol):
    """A connection that must send each request, once begun, within REQUEST_S. A new one is closed at once while there
    are CONNECTIONS_MAX."""

    _deadline: asyncio.TimerHandle | None = None
    _before: RequestResponseCycle | None = None  # the newest request when the deadline began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        else:
            self._expect_request()

    def data_received(self, data: bytes) -> None:
        newest = self._newest_request()
        if self._deadline is None and (newest is None or newest.response_complete):
            self._expect_request()
        super().data_received(data)
        newest = self._newest_request()
        if self._deadline is not None and newest not in (None, self._before) and not newest.more_body:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _newest_request(self) -> RequestResponseCycle | None:
        return self.cycle

    def _expect_request(self) -> None:
        self._before = self._newest_request()
        self._deadline = self.loop.call_later(REQUEST_S, self.transport.abort)

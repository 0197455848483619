"""The HTTP client: one request, and its answer or the reason why there is none.

Rule: answers are bounded; a credential goes to the address alone and never to the target of a redirect; no error holds
the address, which may be a secret. Import this module inside functions: Python's HTTP client takes long to load.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage
from typing import IO

_WAIT_DIGITS_MAX = 5  # of Retry-After: a longer wait is no answer


class HttpError(Exception):
    """There is no good answer. `status` is 0 if there was no answer at all; `too_large`: it had more bytes than are
    read."""

    def __init__(self, why: str, *, status: int = 0, headers: Message | None = None, too_large: bool = False) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers if headers is not None else Message()
        self.too_large = too_large

    def retry_after(self, now: float) -> float:
        """Seconds that the server asks us to wait, by its header Retry-After (RFC 9110): seconds, or a date."""
        after = self.headers.get("Retry-After", "")
        if after.isascii() and after.isdecimal():
            return float(after) if len(after) <= _WAIT_DIGITS_MAX else 0.0
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            return 0.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`credential` is a value for the header Authorization, which no redirect gets. `body` None: a GET, else a POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    credential: str = ""


def send(request: HttpRequest, timeout_s: float, *, bytes_max: int = 0, redirects: bool = False) -> bytes:
    """The body of a 2xx answer; with `bytes_max` 0 it is not read. `timeout_s` is for each wait on the socket. Without
    `redirects` none is followed, and a plain `http` address is asked directly, not through a proxy. Raises HttpError,
    and ValueError if the address is not valid."""
    made = urllib.request.Request(request.url, request.body, dict(request.headers))
    if request.credential:
        made.add_unredirected_header("Authorization", request.credential)
    handlers: list[urllib.request.BaseHandler] = [] if redirects else [_NoRedirect()]
    if not redirects and made.type == "http":
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(made, timeout=timeout_s) as answer:
            content: bytes = answer.read(bytes_max + 1) if bytes_max else b""
    except urllib.error.HTTPError as error:
        with error:
            raise HttpError(f"HTTP {error.code}", status=error.code, headers=error.headers) from error
    except urllib.error.URLError as error:
        reason = error.reason
        why = (reason.strerror or type(reason).__name__) if isinstance(reason, OSError) else type(error).__name__
        raise HttpError(f"cannot be reached: {why}") from error
    except (OSError, HTTPException) as error:
        raise HttpError(f"the connection was lost ({type(error).__name__})") from error
    if len(content) > bytes_max:
        raise HttpError(f"an answer of more than {bytes_max} bytes", too_large=True)
    return content


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0913 - as urllib calls it
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None

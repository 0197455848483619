"""A webhook's request over HTTP. Rule: apart, because Python's HTTP client takes long to load."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO

from interlock.notify.channels import Refusal

_LASTING_BUT = (408, 425, 429)  # of 4xx: asking again may help


def request(address: str, body: bytes, headers: Mapping[str, str]) -> urllib.request.Request:
    """Raises ValueError where the address is none."""
    return urllib.request.Request(address, body, dict(headers), method="POST")


def post(request: urllib.request.Request, timeout_s: float) -> None:
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

"""The checks and the statuses of a commit, over HTTP. https://docs.github.com/en/rest/checks/runs and
https://docs.github.com/en/rest/commits/statuses say their shapes.

Rule: every answer is bounded, the token goes to the endpoint alone and follows no redirect, and whatever is not a
good answer raises; nothing here judges.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interlock import __version__

if TYPE_CHECKING:
    from email.message import Message
    from urllib.error import HTTPError

GITHUB = "https://api.github.com"
PAGES_MAX = 10
PER_PAGE = 100
BYTES_MAX = 20_000_000
REQUEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Outside:
    """The endpoint, the name of the environment variable with the token, and how patient to be."""

    endpoint: str = GITHUB
    token: str = "GITHUB_TOKEN"
    poll_s: float = 15.0
    grace_s: float = 120.0  # until a check has to have appeared


class Unanswered(Exception):
    """No good answer. `wait_s` is how long it asks us to stay away; `lasting` where asking again cannot help."""

    def __init__(self, why: str, *, wait_s: float = 0.0, lasting: bool = False) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Api:
    """One repository at one endpoint. `now` is unix seconds, for the time at which a quota resets."""

    outside: Outside
    repository: str
    token: str

    def check_runs(self, commit: str, now: float) -> list[dict[str, Any]]:
        return self._pages(f"/commits/{commit}/check-runs", "check_runs", now)

    def statuses(self, commit: str, now: float) -> list[dict[str, Any]]:
        """The newest of each context."""
        return self._pages(f"/commits/{commit}/status", "statuses", now)

    def annotations(self, check_run: int, now: float) -> list[dict[str, Any]]:
        """The first ones."""
        found = self._get(f"/check-runs/{check_run}/annotations?per_page=50", now)
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    def _pages(self, path: str, key: str, now: float) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, PAGES_MAX + 1):
            answer = self._get(f"{path}?per_page={PER_PAGE}&page={page}", now)
            items = answer.get(key) if isinstance(answer, dict) else None
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise Unanswered(f"{path}: the answer has no list {key}")
            found += items
            if len(items) < PER_PAGE:
                return found
        raise Unanswered(f"{path}: more than {PAGES_MAX * PER_PAGE} of them", lasting=True)

    def _get(self, path: str, now: float) -> Any:  # noqa: ANN401 - JSON
        import http.client  # late: these take long to load, and only a run with such a gate needs them
        import urllib.error
        import urllib.request

        url = f"{self.outside.endpoint.rstrip('/')}/repos/{self.repository}{path}"
        request = urllib.request.Request(url, headers=_HEADERS)
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:
                content = answer.read(BYTES_MAX + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error, now) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"{self.outside.endpoint} cannot be reached: {error}") from error
        if len(content) > BYTES_MAX:
            raise Unanswered(f"{path}: an answer of more than {BYTES_MAX} bytes", lasting=True)
        try:
            return json.loads(content)
        except ValueError as error:
            raise Unanswered(f"{path}: the answer is not JSON") from error


_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": f"interlock/{__version__}",
}


def _refused(error: HTTPError, now: float) -> Unanswered:
    from urllib.parse import urlsplit

    wait_s = _wait(error.headers, now)
    said = f"{urlsplit(error.url).path}: HTTP {error.code}"
    if error.code == 429 or (error.code == 403 and wait_s > 0):
        return Unanswered(f"{said}: asked too often", wait_s=wait_s)
    if error.code in (401, 403):
        return Unanswered(f"{said}: the token is missing, wrong, or may not read checks and statuses", lasting=True)
    if error.code == 404:
        return Unanswered(f"{said}: there is no such repository or commit, or the token may not see it")
    return Unanswered(said, wait_s=wait_s, lasting=error.code == 422)


def _wait(headers: Message, now: float) -> float:
    """Seconds, by Retry-After, or until the quota resets where none of it is left."""
    after = headers.get("Retry-After", "")
    if after.isdecimal():
        return float(after)
    reset = headers.get("X-RateLimit-Reset", "")
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset) - now)
    return 0.0

"""The checks and the statuses of a commit, from GitHub's API. https://docs.github.com/en/rest/checks/runs and
https://docs.github.com/en/rest/commits/statuses describe their shapes.

Rule: whatever is not a good answer raises, and nothing here judges. The token goes to the endpoint alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interlock import __version__

if TYPE_CHECKING:
    from interlock.process.http import HttpError

GITHUB = "https://api.github.com"
PAGES_MAX = 10
PER_PAGE = 100
BYTES_MAX = 20_000_000
REQUEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Outside:
    """The endpoint, the name of the environment variable with the token, and how long to wait."""

    endpoint: str = GITHUB
    token: str = "GITHUB_TOKEN"
    poll_s: float = 15.0
    grace_s: float = 120.0  # within which a check has to appear


class Unanswered(Exception):
    """There is no good answer. `wait_s`: how long the server asks us to wait; `lasting`: asking again cannot help."""

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
        from interlock.process import http

        url = f"{self.outside.endpoint.rstrip('/')}/repos/{self.repository}{path}"
        request = http.HttpRequest(url, _HEADERS, credential=f"Bearer {self.token}" if self.token else "")
        try:
            content = http.send(request, REQUEST_S, bytes_max=BYTES_MAX, redirects=True)
        except http.HttpError as error:
            if error.status:
                raise _refused(f"/repos/{self.repository}{path}", error, now) from error
            where = path if error.too_large else self.outside.endpoint
            raise Unanswered(f"{where}: {error}", lasting=error.too_large) from error
        try:
            return json.loads(content)
        except ValueError as error:
            raise Unanswered(f"{path}: the answer is not JSON") from error


_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": f"interlock/{__version__}",
}


def _refused(path: str, error: HttpError, now: float) -> Unanswered:
    wait_s = error.retry_after(now) or _until_reset(error, now)
    problem = f"{path.partition('?')[0]}: {error}"
    if error.status == 429 or (error.status == 403 and wait_s > 0):
        return Unanswered(f"{problem}: too many requests", wait_s=wait_s)
    if error.status in (401, 403):
        return Unanswered(f"{problem}: the token is missing, wrong, or may not read checks and statuses", lasting=True)
    if error.status == 404:
        return Unanswered(f"{problem}: there is no such repository or commit, or the token may not see it")
    return Unanswered(problem, wait_s=wait_s, lasting=error.status == 422)


def _until_reset(error: HttpError, now: float) -> float:
    """Seconds until GitHub's quota resets, if nothing of it remains."""
    reset = error.headers.get("X-RateLimit-Reset", "")
    if error.headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset) - now)
    return 0.0

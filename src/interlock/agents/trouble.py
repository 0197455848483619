"""What an agent program's error means: a quota, a key, an endpoint, or the agent's own failure.

Rule: only the provider's status, or words that providers use, decide. A limit is waited for, a bad key or an
unknown model is for good and says what to do, an endpoint that fails is tried again.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from interlock.ports import Ended

_STATUS = re.compile(
    r"(?:status(?: code)?|error(?: code)?|http|exceeded retry limit, last status)\D{0,6}\b([45]\d\d)\b", re.I
)
_LIMIT = re.compile(r"rate.?limit|usage limit|quota|too many requests|RESOURCE_EXHAUSTED|limit reached", re.I)
_KEY = re.compile(
    r"invalid.api.key|incorrect api key|unauthori[sz]ed|authentication|not logged in|please run /login", re.I
)
_MODEL = re.compile(r"model.{0,60}(?:not found|does not exist|not supported)|unknown model|model_not_found", re.I)
_DOWN = re.compile(
    r"incomplete json|in json at position|json pars(?:e error|ing failed)|failed to parse streaming|"
    r"overloaded|high demand|unexpected e(?:of|nd)|internal ?server ?error"
    r"|APIConnectionError|ServiceUnavailable|bad gateway|service unavailable"
    r"|stream (?:disconnected|closed|ended)|timed? ?out"
    r"|connection (?:error|refused|reset|closed)|error sending request|unable to connect|peer closed|econnre",
    re.I,
)
_WAIT = re.compile(r"(?:try again in|retry.after\D{0,4}|retry in|reset after)\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.I)
_AT = re.compile(r"(?:resets?_?at\W{0,4}|reached\|)(\d{10})\b", re.I)
_CLOCK = re.compile(
    r"again at (?:([A-Z][a-z]{2}) (\d{1,2})[a-z]{2}, (\d{4}) )?(\d{1,2}):(\d\d) ([AP]M)"
)  # codex, local time
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Trouble:
    """`retry_at` is unix seconds, 0 where nobody named a time."""

    ended: Ended
    advice: str = ""
    retry_at: float = 0.0
    permanent: bool = False


def trouble(text: str, now: float, *, status: int = 0) -> Trouble:
    """Read an error of the model's endpoint. `status` is of HTTP, 0 where only the text tells."""
    code = status or _status(text)
    if code == 429 or (not code and _LIMIT.search(text)):
        return Trouble(Ended.RATE_LIMITED, retry_at=_retry_at(text, now))
    if code in (401, 403) or (not code and _KEY.search(text)):
        advice = "name a valid key under the agent's `secrets`, or log in and write `login: true`"
        return Trouble(Ended.UNAVAILABLE, advice, permanent=True)
    if code == 404 or (code < 500 and _MODEL.search(text)):
        return Trouble(Ended.UNAVAILABLE, "correct the agent's `model` or `endpoint`", permanent=True)
    if code == 402:
        return Trouble(Ended.OUT_OF_BUDGET, "add credit to the account", permanent=True)
    if code >= 500 or (not code and _DOWN.search(text)):
        return Trouble(Ended.UNAVAILABLE)
    return Trouble(Ended.CRASHED)


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1]) if found else 0


def _retry_at(text: str, now: float) -> float:
    if found := _AT.search(text):
        return float(found[1])
    if found := _WAIT.search(text):
        return now + float(found[1]) * _UNITS[(found[2] or "s").lower()]
    found = _CLOCK.search(text)
    return _clock(found, now) if found else 0.0


def _clock(found: re.Match[str], now: float) -> float:
    """The end of the minute that was named; without a date it is the next one that comes."""
    month, day, year, hour, minute, half = found.groups()
    here = time.localtime(now)
    hours = int(hour) % 12 + (12 if half == "PM" else 0)
    date = (int(year), _MONTHS.index(month) + 1, int(day)) if month in _MONTHS else here[:3]
    at = time.mktime((*date, hours, int(minute) + 1, 0, 0, 0, -1))
    return at if month or at > now else at + 86400

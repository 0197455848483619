"""What an agent program's error means: a quota, a key, an account, an endpoint, or the agent's own failure.

Rule: only the provider's status, or words that providers use, decide. A limit is waited for; a bad key, an account
without credit and an unknown model are for good; an endpoint that fails is tried again. What a person can do about it,
`advising` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from interlock.agents.resets import named
from interlock.ports import Ended

_STATUS = re.compile(
    r"(?:status(?: code)?|error(?: code)?|http|exceeded retry limit, last status|\"code\"|\"status\")"
    r"\D{0,6}\b([45]\d\d)\b|\(([45]\d\d)\)|\b([45]\d\d) status code",
    re.I,
)
_CREDIT = re.compile(
    r"credit balance is too low|insufficient_quota|insufficient (?:credits?|balance|funds)"
    r"|billing.{0,20}(?:hard.?limit|inactive)|billing_not_active|out of credits|no credits"
    r"|exceeded your current quota, please check your plan and billing"
    r"|quota exceeded\. check your plan and billing|add (?:more )?credits|payment required"
    r"|monthly (?:spend(?:ing)?|usage) limit|spend(?:ing)? limit (?:reached|exceeded)",
    re.I,
)
_LIMIT = re.compile(
    r"rate.?limit|usage limit|session limit|weekly limit|hit your limit|quota|too many requests|RESOURCE_EXHAUSTED"
    r"|limit reached|used up",
    re.I,
)
_REGION = re.compile(
    r"country, region|unsupported_country|location is not supported"
    r"|not (?:supported|available) in (?:your|this) (?:country|region|location)",
    re.I,
)
_NO_KEY = re.compile(
    r"invalid.api.key|incorrect api key|api key not valid|api key (?:is )?(?:expired|missing)|API_KEY_INVALID", re.I
)
_KEY = re.compile(
    rf"{_NO_KEY.pattern}|unauthori[sz]ed|authenticat|permission_denied|not logged in|please run /login",
    re.I,
)
_MODEL = re.compile(r"model.{0,60}(?:not found|does not exist|not supported)|unknown model|model_not_found", re.I)
_UNREACHED = re.compile(
    r"waiting for network|error sending request|econnrefused|enotfound|eai_again|ehostunreach|APIConnectionError"
    r"|(?:could not|cannot|unable to) connect|connection (?:error|refused|failed)|fetch failed",
    re.I,
)
_DOWN = re.compile(
    r"incomplete json|in json at position|json pars(?:e error|ing failed)|failed to parse streaming|unterminated string"
    r"|overloaded|high demand|unexpected e(?:of|nd)|internal ?(?:server ?)?error|an internal error|api_error"
    r"|APIConnectionError|ServiceUnavailable|bad gateway|service unavailable|fetch failed"
    r"|network error|could not connect|cannot connect|closed unexpectedly"
    r"|stream (?:disconnected|closed|ended|decode error)|timed? ?out"
    r"|api error: terminated|connection to the api was lost"
    r"|empty response|invalid stream|waiting for network"
    r"|connection (?:error|failed|refused|reset|closed)|error sending request|unable to connect"
    r"|peer closed|other side closed|econnre|enotfound",
    re.I,
)
_REFUSED = re.compile(r"content.?filter|blocked due to|safety settings|PROHIBITED_CONTENT|violat\w+.{0,40}polic", re.I)
_FLAG = re.compile(
    r"unexpected argument|unknown (?:option|argument|flag|variant)|unrecogni[sz]ed (?:option|argument|flag)"
    r"|no such option|invalid option|unknown configuration",
    re.I,
)


class Cause(StrEnum):
    """What a person can do something about: `RIGHT` is a key that is known and may not do this."""

    OTHER = "other"
    CREDIT = "credit"
    KEY = "key"
    RIGHT = "right"
    REGION = "region"
    MODEL = "model"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class AgentFailure:
    """`retry_at` is unix seconds, 0 where nobody named a time."""

    ended: Ended
    cause: Cause = Cause.OTHER
    retry_at: float = 0.0
    permanent: bool = False


def classify_failure(text: str, now: float, *, status: int = 0) -> AgentFailure:
    """Read an error of the model's endpoint. `status` is of HTTP, 0 where only the text tells."""
    code = status or _status(text)
    retry_at = named(text, now)
    if code == 402 or (_CREDIT.search(text) and retry_at <= now):  # what names a time is a limit, whatever its words
        return AgentFailure(Ended.OUT_OF_BUDGET, Cause.CREDIT, permanent=True)
    if code == 429 or (not code and _LIMIT.search(text)):
        return AgentFailure(Ended.RATE_LIMITED, retry_at=retry_at)
    if code < 404 and _REGION.search(text):
        return AgentFailure(Ended.UNAVAILABLE, Cause.REGION, permanent=True)
    if code in (401, 403) or (code < 404 and _KEY.search(text)):
        cause = Cause.RIGHT if code == 403 and not _NO_KEY.search(text) else Cause.KEY
        return AgentFailure(Ended.UNAVAILABLE, cause, permanent=True)
    if code == 404 or (code < 500 and _MODEL.search(text)):
        return AgentFailure(Ended.UNAVAILABLE, Cause.MODEL, permanent=True)
    if code < 500 and _REFUSED.search(text):
        return AgentFailure(Ended.REFUSED)
    if code < 500 and _UNREACHED.search(text):
        return AgentFailure(Ended.UNAVAILABLE, Cause.UNREACHED)
    if code >= 500 or code == 408 or (not code and _DOWN.search(text)):
        return AgentFailure(Ended.UNAVAILABLE)
    return AgentFailure(Ended.CRASHED)


def does_not_know(text: str) -> str:
    """The line in which a program says that it does not know a flag of ours; empty where it says no such thing, or came
    to tell events."""
    lines = text.splitlines()
    if any(line.startswith("{") for line in lines):
        return ""
    return next((line.strip() for line in lines[:40] if _FLAG.search(line)), "")


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1] or found[2] or found[3]) if found else 0

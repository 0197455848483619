"""What an agent program's error means (a limit, a key, an account, an endpoint, or the agent's own failure), what a
person can do about it, and when a quota resets.

Rule: only the provider's HTTP status, or words that providers use, decide. A limit is waited for. A bad key, an account
without credit and an unknown model are permanent. An endpoint that fails is tried again. In a message our advice comes
first and whole; the text of the program follows and may be cut.

Rule: a time counts only beside a word about a retry or a reset. A weekday or an hour without a date is the next one. A
time without a zone is local. A time given to the minute means the end of that minute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

from interlock.conventions.programs import PROGRAMS, Program, is_older, key_names
from interlock.ports import RESUME, Ended

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
_ERROR_MAX = 2_000
_ADDRESS = re.compile(r"(?:_URL|_BASE|_HOST)$")
_USER = re.compile(r"(?<=//)[^/@\s]*@")
_CREDIT_ADVICE = f"the account is out of credit or at its spending limit: add credit or raise it there, {RESUME}"
_REGION_ADVICE = "the provider does not serve this country or region: call it from another one, or use another provider"


class Cause(StrEnum):
    """What a person can do something about. `PERMISSION`: the key is valid, but has no permission for this call."""

    OTHER = "other"
    CREDIT = "credit"
    KEY = "key"
    PERMISSION = "permission"
    REGION = "region"
    MODEL = "model"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class AgentFailure:
    """`retry_at` is in unix seconds; 0 if no time was named."""

    ended: Ended
    cause: Cause = Cause.OTHER
    retry_at: float = 0.0
    permanent: bool = False


def classify_failure(text: str, now: float, *, status: int = 0) -> AgentFailure:
    """Read an error of the model's endpoint. `status` is the HTTP status; 0 if only the text is known."""
    code = status or _status(text)
    retry_at = reset_time(text, now)
    if code == 402 or (_CREDIT.search(text) and retry_at <= now):  # a time means a limit
        return AgentFailure(Ended.OUT_OF_BUDGET, Cause.CREDIT, permanent=True)
    if code == 429 or (not code and _LIMIT.search(text)):
        return AgentFailure(Ended.RATE_LIMITED, retry_at=retry_at)
    if code < 404 and _REGION.search(text):
        return AgentFailure(Ended.UNAVAILABLE, Cause.REGION, permanent=True)
    if code in (401, 403) or (code < 404 and _KEY.search(text)):
        cause = Cause.PERMISSION if code == 403 and not _NO_KEY.search(text) else Cause.KEY
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


def is_of_the_endpoint(text: str, now: float, *, status: int = 0) -> bool:
    """Whether it is an error that trying again may help with, or that the endpoint has with everybody."""
    return classify_failure(text, now, status=status).ended in (Ended.RATE_LIMITED, Ended.UNAVAILABLE)


def unknown_flag_line(text: str) -> str:
    """The line in which a program rejects a flag of ours; empty if there is none, or if it printed events."""
    lines = text.splitlines()
    if any(line.startswith("{") for line in lines):
        return ""
    return next((line.strip() for line in lines[:40] if _FLAG.search(line)), "")


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1] or found[2] or found[3]) if found else 0


@dataclass(frozen=True, slots=True)
class Access:
    """How an agent gets access to its model's API. `secrets` are the names in its definition, `env` is its environment.
    `login`: whether it was lent the user's login; None if its program takes none."""

    program: str
    env: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    endpoint: str = ""
    login: bool | None = None


def failure_message(program: str, advice: str, error: str) -> str:
    """The advice, then the text of the program."""
    if not advice:
        return f"{program}: {error[:_ERROR_MAX]}"
    return f"{program}: {advice}; it said: {error[:_ERROR_MAX]}"


def missing_keys(access: Access) -> str:
    """What to do if the agent's `secrets` name keys and none is set; empty if it may work."""
    if not access.secrets or access.login or _keys(access):
        return ""
    return f"none of the agent's `secrets` is set: set {' or '.join(access.secrets)}"


def advice(cause: Cause, access: Access) -> str:
    match cause:
        case Cause.CREDIT:
            return _CREDIT_ADVICE
        case Cause.KEY | Cause.PERMISSION:
            return _key_advice(cause, access)
        case Cause.REGION:
            return _REGION_ADVICE
        case Cause.MODEL:
            address, where = _address(access)
            return f"correct the agent's `model`{f', or {where} ({address})' if address else ''}"
        case Cause.UNREACHED:
            address, where = _address(access)
            if address:
                return f"nobody answers at {address}: is it up, and is {where} right?"
            return "its provider cannot be reached: is the network up, and does no proxy or firewall block it?"
        case Cause.OTHER:
            return ""


def too_old_message(program: str, version: str, line: str) -> str:
    """For a program that rejected a flag of ours, in `line`."""
    row = _row(program)
    which = f"{program} {version or '(of an unknown version)'}"
    if row is not None and is_older(version, row.tested):
        return f"{which} is too old: install {row.tested} or newer; it said: {line[:200]}"
    wanted = f": install {row.tested}, the tested version" if row is not None else ""
    return f"{which} does not accept an option that it needs here{wanted}; it said: {line[:200]}"


def _key_advice(cause: Cause, access: Access) -> str:
    keys = _keys(access)
    if not keys and access.login:
        return f"the login of {access.program} was refused: log in with it again, {RESUME}"
    if not keys:
        return f"it has no key: name one under the agent's `secrets`{', or lend a login' * (access.login is False)}"
    if cause is Cause.PERMISSION:
        return f"the key in {' or '.join(keys)} has no permission for this: grant it or set another key, {RESUME}"
    return f"the key in {' or '.join(keys)} was refused: set a valid one, {RESUME}"


def _keys(access: Access) -> tuple[str, ...]:
    """The keys that are set, of the agent's `secrets` and of those that the program knows; only the latter, if any."""
    own = key_names(access.program)
    found = [name for name in dict.fromkeys((*access.secrets, *own)) if access.env.get(name)]
    return tuple(name for name in found if name in own) or tuple(found)


def _address(access: Access) -> tuple[str, str]:
    """The address of the API, and the setting that holds it; both empty for the provider's own address."""
    if access.endpoint:
        return _USER.sub("", access.endpoint), "the agent's `endpoint`"
    row = _row(access.program)
    names = row.env if row is not None else tuple(dict.fromkeys(name for one in PROGRAMS for name in one.env))
    found = next((name for name in names if _ADDRESS.search(name) and access.env.get(name)), "")
    return (_USER.sub("", access.env[found]), found) if found else ("", "")


def _row(program: str) -> Program | None:
    return next((one for one in PROGRAMS if one.name == program), None)


# --- when a quota resets ------------------------------------------------------------------------


_WORD = r"(?:resets?|again|retry|retries|available|wait|until)"
_EPOCH = re.compile(r"(?:resets?_?at\W{0,4}|reached\|)(\d{10})(\d{3})?\b", re.I)
_STAMP = re.compile(
    rf"\b{_WORD}\b.{{0,40}}?(\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| ?UTC|[+-]\d\d:?\d\d)?)", re.I
)
_UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
_PART = rf"\d+(?:\.\d+)?\s*{_UNIT}(?![a-z])"
_SPAN = re.compile(
    r"(?:again in|retry in|resets?[ _](?:in|after)(?:_seconds)?\W{0,4}|retry.?(?:after|delay)\W{0,4}"
    r"|available in|wait(?: for)?(?: another)?)\s*"
    rf"({_PART}(?:(?:\s|,|and)*{_PART})*|\d+(?:\.\d+)?)",
    re.I,
)
_PIECE = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})?", re.I)
_SECONDS = {"ms": 0.001, "mi": 60, "m": 60, "s": 1, "h": 3600, "d": 86_400, "w": 604_800}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(
    r"\b(?:resets?|again)\b(?:\s+(?:at|on))?\s+"
    rf"(?:(?P<day>{'|'.join(_DAYS)})[a-z]*,?\s+|(?P<month>{'|'.join(_MONTHS)})[a-z]*\.? (?P<date>\d{{1,2}})"
    r"(?:st|nd|rd|th)?"
    r"(?:,? (?P<year>\d{4}))?,?\s+)?(?:at\s+)?"
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d))?(?:\s*(?P<half>[ap])\.?m\b)?"
    r"(?:\s*\(?(?P<zone>[A-Z][A-Za-z]+/[A-Za-z_/]+|UTC|GMT)\)?)?",
    re.I,
)


def reset_time(text: str, now: float) -> float:
    """Unix seconds; 0 if the text names no time that we can read."""
    for look in (_epoch, _stamp, _span, _clock):
        if found := look(text, now):
            return found
    return 0.0


def _epoch(text: str, now: float) -> float:
    found = _EPOCH.search(text)
    return float(found[1]) if found else 0.0


def _stamp(text: str, now: float) -> float:
    found = _STAMP.search(text)
    if not found:
        return 0.0
    try:
        return datetime.fromisoformat(re.sub(r" ?UTC$", "Z", found[1], flags=re.I)).timestamp()
    except ValueError:
        return 0.0


def _span(text: str, now: float) -> float:
    found = _SPAN.search(text)
    if not found:
        return 0.0
    pieces = _PIECE.findall(found[1])
    return now + sum(float(number) * _seconds(unit) for number, unit in pieces)


def _seconds(unit: str) -> float:
    name = unit.lower()
    short = name[:2] if name[:2] == "ms" or name.startswith("milli") else name[:1]
    return _SECONDS["ms" if short == "mi" else short or "s"]


def _clock(text: str, now: float) -> float:
    for found in _CLOCK.finditer(text):
        half, minute = found["half"], found["minute"]
        if (half or minute) and int(found["hour"]) < 24 and int(minute or 0) < 60:  # else it is no time of day
            return _next(found, datetime.fromtimestamp(now, _zone(found["zone"] or ""))).timestamp()
    return 0.0


def _next(found: re.Match[str], here: datetime) -> datetime:
    """The first time after `here` that matches."""
    hour = (
        int(found["hour"]) % 12 + (12 if found["half"].lower() == "p" else 0) if found["half"] else int(found["hour"])
    )
    at = here.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0) + timedelta(minutes=1)
    if found["month"]:
        month, date = _MONTHS.index(found["month"][:3].lower()) + 1, int(found["date"])
        with suppress(ValueError):  # no such day
            at = at.replace(year=int(found["year"] or here.year), month=month, day=date)
            return at if found["year"] or at > here else at.replace(year=here.year + 1)
    if found["day"]:
        at += timedelta(days=(_DAYS.index(found["day"][:3].lower()) - here.weekday()) % 7)
        return at if at > here else at + timedelta(days=7)
    return at if at > here else at + timedelta(days=1)


def _zone(name: str) -> tzinfo | None:
    """None means local time: no zone is named, or this machine does not know it."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None

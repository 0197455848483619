"""The time at which a quota resets, read from texts of programs and providers.

Rule: a time counts only beside a word about a retry or a reset. A weekday or an hour without a date is the next one. A
time without a zone is local. A time given to the minute means the end of that minute.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

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

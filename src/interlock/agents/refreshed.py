"""What of a login that an attempt leaves is a refresh of the one that it was lent. Pure.

Rule: the login stays as it was lent, but for the tokens of an entry that was there and refreshes itself. These are
taken together, and only where a refresh was due, the new ones end later, and they name no other owner. Nothing is
added, and no kind changes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import cast

_REFRESH = ("refreshToken", "refresh_token", "refresh")
_ACCESS = ("accessToken", "access_token", "access")
_ENDS = ("expiresAt", "expires_at", "expires")
_MORE = ("id_token", "refreshTokenExpiresAt")
_REFRESHED_AT = "last_refresh"  # beside the entry that holds the tokens
_OWNER = ("iss", "sub", "chatgpt_account_id", "chatgpt_user_id")
_OWNER_INSIDE = "https://api.openai.com/auth"
_AHEAD_S = 900  # before its end a program may refresh a token
_USUAL_S = 7 * 86_400  # after which one may, whose end nobody knows
_FAR_S = 400 * 86_400
_MILLISECONDS = 100_000_000_000

Entry = Mapping[str, object]


def refreshed(before: object, after: object, now: float) -> object:
    """`before`, with the tokens of `after` in each entry that was refreshed."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return before
    old, new = cast(Entry, before), cast(Entry, after)
    if any(old.get(name) for name in _REFRESH):
        return {**old, **_tokens(old, new)} if _is_refresh(old, new, 0.0, now) else old
    told = _time(old.get(_REFRESHED_AT))
    at = _time(new.get(_REFRESHED_AT))
    merged = dict(old)
    for name, value in old.items():
        inside, instead = value, new.get(name)
        if told and isinstance(inside, dict) and any(inside.get(key) for key in _REFRESH):
            changes = isinstance(instead, dict) and told < at <= now + 60 and _is_refresh(inside, instead, told, now)
            if changes:
                merged |= {name: {**inside, **_tokens(inside, cast(Entry, instead))}, _REFRESHED_AT: new[_REFRESHED_AT]}
        elif isinstance(inside, dict):
            merged[name] = refreshed(inside, instead, now)
    return merged


def _is_refresh(old: Entry, new: Entry, refreshed_at: float, now: float) -> bool:
    tokens = [name for name in (*_REFRESH, *_ACCESS) if old.get(name)]
    if not all(isinstance(new.get(name), str) and new[name] for name in tokens):
        return False
    ended, ends = _end(old), _end(new)
    due = (0 < ended <= now + _AHEAD_S) or (refreshed_at + _USUAL_S <= now if refreshed_at else not ended)
    later = max(now, ended) < ends <= now + _FAR_S if ended else True
    return due and later and _tokens(old, old) != _tokens(old, new) and _owner(old) == _owner(new)


def _tokens(old: Entry, new: Entry) -> dict[str, object]:
    """Of the fields that the entry has, those that a refresh changes; each of the type that it had."""
    names = [
        name for name in (*_REFRESH, *_ACCESS, *_ENDS, *_MORE) if name in old and type(new.get(name)) is type(old[name])
    ]
    return {name: new[name] for name in names}


def _end(entry: Entry) -> float:
    """When its access ends, as it says or its token does; 0 where neither does."""
    said = max((_time(entry.get(name)) for name in _ENDS), default=0.0)
    return said or max((_time(claims.get("exp")) for claims in _claims(entry, _ACCESS)), default=0.0)


def _owner(entry: Entry) -> list[object]:
    """Who its tokens say they are of, as far as they say it."""
    said: list[object] = []
    for claims in _claims(entry, (*_ACCESS, "id_token")):
        inside = claims.get(_OWNER_INSIDE)
        more = cast(Entry, inside) if isinstance(inside, dict) else {}
        said += [(claims.get(name), more.get(name)) for name in _OWNER]
    return said


def _claims(entry: Entry, names: tuple[str, ...]) -> Iterator[Entry]:
    for name in names:
        parts = str(entry.get(name) or "").split(".")
        if len(parts) == 3:
            try:
                claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            except (ValueError, RecursionError):
                continue
            if isinstance(claims, dict):
                yield cast(Entry, claims)


def _time(value: object) -> float:
    """Seconds since the epoch, of a number of seconds or milliseconds or of RFC 3339."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value / 1000 if value > _MILLISECONDS else float(value)
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() if isinstance(value, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0

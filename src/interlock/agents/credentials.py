"""The user's own login, lent to one attempt at a time.

Rule: a login that refreshes itself holds a refresh token that works once. So the file is copied in under a lock,
and tokens that were refreshed come back, in one step, where nobody else has changed the original meanwhile.

What of a login that an attempt leaves is a refresh of the one that it was lent. Pure.

Rule: the login stays as it was lent, but for the tokens of an entry that was there and refreshes itself. These are
taken together, and only where a refresh was due, the new ones end later, and they name no other owner. Nothing is
added, and no kind changes.

A program's own keys, given to it in files of its state and not in its environment, which its commands would see.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import cast

from interlock.agents.program import content_of
from interlock.ports import Cancel, Cancelled, InfrastructureError, may_begin

_POLL_S = 0.2
_BYTES_MAX = 1_000_000
_TOKEN_CHARACTERS_MIN = 20


@contextmanager
def lent(original: Path, copy: Path, cancel: Cancel) -> Iterator[None]:
    """Keep `copy` beside the attempt while the block lasts. Waits for another attempt that has the login.
    Raises InfrastructureError (permanent) where nobody is logged in, Cancelled while it waits."""
    try:
        lock = os.open(original.with_name(".interlock-login.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InfrastructureError(_absent(original, error), permanent=True) from error
    try:
        _wait(lock, cancel)
        before = _content(original)
        copy.parent.mkdir(parents=True, exist_ok=True)
        _write(copy, before)
        try:
            yield
        finally:
            _give_back(original, copy, before)
    finally:
        os.close(lock)


def tokens_in(login: Path) -> tuple[str, ...]:
    """What is secret in a login: its long words with a digit. Not what a refresh brings meanwhile."""
    try:
        waiting: list[object] = [json.loads(login.read_bytes())]
    except (OSError, ValueError):
        return ()
    found: list[str] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and len(value) >= _TOKEN_CHARACTERS_MIN and any(map(str.isdigit, value)):
            found.append(value)
    return tuple(found)


def _wait(lock: int, cancel: Cancel) -> None:
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if cancel.wait(_POLL_S) or not may_begin(cancel):
                raise Cancelled("no longer wanted, while another attempt had the login") from None


def _content(original: Path) -> bytes:
    try:
        return original.read_bytes()
    except OSError as error:
        raise InfrastructureError(_absent(original, error), permanent=True) from error


def _absent(original: Path, error: OSError) -> str:
    return f"{original}: no login there ({error.strerror}): log in with the program itself, or name a key in `secrets`"


def _give_back(original: Path, copy: Path, before: bytes) -> None:
    """Of what the attempt left, the tokens that were refreshed."""
    after = content_of(copy, _BYTES_MAX)
    with suppress(OSError, ValueError, RecursionError):
        login = json.loads(before)
        fresh = refreshed(login, json.loads(after), time.time())
        if fresh != login and original.read_bytes() == before:
            beside = original.with_name(f".{original.name}.interlock")
            _write(beside, json.dumps(fresh, indent=2).encode())
            beside.replace(original.resolve())


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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


def private(path: Path, content: str) -> Path:
    """A file that nobody else may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return path

"""Keys and logins of agent programs.

Rule: a login that refreshes itself holds a refresh token that works once. So the user's login is copied in under a lock
for one attempt at a time, and refreshed tokens are written back in one step if nobody else changed the original
meanwhile. Everything else in the login stays as it was lent: only the tokens of an existing entry that refreshes itself
are taken, all together, and only if a refresh was due, the new ones end later, and they name no other owner.
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

Entry = Mapping[str, object]
_POLL_S = 0.2
_BYTES_MAX = 1_000_000
_TOKEN_CHARACTERS_MIN = 20
_REFRESH = ("refreshToken", "refresh_token", "refresh")
_ACCESS = ("accessToken", "access_token", "access")
_EXPIRES = ("expiresAt", "expires_at", "expires")
_OTHERS = ("id_token", "refreshTokenExpiresAt")
_LAST_REFRESH = "last_refresh"  # is beside the entry with the tokens
_OWNER = ("iss", "sub", "chatgpt_account_id", "chatgpt_user_id")
_OPENAI_CLAIM = "https://api.openai.com/auth"
_EARLY_REFRESH_S = 900  # a program may refresh a token this long before it expires
_REFRESH_INTERVAL_S = 7 * 86_400  # after this long it may refresh one whose expiry is unknown
_EXPIRY_MAX_S = 400 * 86_400
_MILLISECONDS = 100_000_000_000


@contextmanager
def lent_login(original: Path, copy: Path, cancel: Cancel) -> Iterator[None]:
    """The login is at `copy` until the block ends. Waits while another attempt has it.
    Raises InfrastructureError (permanent) if nobody is logged in, Cancelled while it waits."""
    try:
        lock = os.open(original.with_name(".interlock-login.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InfrastructureError(_no_login(original, error), permanent=True) from error
    try:
        _wait(lock, cancel)
        before = _content(original)
        copy.parent.mkdir(parents=True, exist_ok=True)
        _write(copy, before)
        try:
            yield
        finally:
            _write_back(original, copy, before)
    finally:
        os.close(lock)


def secret_tokens(login: Path) -> tuple[str, ...]:
    """The secrets in a login: its long words with a digit. Later refreshes may add others."""
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
                raise Cancelled("cancelled while another attempt had the login") from None


def _content(original: Path) -> bytes:
    try:
        return original.read_bytes()
    except OSError as error:
        raise InfrastructureError(_no_login(original, error), permanent=True) from error


def _no_login(original: Path, error: OSError) -> str:
    return f"{original}: no login there ({error.strerror}): log in with the program itself, or name a key in `secrets`"


def _write_back(original: Path, copy: Path, before: bytes) -> None:
    """Write back the refreshed tokens of the copy."""
    after = content_of(copy, _BYTES_MAX)
    with suppress(OSError, ValueError, RecursionError):
        login = json.loads(before)
        fresh = merge_refreshed(login, json.loads(after), time.time())
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


def merge_refreshed(before: object, after: object, now: float) -> object:
    """`before` with the tokens of `after` in each entry that was refreshed. Pure."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return before
    old, new = cast(Entry, before), cast(Entry, after)
    if any(old.get(name) for name in _REFRESH):
        return {**old, **_tokens(old, new)} if _is_refresh(old, new, 0.0, now) else old
    last = _time(old.get(_LAST_REFRESH))
    at = _time(new.get(_LAST_REFRESH))
    merged = dict(old)
    for name, value in old.items():
        inside, other = value, new.get(name)
        if last and isinstance(inside, dict) and any(inside.get(key) for key in _REFRESH):
            changes = isinstance(other, dict) and last < at <= now + 60 and _is_refresh(inside, other, last, now)
            if changes:
                merged |= {name: {**inside, **_tokens(inside, cast(Entry, other))}, _LAST_REFRESH: new[_LAST_REFRESH]}
        elif isinstance(inside, dict):
            merged[name] = merge_refreshed(inside, other, now)
    return merged


def _is_refresh(old: Entry, new: Entry, refreshed_at: float, now: float) -> bool:
    tokens = [name for name in (*_REFRESH, *_ACCESS) if old.get(name)]
    if not all(isinstance(new.get(name), str) and new[name] for name in tokens):
        return False
    expired, expires = _expiry(old), _expiry(new)
    due = (0 < expired <= now + _EARLY_REFRESH_S) or (
        refreshed_at + _REFRESH_INTERVAL_S <= now if refreshed_at else not expired
    )
    later = max(now, expired) < expires <= now + _EXPIRY_MAX_S if expired else True
    return due and later and _tokens(old, old) != _tokens(old, new) and _owners(old) == _owners(new)


def _tokens(old: Entry, new: Entry) -> dict[str, object]:
    """The fields of the entry that a refresh changes, if their type is the same."""
    names = [
        name
        for name in (*_REFRESH, *_ACCESS, *_EXPIRES, *_OTHERS)
        if name in old and type(new.get(name)) is type(old[name])
    ]
    return {name: new[name] for name in names}


def _expiry(entry: Entry) -> float:
    """When its access expires, by its own field or by its token; 0 if unknown."""
    expiry = max((_time(entry.get(name)) for name in _EXPIRES), default=0.0)
    return expiry or max((_time(claims.get("exp")) for claims in _claims(entry, _ACCESS)), default=0.0)


def _owners(entry: Entry) -> list[object]:
    """The owners that its tokens name."""
    owners: list[object] = []
    for claims in _claims(entry, (*_ACCESS, "id_token")):
        inside = claims.get(_OPENAI_CLAIM)
        more = cast(Entry, inside) if isinstance(inside, dict) else {}
        owners += [(claims.get(name), more.get(name)) for name in _OWNER]
    return owners


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
    """Unix seconds, from seconds, milliseconds or RFC 3339; 0 for anything else."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value / 1000 if value > _MILLISECONDS else float(value)
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() if isinstance(value, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def write_private(path: Path, content: str) -> Path:
    """A file that only the user may read. A program gets its own keys so, because its commands see its environment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return path

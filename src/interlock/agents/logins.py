"""The user's own login, lent to one attempt at a time.

Rule: a login that refreshes itself holds a refresh token that works once. So the file is copied in under a lock,
and tokens that were refreshed come back, in one step, where nobody else has changed the original meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from interlock.agents.program import content_of
from interlock.agents.refreshed import refreshed
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

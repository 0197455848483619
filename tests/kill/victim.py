"""The program with a weak heart: `python -m tests.kill.victim N WORDS...` dies by SIGKILL at its Nth write.

Rule: the product knows nothing of this. Writes are calls of the journal, of what keeps records and keys, and of what
puts objects and refs into a repository; each counts twice, before it and after it. With N = 0 it lives, and $KILL_TRACE
gets a line for each.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interlock.cli import main
from interlock.journal.sqlite import SqliteJournal
from interlock.signing import SignedRecords, keys
from interlock.workspaces import storage
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects
from interlock.workspaces.records import StoredRecords

JOURNAL = ("create", "take", "append", "put_answer", "remember")
OBJECTS = ("write", "write_file", "_settle")
WRITING = {
    "init",
    "fetch",
    "pack-objects",
    "commit-tree",
    "add",
    "write-tree",
    "unpack-objects",
    "index-pack",
    "update-ref",
    "merge-tree",
    "config",
}


class Heart:
    def __init__(self, stops_at: int, trace: str) -> None:
        self._stops_at, self._trace = stops_at, Path(trace) if trace else None
        self._lock, self._beats = threading.Lock(), 0

    def beat(self, what: str) -> None:
        with self._lock:
            self._beats += 1
            if self._trace is not None:
                with self._trace.open("a") as file:
                    file.write(f"{what}\n")
            if self._beats == self._stops_at:
                os.kill(os.getpid(), signal.SIGKILL)


def attach(heart: Heart) -> None:
    for name in JOURNAL:
        setattr(SqliteJournal, name, _beating(heart, f"journal.{name}", getattr(SqliteJournal, name)))
    for name in OBJECTS:
        setattr(Objects, name, _beating(heart, f"objects.{name}", getattr(Objects, name)))
    SignedRecords.keep = _beating(heart, "records.keep", SignedRecords.keep)  # type: ignore[method-assign]
    StoredRecords.keep = _beating(heart, "records.store", StoredRecords.keep)  # type: ignore[method-assign]
    keys.put_first = _beating(heart, "key", keys.put_first)
    storage.create_ref = _beating(heart, "create_ref", storage.create_ref)
    called = Git.call

    def call(self: Git, *args: str, **given: Any) -> Any:
        verb = next((word for word in args if word in WRITING), "")
        if not verb:
            return called(self, *args, **given)
        return _beating(heart, f"git.{verb}", called)(self, *args, **given)

    Git.call = call  # type: ignore[method-assign]


def _beating(heart: Heart, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def beating(*args: Any, **given: Any) -> Any:
        heart.beat(f"before {what}")
        done = call(*args, **given)
        heart.beat(f"after {what}")
        return done

    return beating


if __name__ == "__main__":
    attach(Heart(int(sys.argv[1]), os.environ.get("KILL_TRACE", "")))
    sys.argv = ["interlock", *sys.argv[2:]]
    sys.exit(main())

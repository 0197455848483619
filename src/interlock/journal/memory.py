"""The journal and the blobs in memory, for tests, simulations and experiments.

The rules are the same as on disk, but nothing is encoded or written. Threads of one process may share them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from interlock.core.events import Event, Recorded
from interlock.core.inbox import Answer
from interlock.journal.rules import check_append, missing, no_such_run, settles
from interlock.ports import UsageError


@dataclass(slots=True)
class _Run:
    history: list[Recorded]
    fence: int = 0
    inbox: dict[str, Answer] = field(default_factory=dict)


class MemoryJournal:
    """Implements `ports.Journal`, `ports.Cache` and `ports.Notes`."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._answered: set[str] = set()
        self._remembered: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def create(self, run: str, at: float, event: Event) -> None:
        with self._lock:
            if run in self._runs:
                raise UsageError(f"run {run} already exists: a new run needs a new id")
            self._runs[run] = _Run([Recorded(1, at, event)])

    def runs(self) -> list[str]:
        return list(self._runs)

    def heads(self, most: int) -> dict[str, int]:
        newest = list(self._runs.items())[-most:]
        return {run: len(found.history) for run, found in newest}

    def records(self, run: str, after: int = 0) -> list[Recorded]:
        found = self._runs.get(run)
        return found.history[after:] if found else []

    def pages(self, run: str, after: int = 0) -> Iterator[list[Recorded]]:
        yield self.records(run, after)

    def take(self, run: str) -> int:
        with self._lock:
            found = self._find(run)
            found.fence += 1
            return found.fence

    def append(self, run: str, fence: int, after: int, at: float, event: Event) -> Recorded:
        with self._lock:
            found = self._find(run)
            check_append(run, (fence, found.fence), (after, len(found.history)))
            recorded = Recorded(after + 1, at, event)
            found.history.append(recorded)
            if answer := settles(event):
                found.inbox.pop(answer, None)
            return recorded

    def holds(self, run: str, fence: int) -> bool:
        found = self._runs.get(run)
        return found is not None and found.fence == fence

    def put_answer(self, answer: Answer) -> None:
        with self._lock:
            found = self._find(answer.run)
            if answer.id not in self._answered:
                self._answered.add(answer.id)
                found.inbox[answer.id] = answer

    def answers(self, run: str) -> list[Answer]:
        with self._lock:
            return list(self._runs[run].inbox.values()) if run in self._runs else []

    def remember(self, kind: str, key: str, value: str) -> None:
        self._remembered.setdefault((kind, key), value)

    def recall(self, kind: str, key: str) -> str | None:
        return self._remembered.get((kind, key))

    def note(self, kind: str, key: str, value: str) -> None:
        """As `remember`: nothing that is remembered here is ever removed."""
        self.remember(kind, key, value)

    def noted(self, kind: str, key: str) -> str | None:
        return self.recall(kind, key)

    def _find(self, run: str) -> _Run:
        found = self._runs.get(run)
        if found is None:
            raise no_such_run(run)
        return found


class MemoryBlobs:
    """Implements `ports.NamedBlobs`."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._named: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        self._contents[digest] = content
        return digest

    def put_file(self, path: Path) -> tuple[str, int]:
        content = path.read_bytes()
        return self.put(content), len(content)

    def get(self, digest: str) -> bytes:
        try:
            return self._contents[digest]
        except KeyError as error:
            raise missing(digest, "memory") from error

    def size(self, digest: str) -> int | None:
        content = self._contents.get(digest)
        return None if content is None else len(content)

    def keep(self, name: str, content: bytes) -> None:
        self._named[name] = content

    def keep_first(self, name: str, content: bytes) -> bytes:
        return self._named.setdefault(name, content)

    def kept(self, name: str) -> bytes | None:
        return self._named.get(name)

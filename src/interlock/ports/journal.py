"""The ports that store history and evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from interlock.core.events import Action, Event, Recorded


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer, as stored in the inbox. The action does not use fields that are empty."""

    id: str
    run: str
    action: Action
    by: str
    at: float
    stage: str = ""
    subject: str = ""  # STAGE/EPOCH.NUMBER
    gate: str = ""
    comment: str = ""
    commit: str = ""
    override: bool = False
    now: bool = False
    limits: tuple[tuple[str, float], ...] = ()
    branch: str = ""


class Journal(Protocol):
    """The append-only history of every run of a repository, the inbox, and the caches by digest."""

    def create(self, run: str, at: float, event: Event) -> None:
        """Append the first event of a new run. Raises UsageError if the run exists."""

    def runs(self) -> list[str]:
        """Ids, oldest first."""

    def heads(self, most: int) -> dict[str, int]:
        """The seq of the newest event of each of the `most` newest runs."""

    def records(self, run: str, after: int = 0) -> list[Recorded]:
        """The history of `run` after seq `after`. Empty if there is no such run."""

    def pages(self, run: str, after: int = 0) -> Iterator[list[Recorded]]:
        """As `records`, in pages of bounded size. Each page is checked before it is returned."""

    def take(self, run: str) -> int:
        """Start a new fencing epoch of `run`, higher than any before. The previous owner can no longer append."""

    def append(self, run: str, fence: int, after: int, at: float, event: Event) -> Recorded:
        """Durably append `event` as seq `after + 1`, in one transaction that checks `fence`, and settle the answer that
        it names. Raises Fenced, or InfrastructureError (disk full, read-only)."""

    def holds(self, run: str, fence: int) -> bool:
        """Whether `fence` is still the newest epoch of `run`."""

    def put_answer(self, answer: Answer) -> None: ...

    def answers(self, run: str) -> list[Answer]:
        """Unsettled answers, in the order in which they arrived."""

    def remember(self, kind: str, key: str, value: str) -> None:
        """Cache `value` (JSON text) by digest. An existing value is not replaced."""

    def recall(self, kind: str, key: str) -> str | None: ...


class Blobs(Protocol):
    """Evidence, by the sha256 of its content."""

    def put(self, content: bytes) -> str: ...

    def put_file(self, path: Path) -> tuple[str, int]:
        """Digest and size of a file's content, copied in."""

    def get(self, digest: str) -> bytes:
        """Raises InfrastructureError if there is no such content."""

    def path(self, digest: str) -> Path: ...

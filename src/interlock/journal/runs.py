"""The runs of a repository that processes of this machine drive, one process each: by its journal.

Rule: whoever asks reads what the owner of a run has appended, and says things to it through the inbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from interlock.core.events import Recorded, RunStarted
from interlock.core.inbox import Answer
from interlock.ports import Journal, Notes

_PIPELINE = "pipeline"  # the kind of the note


@dataclass(frozen=True, slots=True)
class LocalRuns:
    """Implements `ports.Engine`. `owner` gives the owner of a run, empty for nobody."""

    journal: Journal
    notes: Notes
    owner: Callable[[str], str]

    def start(self, at: float, started: RunStarted, pipeline: str) -> None:
        self.notes.note(_PIPELINE, started.run, pipeline)
        self.journal.create(started.run, at, started)

    def runs(self) -> list[str]:
        return self.journal.runs()

    def heads(self, most: int) -> dict[str, int]:
        return self.journal.heads(most)

    def pipeline(self, run: str) -> str | None:
        return self.notes.noted(_PIPELINE, run)

    def history(self, run: str, after: int = 0) -> Iterator[list[Recorded]]:
        return self.journal.pages(run, after)

    def answer(self, answer: Answer) -> None:
        self.journal.put_answer(answer)

    def untaken(self, run: str) -> list[Answer]:
        return self.journal.answers(run)

    def owner_of(self, run: str) -> str:
        return self.owner(run)

    def follower_of(self, run: str) -> str:
        return self.owner(run)

    def behind(self, run: str) -> str:
        return ""

    def catch_up(self, run: str, after: int) -> bool:
        return False

    def waits(self, run: str) -> tuple[tuple[str, str, str], ...]:
        return ()

    def unreached(self) -> str:
        return ""

    def adopt(self, run: str) -> bool:
        return False

"""The list of runs as an inbox: first what needs a person, then what works, then the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from interlock.readmodel.run import RunPhase, RunSummary

_NEEDED = (RunPhase.WAITING, RunPhase.INTERRUPTED, RunPhase.DAMAGED)
_AT_WORK = (RunPhase.RUNNING, RunPhase.SLEEPING)
_STAGES = {"asked": "waiting for you", "paused": "paused, needs you"}


@dataclass(frozen=True, slots=True)
class Group:
    id: str
    title: str
    runs: Sequence[RunSummary]


def groups(runs: Iterable[RunSummary]) -> Iterator[Group]:
    """Those that have runs; in each the order that was given."""
    kept = list(runs)
    yield from (
        Group(name, title, found)
        for name, title, found in (
            ("needed", "Needs you", [run for run in kept if run.phase in _NEEDED]),
            ("at-work", "Running", [run for run in kept if run.phase in _AT_WORK]),
            ("done", "Finished", [run for run in kept if run.phase not in (*_NEEDED, *_AT_WORK)]),
        )
        if found
    )


def progress_words(run: RunSummary) -> str:
    """The stages as text: `plan accepted, code waiting for you, review waiting`."""
    return ", ".join(f"{stage} {_STAGES.get(phase, phase)}" for stage, phase in run.progress)


def fits(run: RunSummary, words: str, phase: str) -> bool:
    """Whether every word is somewhere in what the list shows, and the phase is that one or none is asked for."""
    text = f"{run.id} {run.pipeline} {run.branch} {run.task}".lower()
    return (not phase or run.phase == phase) and all(word in text for word in words.lower().split())

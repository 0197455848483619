"""The runs of a repository, one line each: as a table on a terminal, with whole ids elsewhere. Pure.

Rule: first what needs a person, then what works, then the rest; in each the newest first.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from interlock.cli.words import RUN_TONES, moment, safe
from interlock.core.state import Phase
from interlock.readmodel.run import RunPhase, RunSummary
from interlock.service.formats import ago

if TYPE_CHECKING:
    from interlock.gates.locks import WaitingWork

_NEEDED = (RunPhase.WAITING, RunPhase.INTERRUPTED, RunPhase.DAMAGED)
_AT_WORK = (RunPhase.RUNNING, RunPhase.SLEEPING)
_PHASE_WIDTH = 11
_NARROWEST = 40  # columns of a text beside others
_PIPELINE_FROM = 100  # columns of a terminal on which a pipeline has room
_STAGES_FROM = 60
_NOTE_FROM = 130
_DONE = (Phase.ACCEPTED, Phase.SKIPPED)


def list_page(
    runs: Sequence[RunSummary],
    now: float,
    width: int = 0,
    held_up: Sequence[WaitingWork] = (),
    every: Iterable[str] = (),
) -> Iterator[str]:
    """One line for each run, and one for each thing in it that waits for a slot. A run that cannot be read has more
    lines. `width` columns wide if that is given; `every` are the ids of all runs, so that a short one names one run."""
    runs = sorted(runs, key=_rank)
    names = short_ids([run.id for run in runs], every) if width else {}
    if width and runs:
        yield click.style(
            _row(("RUN", "STATE", "STAGES", "PIPELINE", "TASK", "QUESTION OR REASON", "AGE"), names.values(), width),
            dim=True,
        )
    for run in runs:
        name = names.get(run.id, run.id)
        if not run.is_readable:
            yield from _unreadable(run, name, width)
        elif width:
            yield _styled(run, name, names.values(), now, width)
        else:
            over = " OVERRIDDEN" if run.overrides else ""
            phase = f"{run.word:<{_PHASE_WIDTH}}"
            yield f"{run.id}  {phase} {run.pipeline:<12} {moment(run.started_at)}  {safe(run.task, 60)}{over}"
        waits = (held for held in held_up if held.run == run.id)
        yield from (f"{' ' * (len(name) + 2)}{safe(held.about)} {safe(held.words)}" for held in waits)


def short_ids(runs: Sequence[str], every: Iterable[str] = ()) -> dict[str, str]:
    """The last part of each id where it names one run alone, else the whole id."""
    tails = Counter(run.rpartition("-")[2] for run in {*runs, *every})
    return {run: run.rpartition("-")[2] if tails[run.rpartition("-")[2]] == 1 else run for run in runs}


def _rank(run: RunSummary) -> int:
    return 0 if run.phase in _NEEDED else 1 if run.phase in _AT_WORK else 2


def _styled(run: RunSummary, name: str, names: Iterable[str], now: float, width: int) -> str:
    done = sum(phase in _DONE for _, phase in run.progress)
    task = f"OVERRIDDEN {run.task}" if run.overrides else run.task
    stages = f"{done}/{len(run.progress)}" if run.progress else ""
    row = _row((name, run.word, stages, run.pipeline, task, _note(run), ago(now - run.started_at)), names, width)
    return row.replace(f" {run.word} ", f" {click.style(run.word, fg=RUN_TONES[run.phase])} ", 1)


def _row(cells: tuple[str, ...], names: Iterable[str], width: int) -> str:
    """The cells of a line; the task gets the room that is left, or half of it beside a question or reason."""
    from rich.cells import cell_len, set_cell_size  # lazy: only a terminal has columns

    name, phase, stages, pipeline, task, note, age = cells
    left = f"{name:<{max(map(len, names), default=0)}}  {phase:<{_PHASE_WIDTH}} "
    if width >= _STAGES_FROM:
        left += f"{stages:<7}"
    if width >= _PIPELINE_FROM:
        left += set_cell_size(safe(pipeline, 40), 14) + " "
    room = max(8, width - cell_len(left) - len("59 min ago") - 2)
    if width >= _NOTE_FROM:
        left += _cut(task, room // 2) + "  "
        task, room = note, room - room // 2 - 2
    return f"{left}{_cut(task, room)}  {age:>{len('59 min ago')}}"


def _cut(text: str, room: int) -> str:
    """Exactly `room` columns of it."""
    from rich.cells import cell_len, set_cell_size  # lazy: only a terminal has columns

    line = safe(text, 2 * room)
    return set_cell_size(line if cell_len(line) <= room else set_cell_size(line, room - 1) + "…", room)


def _note(run: RunSummary) -> str:
    """What it asks, or why it stands as it does: as on the page."""
    if run.waits and run.phase in _NEEDED:
        return run.waits[0].detail
    return run.branch or run.why


def _unreadable(run: RunSummary, name: str, width: int) -> Iterator[str]:
    why = safe(run.why, 400)
    tone = click.style(f"{run.phase:<{_PHASE_WIDTH}}", fg=RUN_TONES[run.phase])
    indent = " " * (len(name) + len("  ") + _PHASE_WIDTH + 1)
    lines = textwrap.wrap(why, max(width - len(indent), _NARROWEST)) if width else [why]
    yield f"{name}  {tone} {lines[0] if lines else ''}"
    yield from (f"{indent}{line}" for line in lines[1:])
    if run.way_out:
        yield f"{indent}to hide it from lists: {run.way_out}"

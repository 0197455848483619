"""What the words after a verb mean: RUN, STAGE, STAGE/1.2, RUN/STAGE/1.2, in their natural combinations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from interlock.core.history import AttemptView
from interlock.core.ids import STAGE_NAME
from interlock.core.views import RunSummary, RunView
from interlock.ports import UsageError
from interlock.service import Service

_ATTEMPT = re.compile(r"(?:(?P<run>[^/]+)/)?(?P<attempt>[^/]+/\d+\.\d+)")
_RUN_STAGE = re.compile(r"(?P<run>[^/]+)/(?P<stage>[^/]+)")

Choose = Callable[[str], RunSummary]


@dataclass(frozen=True, slots=True)
class Target:
    """A run and what is meant of it. `attempt` is STAGE/EPOCH.NUMBER; `rest` are words beyond these."""

    view: RunView
    stage: str = ""
    attempt: str = ""
    rest: tuple[str, ...] = ()


def choosing(service: Service, fits: Callable[[RunSummary], bool]) -> Choose:
    """A named run, or the only one that fits."""
    return lambda name: service.choose_run(name, fits)


def find_target(service: Service, words: Sequence[str], choose: Choose) -> Target:
    """`choose` finds the run of a name, or the one that is meant without a name. Raises UsageError."""
    view, words = find_run(service, words, choose)
    if not words:
        return Target(view)
    stage, attempt = _part(view, words[0])
    return Target(view, stage, attempt, words[1:])


def find_run(service: Service, given: Sequence[str], choose: Choose) -> tuple[RunView, tuple[str, ...]]:
    """The run, and the words that are not its name. Raises UsageError."""

    def meant(name: str) -> RunView:
        return service.describe_run(choose(name).id)

    words = tuple(given)
    if not words:
        return meant(""), ()
    first, rest = words[0], words[1:]
    if match := _ATTEMPT.fullmatch(first):
        return meant(match["run"] or ""), (match["attempt"], *rest)
    if match := _RUN_STAGE.fullmatch(first):
        return meant(match["run"]), (match["stage"], *rest)
    if _names_run(service, first):
        return meant(first), rest
    return meant(""), words


def no_more(target: Target) -> Target:
    """Raises UsageError where words were left over."""
    if target.rest:
        raise UsageError(f"one word too many: {target.rest[0]}: expected [RUN] [STAGE | STAGE/EPOCH.NUMBER]")
    return target


def find_attempt(target: Target) -> AttemptView:
    """The attempt that is named, or the newest of the stage. Raises UsageError where there is none."""
    stage = target.view.stage(target.stage)
    if not target.attempt:
        if not stage.attempts:
            raise UsageError(f"stage {stage.id} of run {target.view.id} has no attempt yet: it is {stage.phase}")
        return stage.attempts[-1]
    for attempt in stage.attempts:
        if str(attempt.id) == target.attempt:
            return attempt
    known = ", ".join(str(attempt.id) for attempt in stage.attempts) or "none yet"
    raise UsageError(f"run {target.view.id} has no attempt {target.attempt}: there are {known}")


def _names_run(service: Service, word: str) -> bool:
    """A word that could be a stage is a run only by its whole id, or where no stage is called so."""
    runs = service.run_ids()
    if word in runs or not STAGE_NAME.fullmatch(word):
        return word != "base"
    if not any(run.endswith(word) for run in runs):
        return False
    return word not in service.stages_of_newest()


def _part(view: RunView, word: str) -> tuple[str, str]:
    """Stage, and attempt where one is named."""
    stage = word.partition("/")[0].partition("[")[0]
    known = [item.id for item in view.stages]
    if stage not in known:
        raise UsageError(f"run {view.id} has no stage {stage}: it has {', '.join(known)}")
    return (stage, word) if "/" in word else (stage, "")

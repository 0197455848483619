"""What the words after a verb mean: RUN, STAGE, STAGE/1.2, RUN/STAGE/1.2, in their natural combinations; and what a
shell offers to complete them.

Rule: every verb imports this, so it imports nothing that is slow. If nothing can be read, a shell is offered nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from interlock.core.ids import STAGE_NAME
from interlock.ports import InterlockError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from interlock.readmodel.history import AttemptView
    from interlock.readmodel.run import RunSummary, RunView
    from interlock.service import Service

    Choose = Callable[[str], RunSummary]


_ATTEMPT = re.compile(r"(?:(?P<run>[^/]+)/)?(?P<attempt>[^/]+/\d+\.\d+)")
_RUN_STAGE = re.compile(r"(?P<run>[^/]+)/(?P<stage>[^/]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """A run, and the stage or attempt of it. `attempt` is STAGE/EPOCH.NUMBER; `rest` are further words."""

    view: RunView
    stage: str = ""
    attempt: str = ""
    rest: tuple[str, ...] = ()


def only_one(service: Service, fits: Callable[[RunSummary], bool]) -> Choose:
    """Chooses a named run, or the only one that fits."""
    return lambda name: service.choose_run(name, fits)


def find_target(service: Service, words: Sequence[str], choose: Choose) -> Target:
    """`choose` finds the run of a name, or the default for an empty name. Raises UsageError."""
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
    try:
        return meant(""), words
    except UsageError as error:
        if first == "base" or not service.run_ids() or first in service.stages_of_newest():
            raise
        raise UsageError(f"no run has the name {first}: `interlock list` shows all runs") from error


def require_no_rest(target: Target) -> Target:
    """Raises UsageError if there are further words."""
    if target.rest:
        raise UsageError(f"unexpected argument: {target.rest[0]}: expected [RUN] [STAGE | STAGE/EPOCH.NUMBER]")
    return target


def find_attempt(target: Target) -> AttemptView:
    """The attempt that is named, or the newest of the stage. Raises UsageError if there is none."""
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
    """A word that could be a stage names a run only if it is a whole id, or no stage has that name."""
    runs = service.run_ids()
    if word in runs or not STAGE_NAME.fullmatch(word):
        return word != "base"
    if not any(run.endswith(word) for run in runs):
        return False
    return word not in service.stages_of_newest()


def _part(view: RunView, word: str) -> tuple[str, str]:
    """The stage, and the attempt if one is named."""
    stage = word.partition("/")[0].partition("[")[0]
    known = [item.id for item in view.stages]
    if stage not in known:
        raise UsageError(f"run {view.id} has no stage {stage}: it has {', '.join(known)}")
    return (stage, word) if "/" in word else (stage, "")


# --- shell completion -----------------------------------------------------------------------------

_RUNS_MAX = 20


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest runs by their ids, and `@`."""
    return _fitting(_runs, incomplete)


def targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For the first word runs and the stages of the default run; then the stages of the run."""
    words = tuple(ctx.params.get(param.name or "") or ())
    if words:
        return _fitting(lambda: _stages(words[0]), incomplete)
    return [*runs(ctx, param, incomplete), *_fitting(lambda: _stages(""), incomplete)]


def pipelines(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The pipelines of the repository, by name."""
    return _fitting(_pipelines, incomplete)


def _fitting(source: Callable[[], Iterable[CompletionItem]], incomplete: str) -> list[CompletionItem]:
    try:
        return [item for item in source() if item.value.startswith(incomplete)]
    except (InterlockError, OSError):
        return []


def _runs() -> Iterator[CompletionItem]:
    from click.shell_completion import CompletionItem

    from interlock.cli.application import application
    from interlock.cli.words import safe

    with application() as app:
        found = app.service.list_runs(_RUNS_MAX)
    for number, run in enumerate(found):
        yield CompletionItem(run.id, help=f"{run.phase}: {safe(run.task, 60)}")
        yield CompletionItem(f"@-{number}" if number else "@", help=f"{run.id}, {run.phase}")


def _stages(run: str) -> Iterator[CompletionItem]:
    from click.shell_completion import CompletionItem

    from interlock.cli.application import application

    with application() as app:
        found = app.service.pipeline_of(app.service.latest_run(run).id)
    yield from (CompletionItem(stage.id) for stage in found.stages)


def _pipelines() -> Iterator[CompletionItem]:
    from click.shell_completion import CompletionItem

    from interlock.cli.pipelines import repository_here
    from interlock.pipelinefile import find_pipelines

    yield from map(CompletionItem, find_pipelines(repository_here()))

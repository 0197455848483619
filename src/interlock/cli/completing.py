"""What a shell offers for a word. Rule: where nothing can be read, nothing is offered, and nothing is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from interlock.ports import InterlockError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_RUNS_MAX = 20


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest runs by their ids, and `@`."""
    return _fitting(_runs, incomplete)


def targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For the first word runs, and the stages of the one that is meant without a name; then stages of the run."""
    words = tuple(ctx.params.get(param.name or "") or ())
    if words:
        return _fitting(lambda: _stages(words[0]), incomplete)
    return [*runs(ctx, param, incomplete), *_fitting(lambda: _stages(""), incomplete)]


def pipelines(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the repository, by name."""
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

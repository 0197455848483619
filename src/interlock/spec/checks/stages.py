"""Stages and their graph: needs, cycles, ends, work."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

from interlock.core.pipeline import GateKind
from interlock.spec.mistakes import nearest

if TYPE_CHECKING:
    from interlock.core.pipeline import Stage
    from interlock.spec.checks.view import View
    from interlock.spec.models import StagePart


def check(view: View) -> None:
    for stage, part in view.stages():
        _needs(view, stage)
        _work(view, stage, part)
        _gated(view, stage)
        _later(view, stage, part)
    if not _cycle(view):
        _one_end(view)


def _needs(view: View, stage: Stage) -> None:
    known = view.declared("stages")
    for index, need in enumerate(stage.needs):
        path = ("stages", stage.id, "needs", index)
        if need == stage.id:
            view.error(path, f"{stage.id} needs itself", "take it out")
        elif need not in known:
            view.error(path, f"there is no stage {need}", nearest(need, known - {stage.id}, "define it under stages"))
        elif need in stage.needs[:index]:
            view.error(path, f"{need} is needed twice", "name it once")


def _work(view: View, stage: Stage, part: StagePart) -> None:
    at = ("stages", stage.id)
    if stage.agent and stage.command:
        view.at_key((*at, "run"), f"{stage.id} has both an agent and a script", "keep one, or make two stages of it")
    if part.prompt and stage.command and not stage.agent:
        view.at_key((*at, "prompt"), "a script has no prompt", "take it out, or name an agent")
    if stage.has_worker or view.is_broken(*at):
        return
    for key in (
        "prompt",
        "brief",
        "writes",
        "authors",
        "adds",
        "produces",
        "workspace",
        "may_be_empty",
        "max_files",
        "max_lines",
    ):
        if view.has(*at, key):
            hint = "add agent or run, or take it out"
            view.at_key((*at, key), f"{key} has no meaning: nobody works in {stage.id}", hint)


def _gated(view: View, stage: Stage) -> None:
    own = [gate for gate in stage.gates if gate.kind not in (GateKind.SCOPE, GateKind.PRODUCES)]
    if not own and not stage.produces and not view.is_broken("stages", stage.id):
        if not stage.has_worker and len(stage.needs) > 1:
            return  # a join: the gates of what it joins judge it again
        hint = "add gates, so that what it makes is judged"
        view.warn(("stages", stage.id), f"{stage.id} has no gates", hint)


def _later(view: View, stage: Stage, part: StagePart) -> None:
    for key, value in (("for_each", part.for_each), ("matrix", part.matrix)):
        if value is not None:
            view.later(("stages", stage.id, key), f"{key} comes later", "write the stages out until then")


def _cycle(view: View) -> bool:
    needs = {stage.id: [need for need in stage.needs if need != stage.id] for stage in view.pipeline.stages}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        way = list(reversed(error.args[1]))
        start = way.index(min(way[:-1], key=list(needs).index))
        turned = way[start:-1] + way[: start + 1]
        way_round = ", ".join(f"{one} needs {other}" for one, other in pairwise(turned))
        hint = "take one of these needs out; to go back after a rejection use on_reject with goto"
        view.error(("stages", turned[0], "needs"), f"stages need each other ({way_round})", hint)
        return True
    return False


def _one_end(view: View) -> None:
    """What is delivered is one tree, and it has to have been judged as such."""
    if view.is_broken("stages"):
        return
    needed = {need for stage in view.pipeline.stages for need in stage.needs}
    if any(view.is_broken("stages", stage.id) and not stage.needs for stage in view.pipeline.stages):
        return
    ends = [stage.id for stage in view.pipeline.stages if stage.id not in needed]
    if len(ends) > 1:
        hint = f"add a stage with `needs: [{', '.join(ends)}]`, so that what is delivered is judged"
        view.at_key(("stages", ends[1]), f"several stages come last ({', '.join(ends)})", hint)

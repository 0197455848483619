"""Stages and their graph: needs, cycles, the last stage, work; and values that cannot take effect: limits, timeouts,
inputs, the branch.
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

from interlock.conventions.programs import ADAPTERS
from interlock.gates import kinds
from interlock.pipelinefile.checks.agents import agents_of, used_agents
from interlock.pipelinefile.mistakes import nearest
from interlock.text.names import flaw, is_branch

if TYPE_CHECKING:
    from interlock.core.delivery import PullRequest
    from interlock.core.pipeline import Stage
    from interlock.pipelinefile.checks import View
    from interlock.pipelinefile.models import StagePart
    from interlock.pipelinefile.yaml import Path


def check(view: View) -> None:
    check_limits(view)
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
            view.error(path, f"{stage.id} needs itself", "remove it")
        elif need not in known:
            view.error(path, f"there is no stage {need}", nearest(need, known - {stage.id}, "define it under stages"))
        elif need in stage.needs[:index]:
            view.error(path, f"{need} is needed twice", "name it once")


def _work(view: View, stage: Stage, part: StagePart) -> None:
    at = ("stages", stage.id)
    if stage.agent and stage.command:
        view.at_key((*at, "run"), f"{stage.id} has both an agent and a script", "keep one, or split it into two stages")
    if part.prompt and stage.command and not stage.agent:
        view.at_key((*at, "prompt"), "a script has no prompt", "remove it, or name an agent")
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
        "referee",
        "max_files",
        "max_lines",
    ):
        if view.has(*at, key):
            hint = "add agent or run, or remove it"
            view.at_key((*at, key), f"{key} has no effect: {stage.id} has no agent and no script", hint)


def _gated(view: View, stage: Stage) -> None:
    own = [gate for gate in stage.gates if kinds.find(gate.kind).is_written]
    if not own and not stage.produces and not view.is_broken("stages", stage.id):
        if not stage.has_worker and len(stage.needs) > 1:
            return  # a join: the gates of the joined stages judge it again
        hint = "add gates, so that what it makes is judged"
        view.warn(("stages", stage.id), f"{stage.id} has no gates", hint)


def _later(view: View, stage: Stage, part: StagePart) -> None:
    for key, value in (("for_each", part.for_each), ("matrix", part.matrix)):
        if value is not None:
            view.later(
                ("stages", stage.id, key), f"{key} is not supported yet", "write each stage separately until then"
            )


def _cycle(view: View) -> bool:
    needs = {stage.id: [need for need in stage.needs if need != stage.id] for stage in view.pipeline.stages}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        way = list(reversed(error.args[1]))
        start = way.index(min(way[:-1], key=list(needs).index))
        turned = way[start:-1] + way[: start + 1]
        way_round = ", ".join(f"{one} needs {other}" for one, other in pairwise(turned))
        hint = "remove one of these needs; to go back after a rejection, use `on_reject` with `goto`"
        view.error(("stages", turned[0], "needs"), f"stages need each other ({way_round})", hint)
        return True
    return False


def _one_end(view: View) -> None:
    """One tree is delivered, and a stage must have judged that tree: so exactly one stage is last."""
    if view.is_broken("stages"):
        return
    needed = {need for stage in view.pipeline.stages for need in stage.needs}
    if any(view.is_broken("stages", stage.id) and not stage.needs for stage in view.pipeline.stages):
        return
    ends = [stage.id for stage in view.pipeline.stages if stage.id not in needed]
    if len(ends) > 1:
        hint = f"add a stage with `needs: [{', '.join(ends)}]`, so that the tree that is delivered is judged"
        view.at_key(("stages", ends[1]), f"several stages are last ({', '.join(ends)})", hint)


_REMOTE = re.compile(r"[A-Za-z0-9_][\w./-]*")
_AUTHOR = re.compile(r"[^<>\n]+ <[^<>\s]+@?[^<>\s]*>")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


def check_limits(view: View) -> None:
    _attempts(view)
    _cost(view)
    _timeouts(view)
    _networks(view)
    _inputs(view)
    _branch(view)


def _attempts(view: View) -> None:
    working = [stage.id for stage in view.pipeline.stages if stage.has_worker]
    if view.draft.file.limits.attempts and view.pipeline.limits.attempts < len(working):
        hint = f"write {len(working)} at least: that many stages have work to do"
        view.error(
            ("limits", "attempts"), f"with limits.attempts of {view.pipeline.limits.attempts}, no run can finish", hint
        )


def _cost(view: View) -> None:
    """A limit in dollars needs the cost of every agent that counts towards it."""
    if view.draft.file.limits.cost_usd:
        _known_costs(view, used_agents(view), ("limits", "cost_usd"))
    for stage, part in view.stages():
        if part.limits.cost_usd:
            _known_costs(view, agents_of(view, stage), ("stages", stage.id, "limits", "cost_usd"))


def _known_costs(view: View, used: set[str], at: Path) -> None:
    silent = {adapter.name for adapter in ADAPTERS.values() if not adapter.tells_cost}
    for agent in view.pipeline.agents:
        if agent.name in used and agent.use in silent and "price" not in dict(agent.options):
            name = "limits.cost_usd" if at[0] == "limits" else f"cost_usd of {at[1]}"
            view.error(
                at,
                f"{name} has no effect: {agent.use} reports no cost, and the agent {agent.name} has no price",
                f"add `price: {{input: 1.25, output: 10}}` to {agent.name}, in dollars per million tokens, or limit"
                " tokens instead",
            )


def _timeouts(view: View) -> None:
    defaults = view.draft.file.defaults
    _idle(view, ("defaults",), defaults.timeout, defaults.idle_timeout)
    for stage, part in view.stages():
        _idle(view, ("stages", stage.id), part.timeout, part.idle_timeout)
    wall = view.pipeline.limits.wall_s
    longest = max((stage.timeout_s for stage in view.pipeline.stages if stage.has_worker), default=0)
    if wall and wall < longest:
        hint = f"write {longest}s or more, or shorten the stages' timeout"
        view.warn(("limits", "wall"), "limits.wall is shorter than one attempt may take", hint)


def _networks(view: View) -> None:
    for stage, part in view.stages():
        if part.network is not None and stage.command is None:
            hint = "write it at the agent, under `agents`" if stage.agent else "write it at its gates"
            view.at_key(("stages", stage.id, "network"), f"{stage.id} has no script (`run`)", hint)


def _idle(view: View, at: Path, timeout: int | None, idle: int | None) -> None:
    if timeout and idle and idle > timeout:
        hint = f"write {timeout}s at most"
        view.error((*at, "idle_timeout"), "idle_timeout is longer than timeout, so it has no effect", hint)


def _inputs(view: View) -> None:
    for name, part in view.draft.file.inputs.items():
        if part.required and part.default is not None:
            hint = "take `required` out, or the default"
            view.at_key(("inputs", name, "required"), f"{name} is required and has a default", hint)


def _branch(view: View) -> None:
    deliver = view.pipeline.deliver
    if view.has("deliver", "branch"):
        sample = _TAG.sub("x", deliver.branch)
        tags = "".join(_TAG.findall(deliver.branch))
        if wrong := flaw(sample, deliver.branch):
            view.error(("deliver", "branch"), wrong, "write one such as interlock/{{ run.id }}")
        elif "run" not in tags:
            which = "runs with the same inputs" if "inputs" in tags else "every run"
            hint = "put {{ run.id }} into it, since an existing branch is never moved"
            view.warn(("deliver", "branch"), f"{which} would deliver the same branch", hint)
    if deliver.author and not _AUTHOR.fullmatch(deliver.author):
        view.error(("deliver", "author"), f"{deliver.author} is not a valid author", "write NAME <MAIL>")
    if deliver.pull_request is not None:
        _proposed(view, deliver.pull_request)


def _proposed(view: View, asked: PullRequest) -> None:
    at = ("deliver", "pull_request")
    if not _REMOTE.fullmatch(asked.remote):
        hint = "write the name that `git remote` prints, such as origin"
        view.error((*at, "remote"), f"{asked.remote!r} is not a valid name of a remote", hint)
    if asked.base and not is_branch(asked.base):
        view.error((*at, "base"), f"{asked.base} is not a valid branch name", "write one such as main")

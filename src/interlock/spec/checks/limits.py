"""Numbers and names that cannot come true: limits, timeouts, inputs, the branch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interlock.core.branches import flaw, is_branch
from interlock.spec.checks.agents import TELL_NO_COST, agents_of, used_agents

if TYPE_CHECKING:
    from interlock.core.pipeline import PullRequest
    from interlock.spec.checks.view import View
    from interlock.spec.yaml import Path

_REMOTE = re.compile(r"[A-Za-z0-9_][\w./-]*")
_AUTHOR = re.compile(r"[^<>\n]+ <[^<>\s]+@?[^<>\s]*>")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


def check(view: View) -> None:
    _attempts(view)
    _cost(view)
    _timeouts(view)
    _inputs(view)
    _branch(view)


def _attempts(view: View) -> None:
    working = [stage.id for stage in view.pipeline.stages if stage.has_worker]
    if view.draft.file.limits.attempts and view.pipeline.limits.attempts < len(working):
        hint = f"write {len(working)} at least: that many stages have work to do"
        view.error(
            ("limits", "attempts"), f"with limits.attempts of {view.pipeline.limits.attempts} no run can finish", hint
        )


def _cost(view: View) -> None:
    """A limit in dollars needs to know what everybody costs who is under it."""
    if view.draft.file.limits.cost_usd:
        _known_costs(view, used_agents(view), ("limits", "cost_usd"))
    for stage, part in view.stages():
        if part.limits.cost_usd:
            _known_costs(view, agents_of(view, stage), ("stages", stage.id, "limits", "cost_usd"))


def _known_costs(view: View, used: set[str], at: Path) -> None:
    for agent in view.pipeline.agents:
        if agent.name in used and agent.use in TELL_NO_COST and "price" not in dict(agent.options):
            name = "limits.cost_usd" if at[0] == "limits" else f"cost_usd of {at[1]}"
            view.error(
                at,
                f"{name} cannot bind: {agent.use} reports no cost, and the agent {agent.name} has no price",
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


def _idle(view: View, at: Path, timeout: int | None, idle: int | None) -> None:
    if timeout and idle and idle > timeout:
        hint = f"write {timeout}s at most"
        view.error((*at, "idle_timeout"), "idle_timeout is longer than timeout and never ends anything", hint)


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
            hint = "put {{ run.id }} into it, since a branch that is there is never moved"
            view.warn(("deliver", "branch"), f"{which} would deliver the same branch", hint)
    if deliver.author and not _AUTHOR.fullmatch(deliver.author):
        view.error(("deliver", "author"), f"{deliver.author} is no author", "write NAME <MAIL>")
    if deliver.pull_request is not None:
        _proposed(view, deliver.pull_request)


def _proposed(view: View, asked: PullRequest) -> None:
    at = ("deliver", "pull_request")
    if not _REMOTE.fullmatch(asked.remote):
        hint = "write the name that `git remote` prints, such as origin"
        view.error((*at, "remote"), f"{asked.remote!r} is no name of a remote", hint)
    if asked.base and not is_branch(asked.base):
        view.error((*at, "base"), f"{asked.base} is no name of a branch", "write one such as main")

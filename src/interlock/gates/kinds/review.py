"""The review gate: agents read the candidate and say approve, revise or escalate (see `gates.reviews`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from interlock.core.pipeline import Gate, GateClass, GateOptions, Pipeline, Stage, Text
from interlock.gates.kinds import KeyPath, Kind, OutsideRun, View, option, options_of
from interlock.text.cleaning import count, cut

if TYPE_CHECKING:
    from interlock.gates.referee import GateContext
    from interlock.ports import Cancel, GateRequest, Judgement


@dataclass(frozen=True, slots=True)
class Review(GateOptions):
    """Agents that judge a candidate. `approvals` of them must approve; `preserves` are STAGE/NAME of documents, all of
    whose requirements the candidate must keep."""

    by: tuple[str, ...] = option(form="several")
    rubric: Text | None = None
    approvals: int = option(default=1, unset=0)  # if the file does not have it: all of them
    preserves: tuple[str, ...] = ()

    @property
    def gate_class(self) -> GateClass:
        return GateClass.SOFT

    @property
    def agents(self) -> tuple[str, ...]:
        return self.by


def complete(options: GateOptions) -> GateOptions:
    assert isinstance(options, Review)
    return replace(options, approvals=options.approvals or len(options.by))


def check(view: View, stage: Stage, gate: Gate, at: KeyPath) -> None:
    review = options_of(gate, Review)
    for index, name in enumerate(review.by):
        if hint := view.unknown_agent(name):
            view.error((*at, "by", index), f"there is no agent {name}", hint)
        elif name in review.by[:index]:
            view.error((*at, "by", index), f"{name} is named twice", "name each reviewer once")
        elif stage.agent and _same_model(view, stage.agent, name):
            hint = "use another model for the review: the same model overlooks its own mistakes"
            view.warn((*at, "by", index), f"{name} is the same model as the writer {stage.agent}", hint)
    if review.approvals > len(review.by):
        hint = f"name more reviewers, or ask for {len(review.by)} at most"
        view.error((*at, "approvals"), f"{review.approvals} approvals of {len(review.by)}", hint)
    known = view.documents(stage)
    for index, name in enumerate(review.preserves):
        if name not in known:
            otherwise = f"name a document of {stage.id} or of a stage that it depends on, as STAGE/NAME"
            view.error((*at, "preserves", index), f"there is no document {name}", view.nearest(name, known, otherwise))


def judge(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    """The judgement of the reviewers. Raises Cancelled and InfrastructureError."""
    from interlock.gates.reviews.panel import asked_panel

    return asked_panel(context, request, options_of(request.gate, Review), cancel)


def _same_model(view: View, writer: str, reviewer: str) -> bool:
    specs = {spec.name: (spec.use, spec.model, spec.command) for spec in view.pipeline.agents}
    return writer in specs and specs[writer] == specs.get(reviewer)


def _outside_run(gate: Gate, conditions: OutsideRun) -> str:
    return "agents review only in a run"


def _brief_line(pipeline: Pipeline, stage: Stage, gate: Gate) -> str:
    review = options_of(gate, Review)
    line = f"read by {count(len(review.by), 'other agent')}"
    if review.approvals < len(review.by):
        line += f", of whom {review.approvals} must approve"
    if review.preserves:
        line += f"; what {cut(', '.join(review.preserves), 120)} requires must be kept"
    return f"{line}. They judge by: {cut(review.rubric.content, 600)}" if review.rubric else line


def _plan_line(gate: Gate) -> str:
    review = options_of(gate, Review)
    return f"{review.approvals} of {', '.join(review.by)} must approve"


KIND = Kind(
    "review",
    "",
    judge,
    options=Review,
    complete=complete,
    takes=("timeout", "env", "secrets", "network"),
    gives_reasons=True,
    check=check,
    outside_run=_outside_run,
    brief_line=_brief_line,
    plan_line=_plan_line,
)

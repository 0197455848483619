"""What the page of a run is made of, from its view, its inbox and its commits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from interlock.application import Application
from interlock.core.events import VerdictGiven
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptView, Reply
from interlock.readmodel.reasons import alike
from interlock.readmodel.run import OVER, RunPhase, RunView, StageView
from interlock.web.changes import Changes, Ends, changes, not_shown
from interlock.web.decisions import Question, questions
from interlock.web.evidence import Checks, WholeChange, caught, checks, whole_change
from interlock.web.outcomes import outcomes, rejected_before
from interlock.web.standing import at_work, delivered, standing, whys

_ATTEMPTS_MAX = 20  # of a stage, the newest
_OPEN_LINES_MAX = 400  # of a change beside its question
_OPEN = (Phase.PAUSED, Phase.REJECTED, Phase.WORKING, Phase.JUDGING)


@dataclass(frozen=True, slots=True)
class StageItem:
    """A stage with its attempts, equal ones in a row as one group."""

    stage: StageView
    groups: tuple[tuple[AttemptView, ...], ...]
    open: bool
    asked: bool = False  # its newest attempt waits for an approval


@dataclass(frozen=True, slots=True)
class QuestionItem:
    """A question with what a person has to see; `mine` if the form that was refused answered it."""

    question: Question
    change: WholeChange | None
    checks: tuple[Checks, ...]
    mine: bool
    rejected: Reply | None = None  # what a person said of an earlier attempt at this gate
    unseen: str = ""  # of the change that is to be approved or accepted

    @property
    def keeps(self) -> bool:
        """Whether its form shows the comment of the form that was refused."""
        return self.mine and self.question.given is None

    @property
    def passed(self) -> int:
        return sum(one.passed for one in self.checks[1:])

    @property
    def judged(self) -> int:
        return sum(len(one.verdicts) for one in self.checks[1:])


def run_parts(app: Application, view: RunView, mark: str, now: float) -> dict[str, object]:
    """`mark` is that of the form that was refused, or empty."""
    inbox = app.service.engine.untaken(view.id)
    asked = questions(view, inbox)
    items = [_item(app, view, question, mark, alone=len(asked) == 1) for question in asked]
    diff = _diff(app, view, items)
    if diff is not None:
        items = [_with_diff(items[0]), *items[1:]]
    failed = list(caught(view))
    reasons = list(whys(view))
    return {
        "over": view.phase in OVER,
        "standing": standing(view),
        "working": list(at_work(view)) if view.phase is RunPhase.RUNNING else [],
        "whys": reasons,
        "said_why": view.why if view.phase in (RunPhase.STOPPED, RunPhase.CANCELLED, RunPhase.SLEEPING) else "",
        "questions": items,
        "diff": diff,
        "kept": any(item.keeps for item in items),
        "resumable": view.phase is RunPhase.INTERRUPTED,
        "change": None if items else whole_change(app.workspaces, view),
        "caught": failed,
        "rejected": sum(len(one.attempts) for one in failed),
        "outcomes": list(outcomes(view, inbox)),
        "delivered": delivered(series=app.service.pipeline_of(view.id).deliver.series) if view.branch else "",
        "stages": [_stage(stage, is_over=view.phase in OVER) for stage in view.stages],
        "base": _open_verdicts(view),
    }


def unseen(app: Application, view: RunView, subject: str) -> str:
    """What the page cannot show of the change of an attempt, in words; empty if it shows all of it."""
    return _not_shown(app, view, whole_change(app.workspaces, view, subject))


def _item(app: Application, view: RunView, question: Question, mark: str, *, alone: bool) -> QuestionItem:
    subject = question.accept or question.wait.subject
    change = whole_change(app.workspaces, view, subject) or whole_change(app.workspaces, view)
    found = tuple(checks(view, question.wait.subject))
    mine = bool(mark) and (alone or question.mark == mark)
    wait = question.wait
    rejected = rejected_before(view, wait.subject, wait.gate) if wait.reason == "approval" else None
    unseen = _not_shown(app, view, change) if wait.reason == "approval" or question.accept else ""
    return QuestionItem(question, change, found, mine, rejected, unseen)


def _not_shown(app: Application, view: RunView, change: WholeChange | None) -> str:
    if change is None or change.why:
        return change.why if change else ""
    return not_shown(app.workspaces, view, view.base_commit, change.attempt.commit, change.left_out)


def _diff(app: Application, view: RunView, items: list[QuestionItem]) -> Changes | None:
    """The lines of the change that the first question is about; of a large one the small files are open."""
    change = items[0].change if items else None
    if change is None or not change.has_lines:
        return None
    made = change.attempt
    address = f"/runs/{view.id}/attempts/{made.id.stage}/{made.id.epoch}.{made.id.number}?against=base&"
    ends = Ends(
        view.base_commit, made.commit, f"interlock diff {view.id} base {made.id}", address, room=_OPEN_LINES_MAX
    )
    return changes(app.workspaces, view, ends, made.verdicts)


def _with_diff(item: QuestionItem) -> QuestionItem:
    return replace(item, change=replace(item.change, shown=True) if item.change else None)


def _stage(stage: StageView, *, is_over: bool) -> StageItem:
    asked = stage.phase is Phase.JUDGING and bool(stage.attempts and stage.attempts[-1].asked) and not is_over
    return StageItem(stage, _groups(stage), stage.phase in _OPEN, asked)


def _groups(stage: StageView) -> tuple[tuple[AttemptView, ...], ...]:
    return tuple(tuple(group) for group in alike(stage.attempts[-_ATTEMPTS_MAX:]))


def _open_verdicts(view: RunView) -> tuple[VerdictGiven, ...]:
    """Of the base, if nothing was tried on it."""
    return tuple(_newest_of_base(view)) if not any(stage.attempts for stage in view.stages) else ()


def _newest_of_base(view: RunView) -> Iterator[VerdictGiven]:
    newest = {one.verdict.gate: one.verdict for one in view.base_verdicts}
    yield from (verdict for verdict in newest.values() if verdict.status != "passed")

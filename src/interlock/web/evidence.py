"""What a person has to see before they decide: the whole change from the base, its verdicts, and what did not pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from interlock.core.events import VerdictGiven, VerdictStatus
from interlock.core.feedback import passed_limit
from interlock.core.pipeline import ARTIFACTS
from interlock.ports import Change, InterlockError, Workspaces
from interlock.readmodel.history import AttemptPhase, AttemptView
from interlock.readmodel.reasons import alike
from interlock.readmodel.run import RunView, StageView
from interlock.service.diffs import visible_diff
from interlock.text.cleaning import plain, without_place

_FAILED = (AttemptPhase.REJECTED, AttemptPhase.ERRORED, AttemptPhase.LOST)


@dataclass(frozen=True, slots=True)
class WholeChange:
    """What differs between the run's base and the newest candidate that counts. `attempt` has it; `documents` are
    artifacts, which are not delivered; `why` says why it cannot be shown."""

    attempt: AttemptView
    files: tuple[Change, ...]
    documents: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    why: str = ""
    shown: bool = False  # its lines are on the same page
    left_out: tuple[str, ...] = ()  # files that are withheld

    @property
    def has_lines(self) -> bool:
        return any(change.added or change.removed for change in (*self.files, *self.documents))

    @property
    def added(self) -> int:
        return sum(change.added for change in self.files)

    @property
    def removed(self) -> int:
        return sum(change.removed for change in self.files)


@dataclass(frozen=True, slots=True)
class Checks:
    """The newest verdict of each gate on an attempt."""

    attempt: AttemptView
    verdicts: tuple[VerdictGiven, ...]

    @property
    def passed(self) -> int:
        return sum(verdict.status is VerdictStatus.PASSED for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class Caught:
    """Attempts in a row that ended in the same way; `gates` said no to the newest, `message` is the first finding."""

    attempts: Sequence[AttemptView]
    gates: tuple[str, ...]
    file: str
    line: int
    message: str
    gate: str = ""  # of that finding
    limited: bool = False  # a limit of the sandbox ended the work, as the message says

    @property
    def newest(self) -> AttemptView:
        return self.attempts[-1]


def whole_change(workspaces: Workspaces, view: RunView, subject: str = "") -> WholeChange | None:
    """Up to the attempt `subject`; without it up to the newest candidate that was accepted, or is judged. None if there
    is none."""
    attempt = _newest(view, subject)
    if attempt is None:
        return None
    try:
        found = visible_diff(workspaces, view, view.base_commit, attempt.commit, patch=False)
    except InterlockError as error:
        return WholeChange(attempt, (), (), why=str(error))
    documents = tuple(one for one in found.changes if one.path.startswith(f"{ARTIFACTS}/"))
    files = tuple(one for one in found.changes if not one.path.startswith(f"{ARTIFACTS}/"))
    return WholeChange(attempt, files, documents, found.notes, left_out=found.left_out)


def checks(view: RunView, subject: str) -> Iterator[Checks]:
    """Of the attempt `subject`, then of each accepted attempt that it builds on, newest stage first."""
    for stage in reversed(view.stages):
        attempt = next((one for one in reversed(stage.attempts) if str(one.id) == subject), None) or _accepted(stage)
        if attempt is not None and (verdicts := newest_verdicts(attempt)):
            yield Checks(attempt, verdicts)


def caught(view: RunView) -> Iterator[Caught]:
    """What did not pass, of all stages, newest first; equal attempts in a row are one."""
    for stage in reversed(view.stages):
        for group in reversed(list(alike(stage.attempts))):
            if group[-1].phase in _FAILED:
                yield _caught(group)


def newest_verdicts(attempt: AttemptView) -> tuple[VerdictGiven, ...]:
    newest = {view.verdict.gate: view.verdict for view in attempt.verdicts}
    return tuple(newest.values())


def not_passed(verdicts: Iterable[VerdictGiven]) -> list[VerdictGiven]:
    """Hard ones first."""
    found = [verdict for verdict in verdicts if verdict.status is not VerdictStatus.PASSED]
    return sorted(found, key=lambda verdict: not verdict.hard)


def _newest(view: RunView, subject: str) -> AttemptView | None:
    attempts = [one for stage in view.stages for one in stage.attempts if one.commit]
    if subject:
        return next((one for one in attempts if str(one.id) == subject), None)
    standing = (AttemptPhase.ACCEPTED, AttemptPhase.JUDGING)
    return next((one for one in reversed(attempts) if one.phase in standing), attempts[-1] if attempts else None)


def _accepted(stage: StageView) -> AttemptView | None:
    return next((one for one in reversed(stage.attempts) if stage.commit and one.commit == stage.commit), None)


def _caught(group: Sequence[AttemptView]) -> Caught:
    newest = group[-1]
    said_no = not_passed(newest_verdicts(newest))
    gates = tuple(verdict.gate for verdict in said_no)
    first = next((verdict for verdict in said_no if verdict.findings), None)
    if first is None:
        return Caught(group, gates, "", 0, plain(newest.why, 600))
    finding = first.findings[0]
    if limit := passed_limit(first):
        return Caught(group, (), "", 0, plain(limit, 600), first.gate, limited=True)
    message = without_place(plain(finding.message, 600), finding.file, finding.line)
    return Caught(group, gates, finding.file, finding.line, message, first.gate)

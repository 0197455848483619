"""Conflicts of a join: no marker may be left, and each conflict without markers needs a decision that the tree matches.

Rule: a decision counts only as far as the tree shows it. The sides are compared whole: content, mode, or absence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from interlock.conventions import protected_changes
from interlock.core.conflicts import Side, SideChange, Undecided
from interlock.core.events import Finding
from interlock.core.joins import DECISIONS, DELETED, EDITED, choices, described
from interlock.ports import Change, GateRequest, UsageError, Workspaces

_BYTES_MAX = 10_000_000
_ABSENT = "000000"
_MARKERS = (b"<<<<<<< ", b">>>>>>> ", b"||||||| ")
_MARKED_BYTES_MAX = 20_000_000


def judge(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change], folder: str) -> Iterator[Finding]:
    """A finding for each path without a decision, or with one that the tree does not match. `folder` has the stage's
    artifacts."""
    if not request.undecided:
        return
    file = f"{folder}/{request.stage.id}/{DECISIONS}"
    decisions: Mapping[str, object] = {}
    if any(change.path == file and change.new_mode != _ABSENT for change in changes):
        try:
            decisions = _read(workspaces.read(request.commit, file, _BYTES_MAX) or b"")
        except (UsageError, ValueError) as error:
            message = f"{file}: {error}: expected a JSON object with a decision for each path"
            yield Finding("undecided", message, file=file)
    trees = _Trees(workspaces, request)
    for item in request.undecided:
        finding = _complaint(trees, item, decisions.get(item.path), file)
        if finding:
            yield Finding("undecided", finding, file=item.path)


def marked(request: GateRequest) -> tuple[str, ...]:
    """The paths of conflicts that left markers."""
    bare = {item.path for item in request.undecided if not item.marked}
    return tuple(path for path in request.conflicts if path not in bare)


def writable(request: GateRequest, changes: Sequence[Change]) -> tuple[str, ...]:
    """The paths in conflict, and changes below a path of which one side made a folder."""
    folders = [
        f"{item.path}/" for item in request.undecided if any(side.did is SideChange.FOLDER for side in item.sides)
    ]
    below = (change.path for change in changes if any(change.path.startswith(folder) for folder in folders))
    return (*request.conflicts, *below)


def as_one_side(workspaces: Workspaces, request: GateRequest) -> frozenset[str]:
    """The undecided paths that are as one side left them. That side was accepted, so even a protected path may be
    so."""
    trees = _Trees(workspaces, request)
    return frozenset(
        item.path for item in request.undecided if any(trees.differs(side, item.path) is None for side in item.sides)
    )


def markers_left(workspaces: Workspaces, request: GateRequest) -> Iterator[Finding]:
    for path in marked(request):
        try:
            content = workspaces.read(request.commit, path, _MARKED_BYTES_MAX) or b""
        except UsageError:
            yield Finding("conflict", f"{path}: too large to search for conflict markers", file=path)
            continue
        for number, line in enumerate(content.splitlines(), 1):
            if line.startswith(_MARKERS):
                message = f"{path}:{number}: a conflict marker remains: merge both sides and remove the markers"
                yield Finding("conflict", message, file=path, line=number)
                break


def protected_complaint(workspaces: Workspaces, request: GateRequest, change: Change) -> tuple[str, str] | None:
    """None if a protected file is as one side had it, or contains the tests of both."""
    if change.status == "M" and change.old_mode == change.new_mode:
        try:
            commits = (request.input_commit, request.commit, request.base_commit)
            old, new, base = (workspaces.read(commit, change.path, _BYTES_MAX) for commit in commits)
        except UsageError:
            old = new = base = None
        if old is not None and new is not None and protected_changes.is_reconciled(change.path, old, new, base or b""):
            return None
    both = ", or keep every line of both sides and add nothing" if protected_changes.may_hold_both(change.path) else ""
    return "protected", f"in a conflict, but it is protected: take the file as one side has it{both}"


def _read(content: bytes) -> Mapping[str, object]:
    """Raises ValueError if it is no object or has a path twice."""
    try:
        found = json.loads(content, object_pairs_hook=_unique_keys)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("it is not an object")
    return found


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a path occurs twice")
    return found


class _Trees:
    """The candidate compared with the sides, each side once."""

    def __init__(self, workspaces: Workspaces, request: GateRequest) -> None:
        self._workspaces, self._commit = workspaces, request.commit
        self._known: dict[str, Mapping[str, Change]] = {}

    def differs(self, side: Side, path: str) -> Change | None:
        """How the candidate differs from the side at the path; None if it does not."""
        if side.commit not in self._known:
            changes = self._workspaces.changes(side.commit, self._commit)
            self._known[side.commit] = {change.path: change for change in changes}
        return self._known[side.commit].get(path)

    def is_gone(self, item: Undecided) -> bool:
        """Whether the candidate has no file at the path."""
        side = item.sides[0]
        change = self.differs(side, item.path)
        return change.new_mode == _ABSENT if change else side.did in (SideChange.DELETED, SideChange.FOLDER)


def _complaint(trees: _Trees, item: Undecided, decision: object, file: str) -> str:
    """What is wrong with the decision of a path, and what would be right; empty if nothing is wrong."""
    options = ", ".join(f'"{word}"' for word in choices(item))
    key = json.dumps(item.path)
    if decision is None:
        return (
            f"{item.path}: this conflict has no decision ({described(item)}; the merge has it {item.left}):"
            f" write {key} into {file}, with one of {options}, and let the file be so"
        )
    if decision not in choices(item):
        return f"{item.path}: {file} says {json.dumps(decision)[:80]}: write one of {options}"
    if _matches(trees, item, str(decision)):
        return ""
    actual = _actual(trees, item)
    return f'{item.path}: {file} says "{decision}", but the file is {actual}: change the file, or the decision'


def _matches(trees: _Trees, item: Undecided, word: str) -> bool:
    same = {side.stage for side in item.sides if trees.differs(side, item.path) is None}
    if word in same:
        return True
    gone = trees.is_gone(item)
    return (word == DELETED and gone) or (word == EDITED and not gone and not same)


def _actual(trees: _Trees, item: Undecided) -> str:
    same = [side.stage for side in item.sides if trees.differs(side, item.path) is None]
    if same:
        return f"as {' and '.join(same)} left it"
    return "not there" if trees.is_gone(item) else "as no side left it"

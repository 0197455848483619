"""Diffs as they may be shown: without files, and names, that hold a secret which was handed out.

Rule: the reader's environment may lack the secrets of a run. So what is left out is what the candidate was rejected
for: each file that a finding names, and every file if there were too many findings to keep. What was accepted all the
same is in every later candidate, whose own gates do not name it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from interlock.core.events import Finding
from interlock.gates.forbidden import RULE
from interlock.gates.reports import FILE_MAX, FINDINGS_MAX
from interlock.ports import Change, Workspaces
from interlock.readmodel.history import AttemptView
from interlock.readmodel.run import RunView
from interlock.text.cleaning import plain
from interlock.text.patches import Bounds, read_patch

_STARS = "***"


@dataclass(frozen=True, slots=True)
class VisibleDiff:
    """`changes` with names that can be shown; `patch` is without the files `left_out`, whose names are masked."""

    changes: tuple[Change, ...]
    patch: bytes = b""
    left_out: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()  # whose findings say why

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each file, for people."""
        why = f"it contains a secret that the agent had access to (see the findings of {', '.join(self.attempts)})"
        return tuple(f"{name} is left out: {why}" for name in self.left_out)


def visible_diff(workspaces: Workspaces, view: RunView, old: str, new: str, *, patch: bool = True) -> VisibleDiff:
    """The difference between two commits or trees of the run."""
    attempts = _with_secrets(view, (old, new))
    changes = workspaces.changes(old, new) if attempts or not patch else ()
    moved = _moved(workspaces, attempts, new)
    names = (
        {one.path: _masked_name(one.path, attempts) or moved.get(one.path, "") for one in changes} if attempts else {}
    )
    hidden = [path for path, name in names.items() if name]
    visible = tuple(replace(change, path=names.get(change.path) or change.path) for change in changes)
    text = b"" if not patch or (hidden and len(hidden) == len(changes)) else workspaces.patch(old, new, hidden)
    return VisibleDiff(visible, text, tuple(names[path] for path in hidden), tuple(str(one.id) for one in attempts))


def is_withheld(workspaces: Workspaces, view: RunView, commit: str, path: str) -> bool:
    """Whether a file of a candidate is not shown."""
    attempts = _with_secrets(view, (commit,))
    return bool(_masked_name(path, attempts)) or path in _moved(workspaces, attempts, commit)


def _with_secrets(view: RunView, ends: Sequence[str]) -> list[AttemptView]:
    every = (attempt for stage in view.stages for attempt in stage.attempts)
    made = (one for one in every if one.record or {one.commit, one.tree} & {*ends})
    return [attempt for attempt in made if any(finding.rule == RULE for finding in _findings(attempt))]


def _moved(workspaces: Workspaces, attempts: Sequence[AttemptView], new: str) -> dict[str, str]:
    """The files in `new` that were one of those when they were accepted, and have another name since; each as it is
    called in public."""
    return {
        file.path: plain(file.path, FILE_MAX)
        for one in attempts
        if new not in (one.commit, one.tree)
        for file in read_patch(workspaces.patch(one.commit, new), Bounds(lines=0))
        if file.path != file.old_path and _masked_name(file.old_path, [one])
    }


def _masked_name(path: str, attempts: Sequence[AttemptView]) -> str:
    """The name as the findings have it; empty if the whole file can be shown."""
    shown = plain(path, FILE_MAX)
    named = [finding.file for attempt in attempts for finding in _findings(attempt) if finding.rule == RULE]
    for name in sorted(named, key=lambda name: _STARS in name):  # exact names first
        if _matches(name, shown) or _matches(plain(name, FILE_MAX), shown):  # a former version removed less from names
            return name
    is_cut = any(len(item.verdict.findings) >= FINDINGS_MAX for one in attempts for item in one.verdicts)
    return _STARS if is_cut else ""


def _findings(attempt: AttemptView) -> list[Finding]:
    return [finding for item in attempt.verdicts for finding in item.verdict.findings]


def _matches(name: str, path: str) -> bool:
    """A name that held a secret itself has stars in it."""
    parts = name.split(_STARS)
    return path == name or (len(parts) > 1 and fnmatchcase(path, "*".join(map(_escaped, parts))))


def _escaped(text: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)

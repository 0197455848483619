"""What is not shown of a candidate: files, and names, that hold a secret which was handed out.

Rule: whoever looks does not know the secrets of a run, which may have had another environment. So what is left out is
what the candidate was rejected for: each file that a finding names, and all where findings were too many to be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from interlock.core.events import Finding
from interlock.core.history import AttemptView
from interlock.core.text import plain
from interlock.core.views import RunView
from interlock.gates.leaks import RULE
from interlock.gates.reports import FILE_MAX, FINDINGS_MAX
from interlock.ports import Change, Workspaces

_STARS = "***"


@dataclass(frozen=True, slots=True)
class VisibleDiff:
    """`changes` by names that can be shown; `patch` lacks the files `left_out`, which are named as they can be."""

    changes: tuple[Change, ...]
    patch: bytes = b""
    left_out: tuple[str, ...] = ()
    whose: tuple[str, ...] = ()  # the attempts whose findings say why

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each file, for people."""
        why = f"it holds a secret that was handed out (see the findings of {', '.join(self.whose)})"
        return tuple(f"{name} is left out: {why}" for name in self.left_out)


def shown(workspaces: Workspaces, view: RunView, old: str, new: str, *, patch: bool = True) -> VisibleDiff:
    """What lies between two commits or trees of the run."""
    whose = _with_secrets(view, (old, new))
    changes = workspaces.changes(old, new) if whose or not patch else ()
    names = {change.path: _name(change.path, whose) for change in changes} if whose else {}
    hidden = [path for path, name in names.items() if name]
    told = tuple(replace(change, path=names.get(change.path) or change.path) for change in changes)
    text = b"" if not patch or (hidden and len(hidden) == len(changes)) else workspaces.patch(old, new, hidden)
    return VisibleDiff(told, text, tuple(names[path] for path in hidden), tuple(str(one.id) for one in whose))


def is_withheld(view: RunView, commit: str, path: str) -> bool:
    """Whether a file of a candidate is not shown."""
    return bool(_name(path, _with_secrets(view, (commit,))))


def _with_secrets(view: RunView, ends: Sequence[str]) -> list[AttemptView]:
    made = [attempt for stage in view.stages for attempt in stage.attempts if {attempt.commit, attempt.tree} & {*ends}]
    return [attempt for attempt in made if any(finding.rule == RULE for finding in _findings(attempt))]


def _name(path: str, whose: Sequence[AttemptView]) -> str:
    """As it can be told, empty where all of it can be shown."""
    told = [finding.file for attempt in whose for finding in _findings(attempt) if finding.rule == RULE]
    for name in sorted(told, key=lambda name: _STARS in name):  # what is known for certain first
        if _means(name, plain(path, FILE_MAX)):
            return name
    return _STARS if any(len(item.verdict.findings) >= FINDINGS_MAX for one in whose for item in one.verdicts) else ""


def _findings(attempt: AttemptView) -> list[Finding]:
    return [finding for item in attempt.verdicts for finding in item.verdict.findings]


def _means(told: str, path: str) -> bool:
    """A name that held a secret itself has stars in it."""
    parts = told.split(_STARS)
    return path == told or (len(parts) > 1 and fnmatchcase(path, "*".join(map(_literally, parts))))


def _literally(text: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)

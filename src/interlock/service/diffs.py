"""Diffs as they may be shown: without files, and names, that hold a secret which was handed out.

Rule: the reader's environment may lack the secrets of a run. So what is left out is what the candidate was rejected
for: each file that a finding names, and every file if there were too many findings to keep. What was accepted all the
same is in every later candidate, whose own gates do not name it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from interlock.core.events import Finding, VerdictGiven
from interlock.core.feedback import MORE
from interlock.core.pipeline import ARTIFACTS
from interlock.gates.forbidden import RULE
from interlock.gates.reports import FILE_MAX, FINDINGS_MAX
from interlock.ports import Change, UsageError, Workspaces
from interlock.readmodel.history import AttemptView
from interlock.readmodel.run import RunView
from interlock.text.cleaning import plain
from interlock.text.patches import Bounds, read_patch, with_last

_STARS = "***"
_READ_BYTES_MAX = 5_000_000
_LINE_MIN = 8  # characters; no secret is shorter


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
    """The difference between two commits or trees of the run. Documents, which are not delivered, come last."""
    attempts = _with_secrets(view, (old, new))
    changes = workspaces.changes(old, new) if attempts or not patch else ()
    carried = _carried(workspaces, [one for one in attempts if one.record], old, new)
    names = {one.path: _masked_name(one.path, attempts) or carried.get(one.path, "") for one in changes if attempts}
    hidden = [path for path, name in names.items() if name]
    visible = tuple(replace(change, path=names.get(change.path) or change.path) for change in changes)
    text = b"" if not patch or (hidden and len(hidden) == len(changes)) else workspaces.patch(old, new, hidden)
    visible, text = documents_last(visible, text)
    return VisibleDiff(visible, text, tuple(names[path] for path in hidden), tuple(str(one.id) for one in attempts))


def documents_last(changes: Sequence[Change], patch: bytes) -> tuple[tuple[Change, ...], bytes]:
    """The changes, and the patch, with the code first."""
    ordered = sorted(changes, key=lambda each: each.path.startswith(f"{ARTIFACTS}/"))
    return tuple(ordered), with_last(patch, ARTIFACTS)


def is_withheld(workspaces: Workspaces, view: RunView, commit: str, path: str) -> bool:
    """Whether a file of a candidate is not shown."""
    attempts = _with_secrets(view, (commit,))
    accepted = [one for one in attempts if one.record]
    if _masked_name(path, attempts) or path in _moved(workspaces, accepted, commit):
        return True
    lines = _secret_lines(workspaces, accepted)
    return bool(lines) and _holds(_text(workspaces, commit, path), lines)


def _with_secrets(view: RunView, ends: Sequence[str]) -> list[AttemptView]:
    every = (attempt for stage in view.stages for attempt in stage.attempts)
    made = (one for one in every if one.record or {one.commit, one.tree} & {*ends})
    return [attempt for attempt in made if any(finding.rule == RULE for finding in _findings(attempt))]


def _carried(workspaces: Workspaces, accepted: Sequence[AttemptView], old: str, new: str) -> dict[str, str]:
    """Files that hold a secret of a candidate that was accepted all the same, under another name or in a copy; each as
    it is called in public."""
    found = {**_moved(workspaces, accepted, old), **_moved(workspaces, accepted, new)}
    if lines := _secret_lines(workspaces, accepted):
        for file in read_patch(workspaces.patch(old, new)):
            if any(_holds(row.text, lines) for hunk in file.hunks for row in hunk.rows):
                found |= {path: plain(path, FILE_MAX) for path in (file.path, file.old_path)}
    return found


def _moved(workspaces: Workspaces, accepted: Sequence[AttemptView], commit: str) -> dict[str, str]:
    return {
        file.path: plain(file.path, FILE_MAX)
        for one in accepted
        if commit not in (one.commit, one.tree)
        for file in read_patch(workspaces.patch(one.commit, commit), Bounds(lines=0))
        if file.path != file.old_path and _masked_name(file.old_path, [one])
    }


def _secret_lines(workspaces: Workspaces, accepted: Sequence[AttemptView]) -> frozenset[str]:
    """The lines that findings name."""
    named = {(one.commit, each.file, each.line) for one in accepted for each in _findings(one) if each.rule == RULE}
    texts = {(commit, file): _text(workspaces, commit, file).split("\n") for commit, file, _ in named}
    lines = (texts[commit, file][line - 1 : line] for commit, file, line in named if line)
    return frozenset(each.strip() for found in lines for each in found if len(each.strip()) >= _LINE_MIN)


def _text(workspaces: Workspaces, commit: str, path: str) -> str:
    try:
        content = workspaces.read(commit, path, _READ_BYTES_MAX)
    except UsageError:
        return ""
    return (content or b"").decode("utf-8", "surrogateescape")


def _holds(text: str, lines: frozenset[str]) -> bool:
    return any(line in text for line in lines)


def _masked_name(path: str, attempts: Sequence[AttemptView]) -> str:
    """The name as the findings have it; empty if the whole file can be shown."""
    shown = plain(path, FILE_MAX)
    named = [finding.file for attempt in attempts for finding in _findings(attempt) if finding.rule == RULE]
    for name in sorted(named, key=lambda name: _STARS in name):  # exact names first
        if _matches(name, shown) or _matches(plain(name, FILE_MAX), shown):  # a former version removed less from names
            return name
    return _STARS if any(_is_cut(item.verdict) for one in attempts for item in one.verdicts) else ""


def _is_cut(verdict: VerdictGiven) -> bool:
    return len(verdict.findings) >= FINDINGS_MAX or any(finding.rule == MORE for finding in verdict.findings)


def _findings(attempt: AttemptView) -> list[Finding]:
    return [finding for item in attempt.verdicts for finding in item.verdict.findings]


def _matches(name: str, path: str) -> bool:
    """A name that held a secret itself has stars in it."""
    parts = name.split(_STARS)
    return path == name or (len(parts) > 1 and fnmatchcase(path, "*".join(map(_escaped, parts))))


def _escaped(text: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)

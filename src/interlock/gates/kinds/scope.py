"""The scope gate: what a candidate may change, judged on trees and never on what an agent says.

Rule: in this order a path is reserved (`.interlock/`, gitlinks), protected, or outside of `writes`; the
first that holds is named with what would be right. A candidate that changed nothing rejects itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.core.events import Finding, VerdictStatus
from interlock.core.globs import matches_any
from interlock.core.pipeline import Stage
from interlock.gates.bench import Bench
from interlock.ports import Cancel, Case, Change, Judgement, UsageError, Workspaces

ARTIFACTS = ".interlock/artifacts"
_RESERVED = ".interlock/"
_GITLINK = "160000"
_SYMLINK = "120000"
_MARKERS = (b"<<<<<<< ", b">>>>>>> ", b"||||||| ")
_MARKED_BYTES_MAX = 20_000_000

# Git itself or a build service acts on these, so they change only where `writes` names them.
DELICATE = (
    ".gitattributes",
    ".gitmodules",
    "/.github/workflows/**",
    "/.gitlab-ci.yml",
    "/.circleci/**",
    "/.travis.yml",
    "/azure-pipelines.yml",
    "/bitbucket-pipelines.yml",
    "/Jenkinsfile",
    "/.buildkite/**",
    "/.pre-commit-config.yaml",
)


def judge(bench: Bench, case: Case, cancel: Cancel) -> Judgement:
    """Failed with one finding for each path out of scope, else passed."""
    changes = bench.workspaces.changes(case.input_tree, case.tree)
    of_paths = (*_emptiness(case), *_paths(case, changes), *_sizes(case.stage, changes))
    findings = (*of_paths, *_markers(bench.workspaces, case))
    return Judgement(VerdictStatus.FAILED if findings else VerdictStatus.PASSED, findings)


def _emptiness(case: Case) -> Iterator[Finding]:
    if case.tree == case.input_tree and case.stage.has_worker and not case.stage.may_be_empty:
        yield Finding(
            "empty", "the attempt changed nothing: make the change, or let the stage say `may_be_empty: true`"
        )


def _paths(case: Case, changes: Sequence[Change]) -> Iterator[Finding]:
    for change in changes:
        complaint = _complaint(case.stage, change, case.conflicts)
        if complaint is not None:
            rule, what = complaint
            yield Finding(rule, f"{change.path}: {_done(change)} {what}", file=change.path)


def _complaint(stage: Stage, change: Change, conflicts: Sequence[str]) -> tuple[str, str] | None:
    """The rule that the change breaks and what would be right, or None."""
    scope = stage.scope
    if _GITLINK in (change.old_mode, change.new_mode):
        return "submodule", "as a submodule: submodules are changed by people; leave it as it was"
    if _is_below(change.path, _RESERVED):
        return _reserved(stage, change)
    if matches_any(scope.authors, change.path):
        return None
    if _is_protected(scope.protect, change.path):
        return "protected", "but it is protected: put it back as it was; only a stage that `authors` it may change it"
    if change.path in conflicts or (scope.writes is not None and matches_any(scope.writes, change.path)):
        return None
    if scope.writes is not None:
        return "outside_writes", f"but this stage may write {_listed(scope.writes)}: put it back, and keep to these"
    if matches_any(DELICATE, change.path):
        return "delicate", "but it steers git or a build service: put it back, or name it in the stage's `writes`"
    return None


def _reserved(stage: Stage, change: Change) -> tuple[str, str] | None:
    own = f"{ARTIFACTS}/{stage.id}/"
    if not _is_below(change.path, own):
        whose = "an artifact of another stage" if _is_below(change.path, f"{ARTIFACTS}/") else "Interlock's own folder"
        return "reserved", f"but that is {whose}: put it back; artifacts of this stage go to {own}"
    if change.new_mode == _SYMLINK:
        return "artifact", "as a symbolic link: an artifact is a regular file"
    return None


def _is_below(path: str, folder: str) -> bool:
    """Some file systems take .INTERLOCK for .interlock, so letter case is no way around; the own artifacts,
    which this also allows, are protected from nobody but other stages."""
    return f"{path.casefold()}/".startswith(folder.casefold()) if folder == _RESERVED else path.startswith(folder)


def _is_protected(globs: Sequence[str], path: str) -> bool:
    """Also by another letter case: `makefile` shadows a protected `Makefile`."""
    return matches_any(globs, path) or matches_any([glob.casefold() for glob in globs], path.casefold())


def _done(change: Change) -> str:
    if change.status == "A":
        return "was added" + (" as a symbolic link" if change.new_mode == _SYMLINK else "")
    if change.status == "D":
        return "was deleted"
    if change.status == "T":
        return f"had its mode changed from {change.old_mode} to {change.new_mode}"
    if change.old_mode != change.new_mode:
        return f"was changed (and its mode, from {change.old_mode} to {change.new_mode})"
    return "was changed"


def _listed(globs: Sequence[str]) -> str:
    shown = ", ".join(globs[:8]) + (", ..." if len(globs) > 8 else "")
    return f"only {shown}" if globs else "nothing but its artifacts"


def _sizes(stage: Stage, changes: Sequence[Change]) -> Iterator[Finding]:
    """The limits on files and lines; the stage's own artifacts are not counted."""
    counted = [change for change in changes if not change.path.startswith(f"{ARTIFACTS}/{stage.id}/")]
    files, lines = len(counted), sum(change.added + change.removed for change in counted)
    if 0 < stage.scope.max_files < files:
        message = f"{files} files were changed, at most {stage.scope.max_files} may be: make a smaller change"
        yield Finding("max_files", message)
    if 0 < stage.scope.max_lines < lines:
        message = f"{lines} lines were changed, at most {stage.scope.max_lines} may be: make a smaller change"
        yield Finding("max_lines", message)


def _markers(workspaces: Workspaces, case: Case) -> Iterator[Finding]:
    for path in case.conflicts:
        try:
            content = workspaces.read(case.commit, path, _MARKED_BYTES_MAX) or b""
        except UsageError:
            yield Finding("conflict", f"{path}: too large to be looked through for conflict markers", file=path)
            continue
        for number, line in enumerate(content.splitlines(), 1):
            if line.startswith(_MARKERS):
                message = f"{path}:{number}: a conflict marker is left: merge both sides and remove the markers"
                yield Finding("conflict", message, file=path, line=number)
                break

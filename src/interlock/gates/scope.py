"""The scope gate: what a candidate may change, judged on trees and never on what an agent says.

Rule: a path is tested in this order: reserved (`.interlock/`, gitlinks), protected, outside of `writes`. The first
violation is the finding, with what would be right. In a mixed file such as pyproject.toml the tables are judged. No
file may contain a secret that Interlock passed on. A candidate without a change is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from interlock.conventions import judge_files, protected_changes
from interlock.conventions.judge_files import is_configuration, is_test_code, may_be_added
from interlock.core.events import Finding, VerdictStatus
from interlock.core.pipeline import ARTIFACTS, FOLDER, Stage
from interlock.gates import conflicts, forbidden, inline, manifests
from interlock.gates.referee import GateContext
from interlock.ports import Change, GateRequest, Judgement, UsageError, Workspaces
from interlock.text.cleaning import glob_here
from interlock.text.globs import matches_any

_RESERVED = f"{FOLDER}/"
_GITLINK = "160000"
_SYMLINK = "120000"
_ABSENT = "000000"
_TABLES_MAX = 2_000_000
_LOCK_MAX = 50_000_000
_GROWN_MAX = 10_000_000


def judge_changes(context: GateContext, request: GateRequest) -> Judgement:
    """Failed with the findings on paths, contents and conflicts, else passed."""
    changes = context.workspaces.changes(request.input_tree, request.tree)
    as_one_side = conflicts.as_one_side(context.workspaces, request)
    judged = tuple(change for change in changes if change.path not in as_one_side)
    of_paths = (*_empty(request), *_paths(context.workspaces, request, judged), *_sizes(request.stage, changes))
    of_paths = (*of_paths, *inline.judge(context.workspaces, request, judged))
    for look in (_dependencies, forbidden.ignored, forbidden.collisions, forbidden.repositories):
        of_paths = (*of_paths, *look(context.workspaces, request, changes))
    of_paths = (*of_paths, *forbidden.leaked_secrets(context, request, changes))
    of_conflicts = (
        *conflicts.markers_left(context.workspaces, request),
        *conflicts.judge(context.workspaces, request, changes, ARTIFACTS),
    )
    findings = (*of_paths, *of_conflicts)
    return Judgement(VerdictStatus.FAILED if findings else VerdictStatus.PASSED, findings)


def _empty(request: GateRequest) -> Iterator[Finding]:
    if request.tree == request.input_tree and request.stage.has_worker and not request.stage.may_be_empty:
        yield Finding("empty", "the attempt changed nothing: make the change, or set `may_be_empty: true` in the stage")


def _paths(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    in_conflict = conflicts.writable(request, changes)
    for change in changes:
        of_setup = forbidden.complaint(request.pipeline.setup, change)
        complaint = of_setup or _complaint(workspaces, request, change, in_conflict)
        if complaint is not None and complaint[0] == "protected":
            complaint = _of_protected_content(workspaces, request, change, complaint)
        elif complaint is not None and complaint[0] == "outside_writes":
            complaint = None if inline.adds_only_tests(workspaces, request, change) else complaint
        tabled = manifests.is_mixed(change.path) and not matches_any(request.stage.scope.authored_files, change.path)
        tabled = tabled and of_setup is None
        own = request.stage.scope.authored_tables(change.path) if tabled else ()
        if tabled and (complaint is None or (own and complaint[0] in ("protected", "outside_writes"))):
            yield from _tables(workspaces, request, change, own, strict=complaint is not None)
        elif complaint is not None:
            rule, what = complaint
            yield Finding(rule, f"{change.path}: {_what_changed(change)} {what}", file=change.path)


def _tables(
    workspaces: Workspaces, request: GateRequest, change: Change, own: Sequence[str], *, strict: bool
) -> Iterator[Finding]:
    """A finding for each changed table of a mixed file that steers what judges; `strict`: for each that is not in
    `own`."""
    if _SYMLINK in (change.old_mode, change.new_mode):
        message = "is or was a symbolic link, but it controls the gates: keep it a regular file"
        yield Finding("judged_table", f"{change.path}: {message}", file=change.path)
        return
    try:
        old, new = (
            workspaces.read(commit, change.path, _TABLES_MAX) for commit in (request.input_commit, request.commit)
        )
        differing = manifests.changed_tables(change.path, old, new)
    except (manifests.Unparsable, UsageError) as error:
        message = f"it cannot be read ({error}), but it controls the gates: fix it"
        yield Finding("judged_table", f"{change.path}: {message}", file=change.path)
        return
    for table in differing:
        if (table.judges or strict) and not any(f"{table.name}.".startswith(f"{name}.") for name in own):
            why = "steers what judges" if table.judges else "is not a table that this stage may change"
            message = f"{table.name} was changed, but it {why}: put it back as it was; only a stage with"
            message = f'{change.path}: {message} `authors: ["{change.path}#{table.name}"]` may change it'
            yield Finding("judged_table", message, file=change.path)


def _dependencies(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """A candidate may add dependencies by name, but no judge and no new source of packages."""
    for change in changes:
        if not manifests.names_dependencies(change.path) or matches_any(
            request.stage.scope.authored_files, change.path
        ):
            continue
        try:
            old, new = (
                workspaces.read(commit, change.path, _LOCK_MAX) for commit in (request.input_commit, request.commit)
            )
        except UsageError as error:
            yield Finding("dependency", f"{error}: the sources of its dependencies cannot be read")
            continue
        for why in manifests.complaints(change.path, old, new):
            message = f"{change.path}: {why}: put it back; only a stage that `authors` the file may change that"
            yield Finding("dependency", message, file=change.path)


def _complaint(
    workspaces: Workspaces, request: GateRequest, change: Change, in_conflict: Sequence[str]
) -> tuple[str, str] | None:
    """The rule that the change breaks and what would be right, or None."""
    stage, scope = request.stage, request.stage.scope
    if _GITLINK in (change.old_mode, change.new_mode):
        return "submodule", "as a submodule: only people change submodules; leave it unchanged"
    if _is_below(change.path, _RESERVED):
        return _reserved(stage, change)
    if matches_any(scope.authored_files, change.path):
        return None
    may_add = matches_any(scope.adds, change.path)
    if may_add and may_be_added_by(workspaces, request.commit, scope.adds, change):
        return None
    if judge_files.matches_in_any_case(scope.protect, change.path):
        return "protected", _of_protected(change, stage.dir, may_add=may_add)
    if change.path in in_conflict or (scope.writes is not None and matches_any(scope.writes, change.path)):
        return None
    if scope.writes is not None:
        rest = ", and keep to these" if scope.writes else ""
        return "outside_writes", f"but this stage may write {_listed(scope.writes)}: {_undo(change)}{rest}"
    return None


def _of_protected_content(
    workspaces: Workspaces, request: GateRequest, change: Change, complaint: tuple[str, str]
) -> tuple[str, str] | None:
    """The complaint, or None if the content allows the change: a conflict that is resolved, or a test file that
    grew."""
    if change.path in conflicts.marked(request):
        return conflicts.protected_complaint(workspaces, request, change)
    return (
        _of_growth(workspaces, request, change)
        if protected_changes.may_grow(request.pipeline, request.stage, change.path)
        else complaint
    )


def _of_growth(workspaces: Workspaces, request: GateRequest, change: Change) -> tuple[str, str] | None:
    """None if an existing test file has new lines, and all that it had."""
    if change.status == "M" and change.old_mode == change.new_mode:
        try:
            old, new = (
                workspaces.read(commit, change.path, _GROWN_MAX) for commit in (request.input_commit, request.commit)
            )
        except UsageError as error:
            return "protected", f"and cannot be compared ({error}): put new tests into a new file"
        if old is not None and new is not None and protected_changes.grew(change.path, old, new):
            return None
    if change.status == "A":
        return "protected", _of_protected(change, request.stage.dir, may_add=True)
    what = "but this stage only adds tests: keep every old line in its order, and each old test unchanged;"
    return (
        "protected",
        f"{what} put new tests between or below the old ones, or into a new file; {forbidden.ONLY_AUTHORS}",
    )


def _reserved(stage: Stage, change: Change) -> tuple[str, str] | None:
    own = f"{ARTIFACTS}/{stage.id}/"
    if not _is_below(change.path, own):
        whose = "an artifact of another stage" if _is_below(change.path, f"{ARTIFACTS}/") else "Interlock's own folder"
        return "reserved", f"but that is {whose}:  {_undo(change)}; artifacts of this stage go to {own}"
    if change.new_mode == _SYMLINK:
        return "artifact", "as a symbolic link: an artifact must be a regular file"
    return None


def _is_below(path: str, folder: str) -> bool:
    """Some file systems treat .INTERLOCK as .interlock, so letter case is ignored there. The stage's own artifacts need
    no such rule."""
    return f"{path.casefold()}/".startswith(folder.casefold()) if folder == _RESERVED else path.startswith(folder)


def _of_protected(change: Change, folder: str, *, may_add: bool) -> str:
    if may_add and change.status == "A":
        return "but this stage may add only tests and their data, no configuration, other code or links: delete it"
    if may_add:
        mend = "put it back as it was, and write new tests into a new file"
        return f"but this stage only adds tests: {mend}; {forbidden.ONLY_AUTHORS}"
    if change.status == "A" and change.new_mode in _REGULAR and is_test_code(change.path):
        glob = glob_here(folder, _tests_beside(change.path))
        return f"but it is protected: {_undo(change)}; only a stage with `adds: [{glob}]` may add it"
    return f"but it is protected: {_undo(change)}; {forbidden.ONLY_AUTHORS}"


def _tests_beside(path: str) -> str:
    """A glob of tests that has this one: all of its folder of tests, else those of its folder."""
    folders = path.split("/")[:-1]
    of_tests = next((index for index, name in enumerate(folders) if name in _TEST_FOLDERS), -1)
    return "/".join((*folders[: of_tests + 1], "**")) if of_tests >= 0 else path


def _undo(change: Change) -> str:
    return "delete it" if change.status == "A" else "put it back as it was"


def _what_changed(change: Change) -> str:
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
    """The limits on files and lines; the stage's own artifacts do not count."""
    counted = [change for change in changes if not change.path.startswith(f"{ARTIFACTS}/{stage.id}/")]
    files, lines = len(counted), sum(change.added + change.removed for change in counted)
    if 0 < stage.scope.max_files < files:
        message = f"{files} files were changed, but at most {stage.scope.max_files} may be: make a smaller change"
        yield Finding("max_files", message)
    if 0 < stage.scope.max_lines < lines:
        message = f"{lines} lines were changed, but at most {stage.scope.max_lines} may be: make a smaller change"
        yield Finding("max_lines", message)


_REGULAR = ("100644", "100755")
_TEST_FOLDERS = ("test", "tests", "__tests__", "spec", "testing", "e2e")
_NAMES = re.compile(r"\w+[_-]?\*\.py|\*[_-]?\w+\.py")


def may_be_added_by(workspaces: Workspaces, commit: str, adds: Sequence[str], change: Change) -> bool:
    """Whether the change adds a file that a stage which only `adds` tests may add, as it is in `commit`: tests and data
    by their names; names that the stage itself gives to tests, such as `check_*.py`; and an empty `__init__.py` in a
    folder of tests, by which a runner finds them."""
    if change.status != "A" or change.new_mode not in _REGULAR or not matches_any(adds, change.path):
        return False
    path = change.path
    return may_be_added(path) or _has_a_given_name(adds, path) or _is_empty_package(workspaces, commit, path)


def _has_a_given_name(adds: Sequence[str], path: str) -> bool:
    """Whether it matches a glob of names at any depth that contains a word, so that no module matches by chance."""
    names = (glob for glob in adds if _NAMES.fullmatch(glob))
    return matches_any(tuple(names), path) and not is_configuration(path)


def _is_empty_package(workspaces: Workspaces, commit: str, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    if name != "__init__.py" or not folder:
        return False
    try:
        content = workspaces.read(commit, path, 1)
    except UsageError:  # it is not empty
        return False
    return (
        content is not None
        and not content.strip()
        and any(is_test_code(each) for each in workspaces.files(commit, (f"/{folder}/**",)))
    )

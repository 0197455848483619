"""What no candidate may contain or change: reserved paths, and the values of secrets.

Rule: reserved are what setup installs, files that hide others from tools, paths that differ by letter case alone, and
folders that git treats as repositories, whose `config` may name programs. Letter case is ignored. Git recognises a
repository by names: HEAD, and `objects` with `refs`, or `commondir`. It is allowed to delete such a file.

Rule: secrets are the values that Interlock passed on, in the contents and names of the files that a candidate changed.
A finding names file, line and variable, and never shows the value. A value that the accepted input contains is no
secret any more, and not the candidate's fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from interlock.conventions import judge_files
from interlock.conventions.secret_forms import Forms, MaskedChunk, Stream, spans, to_find
from interlock.core.events import Finding
from interlock.core.pipeline import Setup
from interlock.gates.referee import GateContext
from interlock.ports import Change, GateRequest, Workspaces, secrets_of
from interlock.text.globs import matches_any

ONLY_AUTHORS = "only a stage that `authors` it may change it"
_ABSENT = "000000"
_EXECUTABLE = "100755"
_IGNORE_FILES = frozenset({".gitignore", *judge_files.AGENT_IGNORES})
_IGNORE_FILE_MAX = 2_000_000


def complaint(setups: Sequence[Setup], change: Change) -> tuple[str, str] | None:
    """The rule that the change breaks and what would be right, or None."""
    if change.status == "D":
        return None
    changed = f"{change.path.casefold()}/"
    for path in (path for setup in setups for path in setup.paths):
        own = f"{path.strip('/').casefold()}/"
        if changed.startswith(own) or own.startswith(changed):
            return "setup_path", f"but setup creates {path} and replaces it: delete it"
    return None


def ignored(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """Linters and the search tools of reviewers obey ignore files, so a candidate must not hide its own files or code.
    It may let git ignore files that it added and that are no programs by their names, such as the output of a build."""
    touched, output = {change.path for change in changes}, {change.path for change in changes if _is_output(change)}
    for change in changes:
        folder, _, name = change.path.rpartition("/")
        if name not in _IGNORE_FILES or change.new_mode == _ABSENT:
            continue
        now, before = (_patterns(workspaces, commit, change.path) for commit in (request.commit, request.input_commit))
        for pattern in sorted(now - before):
            deep = "" if "/" in pattern.rstrip("/") else "**/"
            glob = f"/{folder}/{deep}{pattern.lstrip('/')}" if folder else pattern
            visible = touched - output if name == ".gitignore" else touched
            found = workspaces.files(request.commit, (glob,))
            if hidden := [path for path in found if path in visible or judge_files.is_code(path)]:
                message = f"{pattern} hides {hidden[0]} from tools that obey ignore files: ignore untracked files only"
                yield Finding("ignored", f"{change.path}: {message}", file=change.path)


def _is_output(change: Change) -> bool:
    return change.status == "A" and change.new_mode != _EXECUTABLE and "." in change.path.rpartition("/")[2][1:]


def _patterns(workspaces: Workspaces, commit: str, path: str) -> set[str]:
    text = (workspaces.read(commit, path, _IGNORE_FILE_MAX) or b"").decode("utf-8", "replace")
    lines = (line.strip() for line in text.splitlines())
    return {line for line in lines if line and not line.startswith(("#", "!"))}


def collisions(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """Two paths that differ by letter case alone are one file on some systems; then the added one replaces a protected
    one."""
    added = [change.path for change in changes if change.status == "A"]
    if not added:
        return
    there: dict[str, list[str]] = {}
    for path in workspaces.files(request.commit, ("**",)):
        there.setdefault(path.casefold(), []).append(path)
    for path in added:
        others = [other for other in there.get(path.casefold(), ()) if other != path]
        if any(matches_any(request.stage.scope.protect, other) for other in others):
            message = (
                f"{path}: was added, and differs from {others[0]} only in upper and lower case: give it another name"
            )
            yield Finding("letter_case", message, file=path)


def repositories(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """In a later stage, git would run the programs that the `config` in such a folder names."""
    changed = [change.path for change in changes if change.new_mode != _ABSENT]
    changed = [path for path in changed if not matches_any(request.stage.scope.authored_files, path)]
    if not may_steer(changed):
        return
    before, after = (workspaces.files(commit, ("**",)) for commit in (request.input_commit, request.commit))
    for folder, path in planted(before, after, changed).items():
        message = f"{folder}: git treats this folder as a repository and obeys its config: delete {path}"
        yield Finding("repository", f"{message}; {ONLY_AUTHORS}", file=path)


_HEAD, _COMMON = "head", "commondir"
_PARTS = ("objects", "refs")
_STEER = frozenset({_HEAD, _COMMON, *_PARTS, "config", "config.worktree", "hooks", "info", "modules", "worktrees"})

Folder = tuple[str, ...]


def may_steer(paths: Iterable[str]) -> bool:
    """Whether one of these paths may create or steer a repository, by a name in it."""
    return any(part.casefold() in _STEER for path in paths for part in path.split("/"))


def planted(before: Iterable[str], after: Iterable[str], changed: Iterable[str]) -> dict[str, str]:
    """The repositories that the change created or steers: their path (`.` is the root), and a changed path in each.
    `before` and `after` are all paths of the trees, `changed` those that were changed and not deleted."""
    old, new = set(_repositories(before)), set(_repositories(after))
    found: dict[str, str] = {}
    for path in changed:
        for folder, name in _steered(path):
            if folder in new and (name not in _PARTS or folder not in old):
                found.setdefault("/".join(folder) or ".", path)
    return found


def _repositories(paths: Iterable[str]) -> Iterator[Folder]:
    inside: dict[Folder, set[str]] = {}
    for path in paths:
        for folder, name in _steered(path):
            inside.setdefault(folder, set()).add(name)
    return (
        folder for folder, names in inside.items() if _HEAD in names and (_COMMON in names or names.issuperset(_PARTS))
    )


def _steered(path: str) -> Iterator[tuple[Folder, str]]:
    """Each folder above `path` with the name below it, if git knows that name. Case is ignored, as some file systems
    do."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        if part.casefold() in _STEER:
            yield tuple(parts[:at]), part.casefold()


# --- leaked secrets -----------------------------------------------------------------------------


_GITLINK = "160000"
_KNOWN_BYTES_MAX = 200_000_000  # of the input that is searched
RULE = "secret"


def leaked_secrets(context: GateContext, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """A finding for each file and variable."""
    forms = to_find(secrets_of(request.pipeline, context.environ, context.agents))
    paths = [change.path for change in changes if change.new_mode not in (_ABSENT, _GITLINK)]
    if not forms or not paths:
        return
    found = [*_in_names(paths, forms), *_in_contents(context, request.commit, paths, forms)]
    known = _known(context, request.input_commit, forms) if found else frozenset()
    for path, line, name in found:
        if name not in known:
            where = f"{path}:{line}" if line else f"the name of {path}"
            message = f"{where}: contains the value of {name}, which is a secret: remove it, and read it from the"
            yield Finding(RULE, f"{message} environment where it is needed", file=path, line=line)


def _in_names(paths: Sequence[str], forms: Forms) -> Iterator[tuple[str, int, str]]:
    for path in paths:
        for name in dict.fromkeys(span.name for span in spans(path.encode("utf-8", "surrogateescape"), forms)):
            yield path, 0, name


def _in_contents(
    context: GateContext, commit: str, paths: Sequence[str], forms: Forms
) -> Iterator[tuple[str, int, str]]:
    for path, chunks in context.workspaces.contents(commit, paths):
        for name, line in _lines(chunks, forms).items():
            yield path, line, name


def _lines(chunks: Iterable[bytes], forms: Forms) -> dict[str, int]:
    """The first line of each variable's value."""
    found: dict[str, int] = {}
    lines = 1
    for part in _parts(chunks, forms):
        for span in part.spans:
            found.setdefault(span.name, lines + part.content.count(b"\n", 0, span.start))
        lines += part.content.count(b"\n")
    return found


def _parts(chunks: Iterable[bytes], forms: Forms) -> Iterator[MaskedChunk]:
    stream = Stream(forms)
    for chunk in chunks:
        yield stream.feed(chunk)
    yield stream.rest()


def _known(context: GateContext, commit: str, forms: Forms) -> frozenset[str]:
    """The variables whose values the accepted input contains, where anybody can read them."""
    known: set[str] = set()
    remaining = _KNOWN_BYTES_MAX
    for _, chunks in context.workspaces.contents(commit, context.workspaces.files(commit, ("**",))):
        for part in _parts(chunks, forms):
            known.update(span.name for span in part.spans)
            remaining -= len(part.content)
        if remaining < 0:
            break
    return frozenset(known)

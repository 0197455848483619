"""Tests inside source files: a candidate must keep them, and they are copied into another version of their file.

Rule: `conventions.inline_tests` finds the blocks; this module knows which doc examples a project runs, and reads the
files. An existing block may get new lines only if a gate with `tests: base` runs the old one.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from interlock.conventions import inline_tests, protected_changes
from interlock.conventions.inline_tests import Block, Documented
from interlock.conventions.judge_files import LANGUAGES
from interlock.conventions.protected_changes import guards
from interlock.core.events import Finding
from interlock.core.pipeline import Gate
from interlock.gates import conflicts
from interlock.ports import Change, GateRequest, Stamp, UsageError, Workspaces
from interlock.text.globs import matches_any

_FILE_MAX = 2_000_000
_FILES_MAX = 100  # of configuration
_CONFIGURATION = (
    *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "setup.cfg", "tox.ini", "tox.toml"),
    *("conftest.py", "noxfile.py", "Makefile", "justfile"),
)
_DOCSTRINGS = re.compile(r"--doctest-(?:modules|plus)\b|^\s*doctest_plus\s*=", re.M)
_GLOB = re.compile(r"""--doctest-glob["']?[=,\s]+["']?([^\s"',\]]+)""")
_INCLUDED = re.compile(r"""\bdoc\s*=\s*include_str!\s*\(\s*"([^"]+)"\s*\)""")
_RUN = re.compile(r"-m doctest((?:[ \t]+[\w./*-]+)+)")


def judge(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """A finding for each block of the accepted input that the candidate removed or changed."""
    documented = documented_in(workspaces, request)
    free = (*request.stage.scope.authored_files, *request.stage.scope.protect)
    judged = [change for change in changes if inline_tests.may_hold(change.path, documented)]
    added = [change.path for change in judged if change.status == "A"]
    moved = {_identity(path, block) for path in added for block in _blocks(workspaces, request, path, documented)}
    for change in judged:
        if change.status == "A" or matches_any(free, change.path):
            continue
        for block in _lost(workspaces, request, change.path, documented):
            if _identity(change.path, block) not in moved:
                yield Finding("protected", f"{change.path}: {_complaint(block)}", file=change.path)


def adds_only_tests(workspaces: Workspaces, request: GateRequest, change: Change) -> bool:
    """Whether a stage that adds tests added only blocks to a source, or lines to such blocks."""
    if change.status != "M" or change.old_mode != change.new_mode or not request.stage.scope.adds:
        return False
    if not inline_tests.may_hold(change.path, inline_tests.NOTHING) or not _is_guarded(request, change.path):
        return False
    old, new = (_text(workspaces, commit, change.path) for commit in (request.input_commit, request.commit))
    there = inline_tests.blocks(change.path, old), inline_tests.blocks(change.path, new)
    return inline_tests.only_tests_differ(change.path, old, new) and not inline_tests.lost(*there, may_grow=True)


def changed(workspaces: Workspaces, request: GateRequest, changes: Iterable[Change]) -> Iterator[str]:
    """The sources with a new or changed block of code."""
    for change in changes:
        if change.status != "D" and inline_tests.may_hold(change.path, inline_tests.NOTHING):
            texts = (_text(workspaces, commit, change.path) for commit in (request.commit, request.input_commit))
            new, old = ([block for block in inline_tests.blocks(change.path, text) if block.is_code] for text in texts)
            if inline_tests.lost(new, old, may_grow=False):
                yield change.path


def with_blocks_of(workspaces: Workspaces, commit: str, tests: str, paths: Iterable[str], stamp: Stamp) -> str:
    """`commit` with the blocks of code that the files have in the commit `tests`. A Rust file that only `tests` has is
    added with its blocks alone, and declared as a module in the file that declares it in `tests`."""
    contents: dict[str, str] = {}
    for path in paths:
        source, other = (_read(workspaces, each, path) for each in (commit, tests))
        if other is None or not inline_tests.may_hold(path, inline_tests.NOTHING):
            continue
        if source is not None:
            contents[path] = inline_tests.laid(path, contents.get(path, source), other)
        elif path.endswith(".rs") and (named := _parent(workspaces, (commit, tests), path)):
            parent, line = named
            there = contents.get(parent) or _text(workspaces, commit, parent)
            contents |= {path: inline_tests.laid(path, "", other), parent: f"{there}\n{line}\n"}
    laid = {path: text.encode("utf-8", "surrogateescape") for path, text in contents.items()}
    laid = {path: content for path, content in laid.items() if content != _bytes(workspaces, commit, path)}
    return workspaces.write_contents(commit, laid, stamp) if laid else commit


def text_of_blocks(path: str, text: str) -> str:
    """The text of the blocks of a source; if it has none, all of its text."""
    found = [block for block in inline_tests.blocks(path, text) if block.is_code]
    return "\n".join(line for block in found for line in block.lines) if found else text


def documented_in(workspaces: Workspaces, request: GateRequest) -> Documented:
    """The doc examples that the project runs: in Python by its configuration and the gates' commands, in Rust by the
    documents that its libraries include."""
    files = workspaces.files(request.input_commit, _CONFIGURATION)[:_FILES_MAX]
    gates = (gate.command for stage in request.pipeline.stages for gate in stage.gates if gate.command)
    texts = [
        *(_text(workspaces, request.input_commit, path) for path in files),
        *(command.shell or " ".join(command.argv) for command in gates),
    ]
    doctest_texts = [text for text in texts if "doctest" in text]
    run = [word for text in doctest_texts for found in _RUN.finditer(text) for word in found[1].split()]
    globs = [glob for text in doctest_texts for glob in _GLOB.findall(text)]
    globs += [word.removeprefix("./") for word in run if not word.startswith("-")]
    docstrings = any(_DOCSTRINGS.search(text) for text in doctest_texts) or any(word.endswith(".py") for word in run)
    documents = tuple(glob for glob in globs if not glob.endswith(".py"))
    return Documented(docstrings, documents, tuple(_included(workspaces, request.input_commit)))


def _included(workspaces: Workspaces, commit: str) -> Iterator[str]:
    for path in workspaces.files(commit, ("lib.rs",))[:_FILES_MAX]:
        for found in _INCLUDED.finditer(_text(workspaces, commit, path)):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))


def _lost(workspaces: Workspaces, request: GateRequest, path: str, documented: Documented) -> Sequence[Block]:
    old, new = (_text(workspaces, commit, path) for commit in (request.input_commit, request.commit))
    now = inline_tests.blocks(path, new, documented)
    may_grow = _is_guarded(request, path)
    if path not in conflicts.marked(request):
        return inline_tests.lost(inline_tests.blocks(path, old, documented), now, may_grow=may_grow)
    sides = protected_changes.sides_of(old.encode("utf-8", "surrogateescape"))
    base = _text(workspaces, request.base_commit, path)  # if the conflict markers cannot be parsed
    texts = [side.decode("utf-8", "surrogateescape") for side in sides] if sides else [base]
    missing = [inline_tests.lost(inline_tests.blocks(path, text, documented), now, may_grow=may_grow) for text in texts]
    names = {(block.inside, block.name) for block in missing[-1]}
    return [block for block in missing[0] if (block.inside, block.name) in names]


def _blocks(workspaces: Workspaces, request: GateRequest, path: str, documented: Documented) -> tuple[Block, ...]:
    return inline_tests.blocks(path, _text(workspaces, request.commit, path), documented)


def _identity(path: str, block: Block) -> tuple[object, ...]:
    """What identifies a test that was moved to a new file: its lines; in Rust also its module, which is in its id."""
    if not block.is_code or not path.endswith(".rs"):
        return (block.lines,)
    folders, _, name = path.removesuffix(".rs").rpartition("/")
    modules = (*folders.split("/"), *(() if name in ("lib", "main", "mod") else (name,)))
    return (*modules, *block.inside), block.name, block.lines


def _is_guarded(request: GateRequest, path: str) -> bool:
    return any(_covers(gate, path) for gate in guards(request.pipeline, request.stage))


def _covers(gate: Gate, path: str) -> bool:
    language = LANGUAGES.get(gate.used.partition(".")[0])
    inside = not gate.dir or path.startswith(f"{gate.dir}/")
    return inside and (language is None or matches_any(language.sources, path))


def _complaint(block: Block) -> str:
    if block.is_code:
        how = "put it back line by line; put new tests into a separate block"
    else:
        how = "put it back as it was; put new examples below it, or into a separate one"
    return f"{block.name} was changed or deleted, but it is a test: {how}; only a stage that `authors` the file may"


def _parent(workspaces: Workspaces, commits: tuple[str, str], path: str) -> tuple[str, str] | None:
    """The file, in both commits, that declares the new file as a module in the second one; and that declaration."""
    folder, _, name = path.removesuffix(".rs").rpartition("/")
    if name == "mod":
        folder, _, name = folder.rpartition("/")
    declared = re.compile(rf"^[ \t]*(?:pub(?:\([^)]*\))?\s+)?mod\s+{re.escape(name)}\s*;", re.M)
    for parent in (f"{folder}/lib.rs", f"{folder}/main.rs", f"{folder}/mod.rs", f"{folder}.rs"):
        there, wanted = (_read(workspaces, commit, parent) for commit in commits)
        found = declared.search(wanted or "")
        if there is not None and found and not declared.search(there):
            return parent, found[0].strip()
    return None


def _text(workspaces: Workspaces, commit: str, path: str) -> str:
    return _read(workspaces, commit, path) or ""


def _read(workspaces: Workspaces, commit: str, path: str) -> str | None:
    content = _bytes(workspaces, commit, path)
    return None if content is None else content.decode("utf-8", "surrogateescape")


def _bytes(workspaces: Workspaces, commit: str, path: str) -> bytes | None:
    try:
        return workspaces.read(commit, path, _FILE_MAX)
    except UsageError:
        return None

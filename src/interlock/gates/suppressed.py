"""Linters and type checkers that a candidate switched off for a whole file: findings of the gate that asks them.

Rule: what was there in the accepted input is fine, in the same file or in one that was moved; so is what speaks of a
line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from interlock.core.events import Finding, VerdictStatus
from interlock.core.pipeline import Gate, GateKind
from interlock.gates.suppressions import Suppression, found, hidden, language_of, lost, signatures
from interlock.ports import Change, GateRequest, Judgement, UsageError, Workspaces

_READ_MAX = 2_000_000
_FILES_MAX = 5_000
_TOOLS = frozenset(
    {"ruff", "flake8", "pylint", "mypy", "pyright", "basedpyright", "pyrefly", "ty", "pytype", "eslint", "biome",
     "oxlint", "tslint", "tsc", "xo", "standard", "golangci-lint", "staticcheck", "revive", "clippy", "checkstyle"}
)  # fmt: skip
_TYPE_CHECKERS = frozenset({"mypy", "pyright", "basedpyright", "pyrefly", "ty", "pytype"})


def with_suppressions(workspaces: Workspaces, request: GateRequest, judgement: Judgement) -> Judgement:
    """The judgement of a gate; failed where its linter or type checker was switched off for a file."""
    if (
        judgement.status is VerdictStatus.ERRORED
        or request.tree == request.input_tree
        or not _asks_a_checker(request.gate)
    ):
        return judgement
    findings = tuple(_findings(workspaces, request))
    if not findings:
        return judgement
    return replace(judgement, status=VerdictStatus.FAILED, findings=(*findings, *judgement.findings))


def _asks_a_checker(gate: Gate) -> bool:
    return gate.used.endswith((".lint", ".types")) or (not gate.used and not _TOOLS.isdisjoint(_words(gate)))


def _asks_for_types(gate: Gate) -> bool:
    return gate.used == "python.types" or (not gate.used and not _TYPE_CHECKERS.isdisjoint(_words(gate)))


def _words(gate: Gate) -> list[str]:
    if gate.kind != GateKind.RUN or gate.command is None:
        return []
    return " ".join(gate.command.words).replace("/", " ").replace("'", " ").replace('"', " ").split()


def _findings(workspaces: Workspaces, request: GateRequest) -> Iterator[Finding]:
    changes = workspaces.changes(request.input_tree, request.tree)[:_FILES_MAX]
    yield from _stubs(workspaces, request, changes)
    types = _asks_for_types(request.gate)
    yield from _unannotated(workspaces, request, changes) if types else ()
    moved: Counter[str] = Counter()
    for change in changes:
        if change.status == "D":
            moved.update({item.text for item in _of(workspaces, request.input_commit, change, types=types)})
    for change in changes:
        if change.status == "D":
            continue
        before = {item.text for item in _of(workspaces, request.input_commit, change, types=types)}
        for item in _of(workspaces, request.commit, change, types=types):
            if item.text in before:
                continue
            if change.status == "A" and moved[item.text]:
                moved[item.text] -= 1
                continue
            message = f"{change.path}:{item.line}: {item.text} {item.what}, and mend"
            message = f"{message} what they find; where one line is an exception, say so on that line"
            yield Finding("suppressed", message, file=change.path, line=item.line)


def _stubs(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """A stub beside a module is all that type checkers of Python look at."""
    for change in changes:
        module = change.path.removesuffix("i")
        if change.status == "A" and change.path.endswith(".pyi") and workspaces.files(request.commit, (f"/{module}",)):
            message = f"{change.path}: type checkers read this stub in place of {module}: take it out"
            yield Finding("suppressed", message, file=change.path)


def _unannotated(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """Functions that lost annotations, in the file where they were or in one that was moved."""
    python = [change for change in changes if language_of(change.path) == "python"]
    gone = [change for change in python if change.status == "D"]
    moved = tuple(one for change in gone for one in signatures(_text(workspaces, request.input_commit, change)))
    for change in python:
        before = signatures(_text(workspaces, request.input_commit, change)) if change.status != "A" else moved
        for one, names in lost(before, signatures(_text(workspaces, request.commit, change))):
            message = f"{change.path}:{one.line}: {one.name} lost its annotation of {', '.join(names)}, without which"
            message = f"{message} type checkers look less closely: put it back, and mend what they find"
            yield Finding("suppressed", message, file=change.path, line=one.line)


def _of(workspaces: Workspaces, commit: str, change: Change, *, types: bool) -> tuple[Suppression, ...]:
    language = language_of(change.path)
    if not language:
        return ()
    text = _text(workspaces, commit, change)
    return (*found(language, text), *(hidden(text) if types and language == "python" else ()))


def _text(workspaces: Workspaces, commit: str, change: Change) -> str:
    try:
        content = workspaces.read(commit, change.path, _READ_MAX)
    except UsageError:  # larger than any source
        return ""
    return (content or b"").decode("utf-8", "replace")

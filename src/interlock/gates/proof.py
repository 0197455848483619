"""Proof by tests: new tests fail on the accepted input and pass on the candidate.

Rule: in a checkout of its own, the accepted input gets the candidate's test files and its tests inside sources, and
nothing else of it. A test proves the change if it fails there for an assertion, a missing name or an exception of the
code under test. A syntax error, a fixture or a timeout proves nothing. A changed test proves it in the same way; a gate
with `tests: base` checks whether it was weakened.
"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from interlock.conventions.judge_files import tests_of
from interlock.conventions.protected_changes import grew
from interlock.core.events import Evidence, Finding, Severity, VerdictStatus
from interlock.core.pipeline import CommandLine, Expect, Gate
from interlock.gates import canary, inline
from interlock.gates.baseline import Reason, broken, explained, load_reason, reason_of
from interlock.gates.referee import GateContext
from interlock.gates.reports import Unreadable, in_repository, junit, outside_of
from interlock.gates.reports.junit import RanTest, Status, belongs
from interlock.gates.running import CommandRun
from interlock.ports import GateRequest, Judgement, Stamp, UsageError
from interlock.process import How
from interlock.text.globs import matches_any

SUPPORT = ("conftest.py",)  # what tests of Python may need beside them; protected unless the stage authors it
PROVEN = "proven"  # the evidence with the tests that prove the change, and the rule of notes on them
GUARDS = "guards"  # the rule of notes on new tests that pass without the change too, if another test proves it
NOTHING_NEW = (
    "no test shows the change: add a test that fails without it and passes with it; "
    "for work that needs none there is a pipeline without `expect: tests_prove_change` (`init` writes one: chore)"
)
_LOG_MAX = 1_000_000
_SOURCE_MAX = 1_000_000
_PASSED_BEFORE = "new_test_passed"
_FILES_MAX = 200  # on a command line


@dataclass(frozen=True, slots=True)
class ProvingTest:
    """A test that fails without the change and passes with it."""

    id: str
    file: str
    line: int
    reason: str


def is_due(request: GateRequest) -> bool:
    """Whether the gate needs a proof: for a candidate of its own stage, not for an input or a merge."""
    own = request.subject.stage == request.stage.id and not (request.subject.is_base or request.subject.is_input)
    return own and request.gate.expect is Expect.TESTS_PROVE_CHANGE and not request.conflicts


def proved(
    context: GateContext,
    request: GateRequest,
    ran: CommandRun,
    passed: Judgement,
    run: Callable[[GateRequest], CommandRun],
) -> Judgement:
    """The judgement of a candidate whose tests all pass: `passed`, or failed with what is not proven. `run` runs the
    gate of a request. The evidence is that of both runs."""
    changed = _changed_tests(context, request)
    if not changed:
        return replace(passed, status=VerdictStatus.FAILED, findings=(Finding("no_new_tests", NOTHING_NEW),))
    now, without = _own_tests(request, ran) or (), _without_change(context, request, changed)
    over = run(without)
    if without.gate.command != request.gate.command and not _has_same_names(now, _own_tests(request, over) or ()):
        without = replace(without, gate=replace(without.gate, command=request.gate.command))
        over = run(without)
    there, log = _own_tests(request, over), _log(context, over)
    compared = _Compared(
        before=canary.own_tests(junit.split(request.baseline or b"<testsuite/>"), is_marked=bool(request.gate.canary)),
        now=now,
        there=there or (),
        changed=tuple(changed),
        otherwise=_of_whole(over, log) if there is None else None,
        log=log,
        grown=tuple(_grown(context, request, changed)),
    )
    proven, findings = _judged(compared)
    if proven and not findings and without.gate.command != request.gate.command:
        alone = _own_tests(request, run(replace(without, commit=request.commit, tree=request.tree)))
        findings = tuple(_only_together(proven, alone or ()))
    findings, guarding = _without_guards(findings) if proven else (findings, ())
    if not proven and not findings:
        findings = (Finding("no_new_tests", NOTHING_NEW),)
    notes = passed.findings if findings else (*passed.findings, *map(_note, proven), *guarding)
    kept = context.blobs.put(json.dumps({"tests": [_as_json(test) for test in proven], "files": changed}).encode())
    evidence = (
        *passed.evidence,
        *(replace(item, name=f"proof.{item.name}") for item in over.evidence),
        Evidence(PROVEN, kept, context.blobs.size(kept) or 0),
    )
    status = VerdictStatus.FAILED if findings else VerdictStatus.PASSED
    shown = (*outside_of(findings, over.tree), *notes)
    return replace(passed, status=status, findings=shown, evidence=evidence)


# --- the checkout ---------------------------------------------------------------------------------


def _tests(request: GateRequest) -> tuple[str, ...]:
    """Globs of test files: those of the gate's language if it is of a gate set, else of all; and what the stage
    adds."""
    return (*tests_of(request.gate.used), *SUPPORT, *request.stage.scope.adds)


def _changed_tests(context: GateContext, request: GateRequest) -> list[str]:
    globs = _tests(request)
    changes = context.workspaces.changes(request.input_tree, request.tree)
    whole = [change.path for change in changes if change.status != "D" and matches_any(globs, change.path)]
    return [*whole, *inline.changed(context.workspaces, request, (each for each in changes if each.path not in whole))]


def _grown(context: GateContext, request: GateRequest, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        try:
            old, new = (
                context.workspaces.read(commit, path, _LOG_MAX) for commit in (request.input_commit, request.commit)
            )
        except UsageError:
            continue
        if old is not None and new is not None and grew(path, old, new):
            yield path


def _without_change(context: GateContext, request: GateRequest, changed: Sequence[str]) -> GateRequest:
    """A request for the accepted input with the candidate's tests. Its result is no verdict."""
    others = ("**", *(f"!{glob}" for glob in _tests(request)))
    stamp = Stamp("interlock: the accepted input with the candidate's tests", 0)
    commit = context.workspaces.restore(request.commit, request.input_commit, others, stamp)
    commit = inline.with_blocks_of(context.workspaces, commit, request.commit, changed, stamp)
    gate = replace(request.gate, expect=Expect.PASS, canary="", repeat=1, command=_narrowed(request.gate, changed))
    return replace(request, gate=gate, commit=commit, tree=commit, baseline=None)


def _narrowed(gate: Gate, changed: Sequence[str]) -> CommandLine | None:
    """The command with only the changed test files, if it is one of ours that accepts them."""
    inside = f"{gate.dir}/" if gate.dir else ""
    modules = [path.removeprefix(inside) for path in changed if path.startswith(inside) and path.endswith(".py")]
    files = [path for path in modules if not path.endswith(("conftest.py", "__init__.py"))]
    last = gate.command.shell.splitlines()[-1] if gate.command and gate.command.shell else ""
    if gate.used != "python.test" or "--junitxml" not in last or not 0 < len(files) == len(changed) <= _FILES_MAX:
        return gate.command
    return CommandLine(shell=f"{gate.command.shell} {shlex.join(files)}") if gate.command else None


def _has_same_names(now: Sequence[RanTest], there: Sequence[RanTest]) -> bool:
    """Whether the run of a few files names tests as the whole run does, or has an entry for a file that was not loaded:
    a configuration beside the tests can change the names."""
    known = {test.id for test in now}
    return any(test.stands_for or test.id in known for test in there)


# --- what it shows --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Compared:
    """Three reports: of the accepted input, of the candidate, and of the input with the candidate's tests, `there`.
    `changed` are test files, `grown` those of them that keep all that they had. `otherwise` is why nothing at all ran
    there, or None."""

    before: tuple[RanTest, ...]
    now: tuple[RanTest, ...]
    there: tuple[RanTest, ...]
    changed: tuple[str, ...]
    otherwise: Reason | None
    log: str
    grown: tuple[str, ...] = ()


def _judged(compared: _Compared) -> tuple[tuple[ProvingTest, ...], tuple[Finding, ...]]:
    """The tests that prove the change, and findings on new tests that prove nothing. If the report tells the file of a
    test, only tests of changed files count: the product itself may have brought others, as cases of an old test. If
    not, such a case is a new test that did not run without the change."""
    known = {test.id for test in compared.before}
    tests = {test.id: test for test in compared.now if not test.stands_for}.values()
    own = [test for test in tests if _is_of(compared.changed, test)]
    proven: list[ProvingTest] = []
    findings: list[Finding] = []
    for test in own or tests:
        is_new = test.id not in known and not _was_unloaded(compared, test)
        if not is_new and not own:
            continue
        shown = None if _is_untouched(compared, test) else _shown(compared, test)
        if isinstance(shown, Reason) and test.status is Status.PASSED:
            proven.append(ProvingTest(test.id, test.file, test.line, shown.value))
        elif is_new and (own or shown is not None):
            findings.append(_unproven(test, shown))
    return tuple(proven), tuple(findings)


def _is_untouched(compared: _Compared, test: RanTest) -> bool:
    """Whether an old test did not run without the change only because of what was added to its file."""
    ran = any(other.id == test.id for other in compared.there)
    return not ran and any(test.id == old.id for old in compared.before) and _is_of(compared.grown, test)


def _shown(compared: _Compared, test: RanTest) -> Reason | RanTest | None:
    """Why the test fails without the change; or how it ended there, which shows nothing; None if it did not run."""
    same = [other for other in compared.there if other.id == test.id]
    failed = next((other for other in same if other.status is Status.FAILED), None)
    if failed is None and not same:
        failed = _unloaded_file(compared, test)
    if failed is not None:
        reason = reason_of(explained(failed, compared.log))
        return reason if reason.proves else explained(failed, compared.log)
    if not same and compared.otherwise is not None:
        text = f"nothing ran without the change\n{compared.log[-2_000:]}"
        return (
            compared.otherwise if compared.otherwise.proves else RanTest(test.id, Status.FAILED, text, stands_for="*")
        )
    return same[0] if same else None


def _unloaded_file(compared: _Compared, test: RanTest) -> RanTest | None:
    """The entry for the test's file, which could not be loaded; if a report tells no files, of any changed file."""
    loads = [other for other in compared.there if other.stands_for and other.status is Status.FAILED]
    for other in loads:
        if belongs(other.stands_for, test.id, test.file):
            return other
    if test.file:
        return None
    return next((other for other in loads if other.stands_for.endswith(compared.changed)), None)


def _unproven(test: RanTest, shown: Reason | RanTest | None) -> Finding:
    place = {"file": test.file, "line": test.line}
    if test.status is Status.SKIPPED:
        message = f"{test.id} is new and is skipped: make it run, and fail without the change"
        return Finding("new_test_skipped", message, **place)  # type: ignore[arg-type]
    if isinstance(shown, RanTest) and shown.status is Status.FAILED:
        return broken(replace(shown, file=shown.file or test.file))
    if isinstance(shown, RanTest):
        what = "passes without the change too" if shown.status is Status.PASSED else "is skipped without the change"
        message = f"{test.id} is new and {what}; make it assert what the change does, or add a test that does"
        return Finding(f"new_test_{shown.status}", message, **place)  # type: ignore[arg-type]
    message = f"{test.id} is new and did not run without the change: put it into a separate test file"
    return Finding("new_test_unproven", message, **place)  # type: ignore[arg-type]


def _without_guards(findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """The findings without those on tests that pass without the change too, and notes in their place: if another test
    proves the change, these may guard what existed."""
    guarding = (finding for finding in findings if finding.rule == _PASSED_BEFORE)
    return tuple(finding for finding in findings if finding.rule != _PASSED_BEFORE), tuple(map(_guards, guarding))


def _guards(finding: Finding) -> Finding:
    message = f"{finding.message.partition(';')[0]}; it tests old behaviour, and does not prove the change"
    return replace(finding, rule=GUARDS, message=message, severity=Severity.NOTE)


def _only_together(proven: Sequence[ProvingTest], alone: Sequence[RanTest]) -> Iterator[Finding]:
    """Tests that pass on the candidate among all others, and fail if the changed files run alone. Without the change
    they ran alone too, so it may not be the change that made them fail."""
    passed = {test.id for test in alone if test.status is Status.PASSED}
    for test in proven:
        if test.id not in passed:
            message = f"{test.id} passes only together with tests of other files: make it pass alone"
            yield Finding("new_test_unproven", message, file=test.file, line=test.line)


def _was_unloaded(compared: _Compared, test: RanTest) -> bool:
    """Whether the test may be an old one, of a file that could not be loaded in the accepted input."""
    files = [old.stands_for for old in compared.before if old.stands_for and old.status is Status.FAILED]
    return any(belongs(of, test.id, test.file) for of in files)


def _is_of(changed: Sequence[str], test: RanTest) -> bool:
    return any(belongs(path, test.id, test.file) for path in changed)


def _of_whole(over: CommandRun, log: str) -> Reason:
    """Why there is no report of the input with the new tests, such as a missing name for the compiler."""
    if over.how is How.EXITED:
        return load_reason(log)
    return Reason.TIMEOUT if over.how is How.TIMED_OUT else Reason.UNLOADED


def _own_tests(request: GateRequest, ran: CommandRun) -> tuple[RanTest, ...] | None:
    """The tests of the report with paths of the repository; None if there is no report that can be read."""
    try:
        report = ran.report if isinstance(ran.report, tuple) else None
        tests = canary.own_tests(report, is_marked=ran.must_fail.rode) if report else None
    except Unreadable:
        return None
    if tests is None:
        return None
    return tuple(replace(test, file=in_repository(test.file, ran.tree, request.gate.dir)) for test in tests)


def _log(context: GateContext, over: CommandRun) -> str:
    digest = next((item.digest for item in over.evidence if item.name == "log"), "")
    return context.blobs.get(digest)[-_LOG_MAX:].decode("utf-8", "replace") if digest else ""


def _note(test: ProvingTest) -> Finding:
    message = f"{test.id} fails without the change ({test.reason}), and passes with it"
    return Finding(PROVEN, message, Severity.NOTE, test.file, test.line)


def _as_json(test: ProvingTest) -> Mapping[str, object]:
    return {"id": test.id, "file": test.file, "line": test.line, "reason": test.reason}


def proven_in(content: bytes) -> Iterator[ProvingTest]:
    """The tests in evidence named `PROVEN`."""
    for test in json.loads(content)["tests"]:
        yield ProvingTest(str(test["id"]), str(test["file"]), int(test["line"]), str(test["reason"]))


def sources(context: GateContext, request: GateRequest, proof: bytes, within: Sequence[str]) -> Iterator[str]:
    """The id and the source of each test in `proof`; if `within` has globs, only of tests in files that match.

    Of Python only the function is read, with its decorators and the comments right above it. Of other languages, or if
    a report does not tell the function, the file is read. Only files that the candidate changed are read.
    """
    changed: Sequence[str] = json.loads(proof)["files"]
    for test in proven_in(proof):
        paths = _files_of(test, changed)
        kept = [path for path in paths if not within or matches_any(within, path)]
        if kept:
            yield test.id
        for path in kept:
            yield _function_source(_text_of(context, request, path), path, test)


def _files_of(test: ProvingTest, changed: Sequence[str]) -> Sequence[str]:
    """The changed file of the test; all changed files if the report does not tell it."""
    named = [path for path in changed if path == test.file or _is_module(path, test.id)]
    return named[:1] or ([] if test.file else changed)


def _is_module(path: str, test_id: str) -> bool:
    dotted = path.removesuffix(".py").replace("/", ".")
    return path.endswith(".py") and test_id.startswith((f"{dotted}.", f"{dotted}::"))


def _text_of(context: GateContext, request: GateRequest, path: str) -> str:
    try:
        return (context.workspaces.read(request.commit, path, _SOURCE_MAX) or b"").decode("utf-8", "replace")
    except UsageError:
        return ""


def _function_source(content: str, path: str, test: ProvingTest) -> str:
    if not path.endswith(".py"):
        return inline.text_of_blocks(path, content)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    owner, _, name = test.id.partition("[")[0].rpartition("::")
    inside = owner.rpartition(".")[2]
    lines = content.splitlines()
    return "\n".join(_with_comments(lines, found) for found in _functions(tree, name, inside))


def _functions(tree: ast.Module, name: str, inside: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions with that name, in the class `inside` if there is one."""
    owners: list[ast.AST] = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == inside]
    found = [node for owner in owners or [tree] for node in ast.walk(owner)]
    functions = (node for node in found if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return [node for node in functions if node.name == name]


def _with_comments(lines: list[str], node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "\n".join(lines[first : node.end_lineno])

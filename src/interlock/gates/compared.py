"""What a candidate is compared with: the tests of the base, and reports that the same tools have made.

Rule: like with like. Where the report of the accepted input, or of the base, was made with other programs, packages or
on another system than this machine has, the gate judges them here first and compares with that; its runs are kept as
any other. A candidate is not blamed for what fails here already before it, and passed elsewhere: such a verdict is
errored, and another machine may decide. Nor does it pass since something failed elsewhere that passes here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from interlock.conventions.judge_files import CONFIGURATION, MIXED, RESERVED, is_test, tests_of
from interlock.core.events import Finding, VerdictStatus
from interlock.core.feedback import TOOLS
from interlock.core.ids import base_of, input_of
from interlock.core.pipeline import Tests
from interlock.gates import inline, proof
from interlock.gates.manifests import DEPENDENCIES
from interlock.gates.referee import GateContext
from interlock.ports import GateRequest, Judgement, Stamp

SAME_TOOLS = "use the same versions on all machines, or keep the stage to those that have them"
_OF_THE_CANDIDATE = (RESERVED, *CONFIGURATION, *MIXED, *DEPENDENCIES)


class CannotCompare(Exception):
    """The gate cannot decide here on what a candidate is compared with, and could with other tools."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(
            f"it cannot judge here what the candidate is compared with, and could with other tools:"
            f" {SAME_TOOLS}\n{_first(judgement)}".rstrip()
        )
        self.evidence = judgement.evidence


Ask = Callable[[GateRequest], Judgement]  # the same gate, on this machine


# --- the same tools -----------------------------------------------------------------------------


def made_here(context: GateContext, request: GateRequest, tools: str, ask: Ask) -> GateRequest:
    """The request with reports made here in place of those that were made with other tools than `tools`. Raises
    CannotCompare."""
    base, made = (request.base_commit, request.base_tree), dict[str, bytes]()

    def report(commit: str, tree: str) -> bytes:
        if commit not in made:
            made[commit] = _report(context, _on(request, commit, tree), ask)
        return made[commit]

    before = request.before
    if before is not None and before.tools != tools and request.baseline is not None:
        here = report(before.commit, before.tree)
        request = replace(request, baseline=here, elsewhere=request.baseline)
    if request.on_base is not None and request.on_base_tools not in ("", tools):
        request = replace(request, on_base=report(*base))
    return request


def excused(request: GateRequest, judgement: Judgement, tools: str, ask: Ask) -> Judgement:
    """The judgement of a candidate without a report to compare; errored if the gate does not pass here on what passed
    it with other tools."""
    before = request.before
    if judgement.status is not VerdictStatus.FAILED or request.baseline is not None or before is None:
        return judgement
    if before.tools == tools or not before.passed:
        return judgement
    here = ask(_on(request, before.commit, before.tree))
    if here.status is VerdictStatus.PASSED:
        return judgement
    message = f"it fails here, and so does what it is compared with, which passed with other tools: {SAME_TOOLS}"
    findings = (Finding(TOOLS, f"{message}\n{_first(here)}".rstrip()),)
    return replace(judgement, status=VerdictStatus.ERRORED, findings=findings)


def _on(request: GateRequest, commit: str, tree: str) -> GateRequest:
    """The gate on a commit alone, compared with nothing."""
    is_base = commit == request.base_commit
    subject = base_of(request.stage.id) if is_base else input_of(request.stage.id, max(1, request.subject.epoch))
    return replace(
        request, subject=subject, commit=commit, tree=tree, input_commit=commit, input_tree=tree, baseline=None,
        on_base=None, before=None, decided_on_input=False, conflicts=(), undecided=(),
    )  # fmt: skip


def _report(context: GateContext, request: GateRequest, ask: Ask) -> bytes:
    judgement = ask(request)
    digest = next((item.digest for item in judgement.evidence if item.name == "report"), "")
    if judgement.status is VerdictStatus.ERRORED or not digest:
        raise CannotCompare(judgement)
    return context.blobs.get(digest)


def _first(judgement: Judgement) -> str:
    return judgement.findings[0].message if judgement.findings else ""


# --- the tests of the base ----------------------------------------------------------------------


def with_tests_of_base(context: GateContext, request: GateRequest) -> GateRequest:
    """The request with the tests of the base, if the gate says `tests: base`.

    Taken from the base is whatever a stage may change and no product needs: tests by their names, what stages add, what
    the pipeline protects, and what a stage authors if it contains tests. What builds, installs or configures stays the
    candidate's, since the product may need it as it is now.
    """
    if request.gate.tests is not Tests.BASE or request.commit == request.base_commit:
        return request
    stamp = Stamp("interlock: the candidate with the tests of the base", 0)
    commit = context.workspaces.restore(
        request.commit, request.base_commit, tuple(_globs_of_base(context, request)), stamp
    )
    sources = [
        change.path for change in context.workspaces.changes(request.base_commit, commit) if change.status == "M"
    ]
    commit = inline.with_blocks_of(context.workspaces, commit, request.base_commit, sources, stamp)
    return replace(request, commit=commit, tree=commit)  # any name of the tree works


def _globs_of_base(context: GateContext, request: GateRequest) -> Iterator[str]:
    """The last glob that matches a path decides."""
    yield from request.stage.scope.protect
    yield from _authored_tests(context, request)
    yield from (f"!{glob}" for glob in _OF_THE_CANDIDATE)
    yield from (*tests_of(request.gate.used), *proof.SUPPORT)
    yield from (glob for stage in (*request.pipeline.stages, request.stage) for glob in stage.scope.adds)


def _authored_tests(context: GateContext, request: GateRequest) -> Iterator[str]:
    """Globs that a stage authors, and that hold a test in the base: data and helpers beside it judge as well."""
    authored = (glob for stage in (*request.pipeline.stages, request.stage) for glob in stage.scope.authored_files)
    for glob in dict.fromkeys(authored):
        if any(is_test(path) for path in context.workspaces.files(request.base_commit, (glob,))):
            yield glob

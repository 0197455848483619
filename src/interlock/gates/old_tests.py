"""The candidate with the tests of the base, as a gate with `tests: base` judges it.

Rule: as in the base is whatever a stage may change and no product needs: tests by their names, what stages add, what
the pipeline protects, and what a stage authors where it holds tests. What builds, installs or configures stays the
candidate's: the product may need it as it is now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from interlock.core.judge_files import CONFIGURATION, MIXED, is_test, tests_of
from interlock.core.pipeline import Tests
from interlock.gates import inline
from interlock.gates.context import GateContext
from interlock.gates.origins import DEPENDENCIES
from interlock.ports import GateRequest, Stamp

SUPPORT = ("conftest.py",)  # what tests of Python may need beside them; protected where the stage does not author it
_OF_THE_CANDIDATE = (".interlock/**", *CONFIGURATION, *MIXED, *DEPENDENCIES)


def with_tests_of_base(context: GateContext, request: GateRequest) -> GateRequest:
    """The case with the tests as the base has them, where the gate asks for these."""
    if request.gate.tests is not Tests.BASE or request.commit == request.base_commit:
        return request
    stamp = Stamp("interlock: the candidate with the tests of the base", 0)
    commit = context.workspaces.restore(request.commit, request.base_commit, tuple(_globs(context, request)), stamp)
    sources = [
        change.path for change in context.workspaces.changes(request.base_commit, commit) if change.status == "M"
    ]
    commit = inline.with_blocks_of(context.workspaces, commit, request.base_commit, sources, stamp)
    return replace(request, commit=commit, tree=commit)  # any name of the tree does


def _globs(context: GateContext, request: GateRequest) -> Iterator[str]:
    """The last one that matches a path decides."""
    yield from request.stage.scope.protect
    yield from _authored_tests(context, request)
    yield from (f"!{glob}" for glob in _OF_THE_CANDIDATE)
    yield from (*tests_of(request.gate.used), *SUPPORT)
    yield from (glob for stage in (*request.pipeline.stages, request.stage) for glob in stage.scope.adds)


def _authored_tests(context: GateContext, request: GateRequest) -> Iterator[str]:
    """Globs that a stage authors, and that hold a test in the base: data and helpers beside it judge as well."""
    authored = (glob for stage in (*request.pipeline.stages, request.stage) for glob in stage.scope.authors)
    for glob in dict.fromkeys(authored):
        if "#" not in glob and any(is_test(path) for path in context.workspaces.files(request.base_commit, (glob,))):
            yield glob

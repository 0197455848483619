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
from interlock.gates.bench import Bench
from interlock.gates.origins import DEPENDENCIES
from interlock.ports import Case, Stamp

SUPPORT = ("conftest.py",)  # what tests of Python may need beside them; protected where the stage does not author it
_OF_THE_CANDIDATE = (".interlock/**", *CONFIGURATION, *MIXED, *DEPENDENCIES)


def with_tests_of_base(bench: Bench, case: Case) -> Case:
    """The case with the tests as the base has them, where the gate asks for these."""
    if case.gate.tests is not Tests.BASE or case.commit == case.base_commit:
        return case
    stamp = Stamp("interlock: the candidate with the tests of the base", 0)
    commit = bench.workspaces.restore(case.commit, case.base_commit, tuple(_globs(bench, case)), stamp)
    sources = [change.path for change in bench.workspaces.changes(case.base_commit, commit) if change.status == "M"]
    commit = inline.with_blocks_of(bench.workspaces, commit, case.base_commit, sources, stamp)
    return replace(case, commit=commit, tree=commit)  # any name of the tree does


def _globs(bench: Bench, case: Case) -> Iterator[str]:
    """The last one that matches a path decides."""
    yield from case.stage.scope.protect
    yield from _authored_tests(bench, case)
    yield from (f"!{glob}" for glob in _OF_THE_CANDIDATE)
    yield from (*tests_of(case.gate.used), *SUPPORT)
    yield from (glob for stage in (*case.pipeline.stages, case.stage) for glob in stage.scope.adds)


def _authored_tests(bench: Bench, case: Case) -> Iterator[str]:
    """Globs that a stage authors, and that hold a test in the base: data and helpers beside it judge as well."""
    authored = (glob for stage in (*case.pipeline.stages, case.stage) for glob in stage.scope.authors)
    for glob in dict.fromkeys(authored):
        if "#" not in glob and any(is_test(path) for path in bench.workspaces.files(case.base_commit, (glob,))):
            yield glob

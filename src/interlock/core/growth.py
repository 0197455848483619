"""Test files that grow: who may add to a test file that is there, and what adding to it is. Pure.

Rule: every old line is kept, in its order; only an import may name more than before. Added lines can still
change what old tests say, so a file may grow only where a gate with `tests: base` runs the old tests as they were.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from interlock.core.globs import matches_any
from interlock.core.imports import joined, names_more
from interlock.core.judge_files import is_configuration, is_test_code, tests_of
from interlock.core.pipeline import Gate, GateClass, Pipeline, Stage, Tests

SNAPSHOTS = ("*.snap",)  # of new tests, in the file of the old ones


def guards(pipeline: Pipeline, stage: Stage) -> Iterator[Gate]:
    """The gates that run the base's tests on what comes of the stage: its own, and those of later stages that are
    never skipped."""
    below = pipeline.downstream(stage.id) if any(one.id == stage.id for one in pipeline.stages) else ()
    later = [one for one in map(pipeline.stage, below) if one.id != stage.id and one.when is None]
    for one in (stage, *later):
        yield from (gate for gate in one.gates if gate.tests is Tests.BASE and gate.gate_class is GateClass.HARD)


def may_grow(pipeline: Pipeline, stage: Stage, path: str) -> bool:
    """Whether the stage may add to this file: one that it `adds`, a test by its own name, that a gate guards."""
    if not matches_any(stage.scope.adds, path) or is_configuration(path):
        return False
    if not is_test_code(path) and not matches_any(SNAPSHOTS, path):
        return False
    return any(_is_guarded(gate, path) for gate in guards(pipeline, stage))


def grew(path: str, old: bytes, new: bytes) -> bool:
    """Whether `new` is `old` with lines added. Of Python each old function stays as it was, too."""
    lines = iter(joined(path, new).split(b"\n"))
    before = joined(path, old).removesuffix(b"\n").split(b"\n")
    if not all(any(_is_kept(line, other) for other in lines) for line in before):
        return False
    return not path.endswith(".py") or _are_as_before(old, new)


def _is_guarded(gate: Gate, path: str) -> bool:
    inside = not gate.dir or path.startswith(f"{gate.dir}/")
    return inside and matches_any(tests_of(gate.used), path)


def _is_kept(line: bytes, other: bytes) -> bool:
    return line == other or names_more(line, other)


def _are_as_before(old: bytes, new: bytes) -> bool:
    """Whether each function and class of the old Python is in the new one as it was, and is not defined once more.
    A class may get more methods, and a decorator more arguments, such as cases."""
    try:
        before, after = (list(_definitions(ast.parse(content), "")) for content in (old, new))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # its tests do not run, and another gate says so
    names = {name for name, _ in before}
    return before == [(name, shape) for name, shape in after if name in names]


def _definitions(node: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _definitions(child, inside)
            continue
        name = f"{inside}.{child.name}"
        fixed = (child.bases, child.keywords) if isinstance(child, ast.ClassDef) else ([child.args], child.body)
        decorators = (each.func if isinstance(each, ast.Call) else each for each in child.decorator_list)
        yield name, " ".join(ast.dump(part) for part in (*fixed[0], *fixed[1], *decorators))
        if isinstance(child, ast.ClassDef):
            yield from _definitions(child, name)

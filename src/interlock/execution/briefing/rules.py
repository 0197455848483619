"""What a stage may change, and which gates judge its work. Pure.

Rule: a held-out gate is mentioned and nothing else is said about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from interlock.conventions.judge_files import PROTECTED, matches_in_any_case
from interlock.conventions.protected_changes import guards
from interlock.core.pipeline import FOLDER, Baseline, Expect, Gate, GateKind, Pipeline, Report, Scope, Stage, Tests
from interlock.gates.kinds import find
from interlock.pipelinefile.sets import short_command
from interlock.text.cleaning import count, cut, glob_here, listed, path_here

_PATHS_MAX = 700  # characters of one list
_GATES_MAX = 2_000  # characters of the list
_COMMAND_MAX = 240
_MORE = "(the pipeline's file has all of them)"
_ALWAYS = frozenset(PROTECTED)
_ALL_BELOW = re.compile(r"\*\*(/\*)?$")
_WILD = re.compile(r"[*?\[]")
_PROTECTED = (
    ", at any depth and also where they would be new: tests and their data, whatever steers tests, linters,"
    " type checkers, builds, package managers and CI, `.env` files, files for agents, and `.interlock/`."
)


def may_change(pipeline: Pipeline, stage: Stage) -> str:
    parts = (*_allowed(pipeline, stage), *_limits(stage.scope), *_protected(pipeline, stage))
    return "\n\n".join(parts)


def _allowed(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    scope = stage.scope
    added = tuple(_added(pipeline, stage))
    authored = [f"{glob_here(stage.dir, glob)} (though it is protected otherwise)" for glob in scope.authors]
    if scope.writes is None:
        yield "You may change and add whatever the task needs, except what is protected."
        if authored:
            yield "You may change as well:\n" + listed(authored, _PATHS_MAX, _MORE)
    elif scope.writes or authored:
        own = [glob_here(stage.dir, glob) for glob in scope.writes]
        yield "You may change, add and delete:\n" + listed((*own, *authored), _PATHS_MAX, _MORE)
    if added:
        yield "Existing tests must not change. You may add:\n" + listed(added, _PATHS_MAX, _MORE)
    if scope.writes is not None:
        rest = "All else" if scope.writes or authored or added else "Every file of the repository"
        yield f"{rest} must stay unchanged{', except the documents named below' if stage.produces else ''}."


def _added(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    if not stage.scope.adds:
        return
    yield from (f"new test files in {glob_here(stage.dir, glob)}" for glob in stage.scope.adds)
    guarding = list(guards(pipeline, stage))
    if guarding:
        yield "new tests in existing test files: below the old ones, with every old line kept"
    if any(gate.used.startswith("rust.") for gate in guarding):
        yield "new tests inside sources, under `#[cfg(test)]`: what is there stays"


def _limits(scope: Scope) -> Iterator[str]:
    said = [count(number, noun) for number, noun in ((scope.max_files, "file"), (scope.max_lines, "line")) if number]
    if said:
        yield f"At most {' and '.join(said)} may differ in the end (the documents do not count)."


def _protected(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    if stage.scope.writes == () and not stage.scope.authors:
        return  # all is said already
    own = [glob for glob in stage.scope.protect if glob not in _ALWAYS and not glob.startswith(f"/{FOLDER}/")]
    if stage.scope.writes is not None:
        may = (*stage.scope.writes, *stage.scope.authors)
        own = [glob for glob in own if any(_may_meet(glob, other) for other in may)]
    here = dict.fromkeys(glob_here(stage.dir, glob) for glob in own if not _is_told(glob))
    begin = "Otherwise protected" if stage.scope.adds or stage.scope.authors else "Protected"
    yield begin + _PROTECTED + ("\nProtected as well:\n" + listed(here, _PATHS_MAX, _MORE) if here else "")
    made = [glob_here(stage.dir, path) for setup in pipeline.setup for path in setup.paths]
    if made:
        yield f"Setup made {', '.join(made[:10])}: leave that alone."
    if stage.scope.writes is None:
        yield "A dependency may be added by its name, not from a path, an address or another index."


def _is_told(glob: str) -> bool:
    """Whether the sentence on what is always protected tells it, wherever it lies: a folder of tests, say."""
    sample = _ALL_BELOW.sub("x/x.py", glob.strip("/")).replace("*", "x")
    return not _WILD.search(sample) and matches_in_any_case(PROTECTED, sample)


def _may_meet(one: str, other: str) -> bool:
    """Whether two globs may fit the same path: by what stands before their first wildcard, or by their names where one
    is of a name alone."""
    both = [glob.strip("/") for glob in (one, other)]
    if all("/" in glob.rstrip("/") for glob in (one, other)):
        heads = [_WILD.split(glob)[0] for glob in both]
        return heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])
    names = [glob.rpartition("/")[2] for glob in both]
    return fnmatchcase(*names) or fnmatchcase(*reversed(names)) or all(_WILD.search(name) for name in names)


def checks(pipeline: Pipeline, stage: Stage, inherited: Sequence[str]) -> str:
    """`inherited` are gates of other stages whose work was merged into the input."""
    said = [line for gate in stage.gates if not gate.held_out and (line := _line(pipeline, stage, gate))]
    held_out = [name for name in inherited if _is_held_out(pipeline, name)]
    said += [f"{name}, as the work that was merged was" for name in inherited if name not in held_out]
    hidden = len(held_out) + sum(1 for gate in stage.gates if gate.held_out)
    if hidden:
        said.append(f"{count(hidden, 'held-out check')}, not shown to you: they check what the task asks for")
    text = listed(said, _GATES_MAX, _MORE)
    if any(gate.command is not None and "$REPORT" in short_command(gate) and not gate.held_out for gate in stage.gates):
        text += "\n\nWhere a command says `$REPORT`, set it to a file outside of this folder."
    return text


def _is_held_out(pipeline: Pipeline, name: str) -> bool:
    maker, _, gate = name.partition("/")
    return any(
        each.held_out for stage in pipeline.stages if stage.id == maker for each in stage.gates if each.id == gate
    )


def _line(pipeline: Pipeline, stage: Stage, gate: Gate) -> str:
    if gate.kind == GateKind.RUN:
        return f"{gate.id}: {'; '.join(_of_command(pipeline, stage, gate))}"
    brief_line = find(gate.kind).brief_line
    return f"{gate.id}: {brief_line(pipeline, stage, gate)}" if brief_line is not None else gate.id


def _of_command(pipeline: Pipeline, stage: Stage, gate: Gate) -> Iterator[str]:
    command, where = cut(short_command(gate), _COMMAND_MAX), _where(stage, gate)
    named = f"{gate.used}, " if gate.used and command else gate.used
    yield f"{named}`{command}`{where}" if command else f"{named or 'a program of the project'}{where}"
    if gate.expect is Expect.NEW_TESTS_FAIL:
        yield "each new test must fail now, for an assertion or a missing name; nothing else may fail or vanish"
    elif gate.expect is Expect.TESTS_PROVE_CHANGE:
        yield "write new tests for the change: they must pass with it, and at least one must fail without it"
    if gate.report is Report.JUNIT and gate.expect is not Expect.NEW_TESTS_FAIL:
        kept = "no test that passed before may fail, be skipped or vanish"
        yield (
            f"{kept}; others may keep failing" if gate.baseline is Baseline.NO_WORSE else f"every test passes; {kept}"
        )
    if gate.tests is Tests.BASE:
        yield "it runs the tests as they were before all of this work"
    if gate.used.endswith((".lint", ".types")):
        yield "fix what it finds; do not switch it off for a file"


def _where(stage: Stage, gate: Gate) -> str:
    if gate.dir == stage.dir:
        return ""
    return f" in `{path_here(stage.dir, gate.dir or '.')}`"

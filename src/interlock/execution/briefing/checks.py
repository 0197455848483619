"""What a stage's work is judged by, gate by gate. Rule: of what is held out only that it is there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.core.pipeline import Baseline, Expect, Gate, GateKind, Pipeline, Report, Stage, Tests
from interlock.gates.kinds import find
from interlock.gates.words import count, cut, listed, path_here
from interlock.pipelinefile.sets.ready import shown

_ROOM = 2_000  # characters of the list
_COMMAND_MAX = 240
_MORE = "(the pipeline's file has all of them)"


def checks(pipeline: Pipeline, stage: Stage, inherited: Sequence[str]) -> str:
    """`inherited` are gates of other stages whose work was merged into the input."""
    said = [line for gate in stage.gates if not gate.held_out and (line := _line(pipeline, stage, gate))]
    held_out = [name for name in inherited if _is_held_out(pipeline, name)]
    said += [f"{name}, as the work that was merged was" for name in inherited if name not in held_out]
    hidden = len(held_out) + sum(1 for gate in stage.gates if gate.held_out)
    if hidden:
        said.append(f"{count(hidden, 'held-out check')}, not shown to you: what the task asks is what counts there")
    text = listed(said, _ROOM, _MORE)
    if any(gate.command is not None and "$REPORT" in shown(gate) and not gate.held_out for gate in stage.gates):
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
    command, where = cut(shown(gate), _COMMAND_MAX), _where(stage, gate)
    named = f"{gate.used}, " if gate.used and command else gate.used
    yield f"{named}`{command}`{where}" if command else f"{named or 'a program of the project'}{where}"
    if gate.expect is Expect.NEW_TESTS_FAIL:
        yield "each new test must fail now, for an assertion or a missing name; nothing else may fail or vanish"
    elif gate.expect is Expect.TESTS_PROVE_CHANGE:
        yield "write new tests for the change: they must pass with it, and at least one must fail without it"
    if gate.report is Report.JUNIT and gate.expect is not Expect.NEW_TESTS_FAIL:
        kept = "no test that passed before may fail, be skipped or vanish"
        yield (
            f"{kept}; others may go on failing" if gate.baseline is Baseline.NO_WORSE else f"every test passes; {kept}"
        )
    if gate.tests is Tests.BASE:
        yield "it runs the tests as they were before all of this work"
    if gate.used.endswith((".lint", ".types")):
        yield "mend what it finds; do not switch it off for a file"


def _where(stage: Stage, gate: Gate) -> str:
    if gate.dir == stage.dir:
        return ""
    return f" in `{path_here(stage.dir, gate.dir or '.')}`"

"""What a stage's work is judged by, gate by gate. Rule: of what is held out only that it is there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.core.pipeline import Artifact, Baseline, Expect, Gate, GateKind, Pipeline, Report, Stage, Tests
from interlock.execution.told.words import count, cut, glob_here, listed, path_here
from interlock.gates.kinds.ci import Ci
from interlock.gates.kinds.review import Review
from interlock.gates.kinds.traces import Traces
from interlock.spec.sets.shown import shown

_ROOM = 2_000  # characters of the list
_COMMAND_MAX = 240
_WORDS_MAX = 600  # of a rubric or a question
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
    match gate.options:
        case Traces():
            return f"{gate.id}: {_traced(pipeline, stage, gate.options)}"
        case Review():
            return f"{gate.id}: {_review(stage, gate.options)}"
        case Ci():
            names = f" ({cut(', '.join(gate.options.checks), _COMMAND_MAX)})" if gate.options.checks else ""
            return f"{gate.id}: the project's CI{names} says yes"
        case _:
            pass
    match gate.kind:
        case GateKind.SCOPE:
            empty = "" if stage.may_be_empty else ", and something has"
            return f"scope: only what may change has changed{empty}"
        case GateKind.PRODUCES:
            return "produces: the documents are there, as they are asked for below"
        case GateKind.RUN:
            return f"{gate.id}: {'; '.join(_of_command(pipeline, stage, gate))}"
        case GateKind.APPROVE:
            return f"{gate.id}: a person is asked: {cut(gate.question, _WORDS_MAX)}"
        case _:
            return gate.id


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


def _traced(pipeline: Pipeline, stage: Stage, traces: Traces) -> str:
    ids = f"each id that `{cut(traces.pattern, 80)}` matches" if traces.pattern else "each id such as REQ-12"
    if traces.proven:
        where = "in a new test that fails without the change and passes with it"
    elif traces.within:
        where = f"in {cut(', '.join(glob_here(stage.dir, glob) for glob in traces.within), _COMMAND_MAX)}"
    else:
        where = "in the documents of this stage" if stage.produces else "in some file"
    return f"{ids} in {_document(pipeline, stage, traces.of)} is named {where}"


def _document(pipeline: Pipeline, stage: Stage, name: str) -> str:
    maker, _, artifact = name.partition("/")
    made: list[Artifact] = [each for each in pipeline.stage(maker).produces if each.name == artifact]
    return f"`{path_here(stage.dir, f'.interlock/artifacts/{maker}/{made[0].file}')}`" if made else name


def _review(stage: Stage, review: Review) -> str:
    said = f"read by {count(len(review.by), 'other agent')}"
    if review.approvals < len(review.by):
        said += f", of whom {review.approvals} must approve"
    if review.preserves:
        said += f"; what {cut(', '.join(review.preserves), 120)} requires must be kept"
    return f"{said}. They judge by: {cut(review.rubric.content, _WORDS_MAX)}" if review.rubric else said

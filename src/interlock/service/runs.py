"""Starting a run: the request is checked and written down as its first event. And which run a name means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from interlock.core.events import RunStarted
from interlock.core.pipeline import Input, Pipeline
from interlock.execution.records import delivery_branch, text_digest
from interlock.pipelinefile import encode_pipeline
from interlock.ports import Engine, UsageError
from interlock.text.cleaning import plain
from interlock.text.names import flaw

TASK_BYTES_MAX = 100_000  # of the task and of each input, as UTF-8: they become variables, and Linux takes 128 KiB
_NEWEST = re.compile(r"@(?:-(\d{1,6}))?")
_SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class RunRequest:
    """`base_*` is a commit and its tree in the store."""

    pipeline: Pipeline
    task: str
    base_commit: str
    base_tree: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    until: str = ""
    sandbox: str = "none"
    by: str = ""
    engine: str = ""
    contents: str = ""  # digest of the manifest of what other machines need besides commits


def begin(engine: Engine, run: str, at: float, request: RunRequest) -> None:
    """Start a run with its first event, and its pipeline by content. Raises UsageError."""
    text = encode_pipeline(request.pipeline)
    engine.start(at, first_event(run, request, text), text)


def first_event(run: str, request: RunRequest, pipeline_text: str) -> RunStarted:
    """What a request asks for, as the first event of a run. Raises UsageError."""
    pipeline = request.pipeline
    if not request.engine:
        _require_one_machine(pipeline)
    event = RunStarted(
        run=run,
        pipeline=pipeline.name,
        pipeline_digest=pipeline.digest,
        task=_task(request.task),
        base_commit=request.base_commit,
        base_tree=request.base_tree,
        stages=_stages(pipeline, request.until),
        inputs=tuple(_inputs(pipeline, request.inputs)),
        until=request.until,
        sandbox=request.sandbox,
        by=request.by,
        pipeline_text=text_digest(pipeline_text),
        engine=request.engine,
        contents=request.contents,
    )
    if not request.until:
        _require_branch(pipeline, event)
    return event


def _require_one_machine(pipeline: Pipeline) -> None:
    """The process that drives a run here makes and judges all of it."""
    if apart := next((stage for stage in pipeline.stages if stage.judged_elsewhere), None):
        raise UsageError(
            f"the stage {apart.id} has `referee: elsewhere`, and here one machine does all: start the run with"
            " `--engine temporal`, or remove that key"
        )


def _require_branch(pipeline: Pipeline, started: RunStarted) -> None:
    """The branch name is checked now: after all the work it would be too late."""
    from interlock.pipelinefile.templates import render  # lazy: verbs that only look need no templates

    branch = delivery_branch(render, pipeline, started)
    if wrong := flaw(branch, repr(plain(branch, 200))):
        raise UsageError(
            f"deliver.branch, with the task and the inputs filled in: {wrong}"
            " (`git help check-ref-format`): change these, or correct deliver.branch"
        )


def _task(task: str) -> str:
    if not task.strip():
        raise UsageError('the task is empty: give it as in `interlock run "TASK"`, with @FILE or on standard input')
    _require_fit("the task", task)
    return task


def _require_fit(what: str, text: str) -> None:
    if "\0" in text:
        raise UsageError(f"{what} contains a NUL character: use text")
    if len(text.encode("utf-8", "surrogatepass")) > TASK_BYTES_MAX:
        raise UsageError(
            f"{what} is longer than {TASK_BYTES_MAX} bytes: put the rest into a file of the repository,"
            " and name that file"
        )


def _stages(pipeline: Pipeline, last: str) -> tuple[str, ...]:
    if not last:
        return tuple(stage.id for stage in pipeline.ordered())
    known = [stage.id for stage in pipeline.ordered()]
    if last not in known:
        raise UsageError(f"--until {last}: no such stage, there are {', '.join(known)}")
    selected = {*pipeline.upstream(last), last}
    return tuple(name for name in known if name in selected)


def _inputs(pipeline: Pipeline, given: Mapping[str, str]) -> list[tuple[str, str]]:
    known = {declared.name: declared for declared in pipeline.inputs}
    for name in given:
        if name not in known:
            raise UsageError(f"-i {name}: no such input, there are: {', '.join(known) or 'none'}")
    return [(name, _value(declared, given)) for name, declared in known.items()]


def _value(declared: Input, given: Mapping[str, str]) -> str:
    if declared.name not in given:
        if declared.required and not declared.default:
            raise UsageError(f"input {declared.name} is required: give it with -i {declared.name}=VALUE")
        return declared.default
    value = given[declared.name]
    _require_fit(f"input {declared.name}", value)
    if declared.type == "integer" and not value.lstrip("-").isdigit():
        raise UsageError(f"-i {declared.name}={value}: expected a whole number")
    if declared.type == "boolean" and value not in ("true", "false"):
        raise UsageError(f"-i {declared.name}={value}: expected true or false")
    return value


# --- names ----------------------------------------------------------------------------------------


def in_order(begun: Sequence[str], lost: Sequence[str]) -> list[str]:
    """Runs, oldest first. The journal knows in which order runs began; a lost one is put where its id, which begins
    with the time, sorts."""
    ordered = list(begun)
    for run in sorted(lost):
        at = next((at for at, other in enumerate(ordered) if other > run), len(ordered))
        ordered.insert(at, run)
    return ordered


def run_named(runs: Sequence[str], name: str) -> str:
    """The run that `name` means, of `runs`, oldest first: `@` is the newest, `@-1` the one before; else an id, or a
    unique beginning or end of one. Raises UsageError."""
    if match := _NEWEST.fullmatch(name):
        return _counted_back(runs, name, int(match[1] or 0))
    found = (
        [run for run in runs if run == name]
        or [run for run in runs if run.startswith(name)]
        or [run for run in runs if run.endswith(name)]
    )
    if not found:
        raise UsageError(f"no run {name} in this repository: `interlock list` shows all runs")
    if len(found) > 1:
        raise UsageError(f"{name} matches {len(found)} runs: {_candidates(found)}: type more of the id")
    return found[0]


def _candidates(runs: Sequence[str]) -> str:
    """The newest of `runs`, oldest first."""
    shown = ", ".join(reversed(runs[-_SHOWN_MAX:]))
    return f"{shown}, ..." if len(runs) > _SHOWN_MAX else shown


def _counted_back(runs: Sequence[str], name: str, back: int) -> str:
    if not runs:
        raise UsageError("no runs in this repository yet: `interlock run -p PIPELINE TASK` starts one")
    if back >= len(runs):
        raise UsageError(f"{name}: there is no such run: the oldest is {runs[0]}, or @-{len(runs) - 1}")
    return runs[-1 - back]

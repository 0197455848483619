"""Starting a run: what is asked for, checked and written down as its first fact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from interlock.core.branches import flaw
from interlock.core.events import RunStarted
from interlock.core.pipeline import Input, Pipeline, until
from interlock.core.text import plain
from interlock.execution.records import delivery_branch, record_pipeline
from interlock.ports import Journal, UsageError

TASK_BYTES_MAX = 100_000  # of the task and of each input, as UTF-8: they become variables, and Linux takes 128 KiB


@dataclass(frozen=True, slots=True)
class RunRequest:
    """`base` is a commit and its tree in the store; `sources` the files that the pipeline was read from."""

    pipeline: Pipeline
    task: str
    base_commit: str
    base_tree: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    until: str = ""
    sandbox: str = "none"
    by: str = ""
    sources: tuple[tuple[str, str], ...] = ()


def begin(journal: Journal, run: str, at: float, request: RunRequest) -> RunStarted:
    """Record the pipeline by content and append the first event. Raises UsageError."""
    pipeline = request.pipeline
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
    )
    if not request.until:
        _require_branch(pipeline, event)
    event = replace(event, pipeline_text=record_pipeline(journal, run, pipeline))
    journal.remember("sources", run, json.dumps(request.sources))
    journal.create(run, at, event)
    return event


def _require_branch(pipeline: Pipeline, started: RunStarted) -> None:
    """The run would work first, and then find nowhere to deliver to."""
    from interlock.pipelinefile.templates import render  # late: who looks at runs needs no templates

    branch = delivery_branch(render, pipeline, started)
    if wrong := flaw(branch, repr(plain(branch, 200))):
        raise UsageError(
            f"deliver.branch, of task and inputs: {wrong}"
            " (`git help check-ref-format`): give others, or mend deliver.branch"
        )


def _task(task: str) -> str:
    if not task.strip():
        raise UsageError('the task is empty: say it as in `interlock run "TASK"`, with @FILE or on standard input')
    _require_fit("the task", task)
    return task


def _require_fit(what: str, text: str) -> None:
    if "\0" in text:
        raise UsageError(f"{what} holds a NUL character: give text")
    if len(text.encode("utf-8", "surrogatepass")) > TASK_BYTES_MAX:
        raise UsageError(
            f"{what} is longer than {TASK_BYTES_MAX} bytes: put the rest into a file of the repository and name it"
        )


def _stages(pipeline: Pipeline, last: str) -> tuple[str, ...]:
    if not last:
        return tuple(stage.id for stage in pipeline.ordered())
    known = [stage.id for stage in pipeline.ordered()]
    if last not in known:
        raise UsageError(f"--until {last}: no such stage, there are {', '.join(known)}")
    kept = {stage.id for stage in until(pipeline, last)}
    return tuple(name for name in known if name in kept)


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

"""The brief: the parts of what an agent is told, filled into a template that a user can read and replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from interlock.core.effects import StartAttempt
from interlock.core.pipeline import ARTIFACTS, GateKind, Pipeline, Stage
from interlock.execution.briefing.inputs import accepted, conflicts, documents
from interlock.execution.briefing.rejections import Feedback, Rejection, read, tried, wrong
from interlock.execution.briefing.rules import checks, may_change
from interlock.execution.context import Context
from interlock.execution.instructions import Base, instructions, told
from interlock.pipelinefile.templates import default_brief
from interlock.ports import Checkout, Render, World

ARTIFACT_MAX = 200_000  # bytes of one artifact in a prompt

Values = Mapping[str, object]


def compose(world: World, context: Context, effect: StartAttempt, checkout: Checkout, *, resumed: bool = False) -> str:
    """The text that an agent is given; `resumed`: one that goes on with its own session. Where a rejected patch is too
    long to be shown, all of it is laid beside the checkout. Raises UsageError where a template fails."""
    pipeline, stage = context.pipeline, context.pipeline.stage(effect.attempt.stage)
    said = read(world.blobs, effect.feedback)
    artifacts = dict(_artifacts(world, context, effect))
    values = {
        **_facts(context, stage, artifacts, wrong(stage, said)),
        **_parts(pipeline, stage, effect.inherited),
        "accepted": _accepted(world, context, effect, tuple(artifacts)),
        "conflicts": conflicts(stage, effect),
        "instructions": "" if resumed else instructions(world, context, effect, checkout),
        "continued": bool(effect.source) and not effect.by,
        "resumed": resumed,
        "tried": "",
    }
    if not values["continued"] and not resumed:
        values["tried"] = _tried(world, stage, _undone(world, effect, said), checkout)
    return _filled(world.render, stage, values)


def preview(render: Render, pipeline: Pipeline, stage: Stage, base: Base | None = None) -> str:
    """The brief of a first attempt, with what is known before a run, which would begin with `base`. Raises UsageError
    where a template fails."""
    artifacts = {
        f"{name}/{artifact.name}": f"[the content of {artifact.file}, as {name} will have written it]"
        for name in pipeline.upstream(stage.id)
        for artifact in pipeline.stage(name).produces
    }
    values = {
        "task": "[the task]",
        "inputs": {known.name: known.default or f"[the input {known.name}]" for known in pipeline.inputs},
        "run": {"id": "[the run]"},
        "stage": {"id": stage.id},
        "artifacts": artifacts,
        "feedback": "",
        "wrong": "",
        **_parts(pipeline, stage, ()),
        "accepted": accepted(pipeline, stage, artifacts, ()),
        "instructions": told(base, pipeline, stage, stage.agent, _to_be_laid) if base is not None else "",
        **dict.fromkeys(("conflicts", "tried"), ""),
        "continued": False,
        "resumed": False,
    }
    return _filled(render, stage, values)


def _to_be_laid(name: str, content: bytes) -> str:
    return f"[beside the checkout]/{name}"


def _filled(render: Render, stage: Stage, values: Values) -> str:
    """The prompt goes into the brief as a value: nothing in it is taken for a template once more."""
    prompt = render(stage.prompt.content, values).strip()
    template = stage.brief.content if stage.brief is not None else default_brief()
    return render(template, {**values, "prompt": prompt}).strip() + "\n"


def _facts(context: Context, stage: Stage, artifacts: Mapping[str, str], why: str) -> dict[str, object]:
    return {
        "task": context.started.task,
        "inputs": dict(context.started.inputs),
        "run": {"id": context.run},
        "stage": {"id": stage.id},
        "artifacts": artifacts,
        "feedback": why,
        "wrong": why,
    }


def _parts(pipeline: Pipeline, stage: Stage, inherited: Sequence[str]) -> dict[str, object]:
    """What the pipeline alone says."""
    return {
        "may_change": may_change(pipeline, stage),
        "checks": checks(pipeline, stage, inherited),
        "documents": documents(stage),
        "only_documents": bool(stage.produces)
        and stage.scope.writes == ()
        and not (stage.scope.adds or stage.scope.authors),
        "runnable": any(gate.kind == GateKind.RUN and not gate.held_out for gate in stage.gates),
        "folder": stage.dir,
    }


def _artifacts(world: World, context: Context, effect: StartAttempt) -> Iterator[tuple[str, str]]:
    for name in context.pipeline.upstream(effect.attempt.stage):
        for artifact in context.pipeline.stage(name).produces:
            path = f"{ARTIFACTS}/{name}/{artifact.file}"
            content = world.workspaces.read(effect.input_commit, path, max_bytes=artifact.max_bytes)
            if content is not None:
                yield f"{name}/{artifact.name}", content[:ARTIFACT_MAX].decode("utf-8", "replace")


def _accepted(world: World, context: Context, effect: StartAttempt, there: Sequence[str]) -> str:
    stage = context.pipeline.stage(effect.attempt.stage)
    if not stage.needs:
        return ""
    changed = world.workspaces.changes(context.started.base_commit, effect.input_commit)
    return accepted(context.pipeline, stage, there, changed)


def _undone(world: World, effect: StartAttempt, said: Sequence[Feedback]) -> Sequence[Feedback]:
    """With the stage's own work that was sent back, before what was rejected since: who sent it back rejected another
    attempt, or none. What is put among the blobs is masked."""
    undone = effect.undone
    if undone is None:
        return said
    epoch = f"{str(effect.attempt).rpartition('.')[0]}."
    since = [one for one in said if isinstance(one, Rejection) and one.attempt.startswith(epoch)]
    before = [one for one in said if one not in since]
    patch = world.blobs.put(world.workspaces.patch(undone.input_tree, undone.tree))
    return (*before, Rejection(str(undone.attempt), (), {}, patch, sent_back=True), *since)


def _tried(world: World, stage: Stage, said: Sequence[Feedback], checkout: Checkout) -> str:
    text, name, whole = tried(stage, said, world.blobs)
    if not whole:
        return text
    return f"{text}\n\nIt was cut. All of it: {checkout.seen(world.workspaces.put_beside(checkout, name, whole))}"

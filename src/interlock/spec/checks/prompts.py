"""Variables in prompts and in the branch's name: known, and there when the stage begins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interlock.spec.mistakes import Mark
from interlock.spec.yaml import Scalar

if TYPE_CHECKING:
    from interlock.core.pipeline import Stage
    from interlock.spec.checks.view import View
    from interlock.spec.templates import Flaw, Known
    from interlock.spec.where import Path

NAMES = frozenset({"task", "inputs", "run.id", "stage.id", "artifacts", "feedback", "item"})
BRANCH_NAMES = frozenset({"run.id", "inputs"})


def check(view: View) -> None:
    from interlock.spec.templates import Known

    inputs = view.declared("inputs")
    makers = {f"{stage.id}/{artifact.name}": stage.id for stage in view.pipeline.stages for artifact in stage.produces}
    for stage, part in view.stages():
        if part.prompt is not None and stage.id not in view.partial:
            key = "file" if part.prompt.file else "text"
            at: Path = ("stages", stage.id, "prompt")
            at = (*at, key) if view.has(*at, key) else at
            made = frozenset(name for name, maker in makers.items() if maker in view.upstream[stage.id])
            known = Known(NAMES, inputs, made, makers, stage.id)
            _tell(view, stage.prompt.content, stage.prompt.origin, at, known)
            _skipped(view, stage, at)
    branch = view.pipeline.deliver.branch
    if view.has("deliver", "branch"):
        _tell(view, branch, "", ("deliver", "branch"), Known(BRANCH_NAMES, inputs))


def _skipped(view: View, stage: Stage, at: Path) -> None:
    """Artifacts of a stage that may be skipped may not be there."""
    prompt = stage.prompt.content
    if re.search(r"\bin\s+artifacts|is\s+(not\s+)?defined|\|\s*default", prompt):
        return
    for other in view.pipeline.stages:
        for artifact in other.produces if other.when and other.id in view.upstream[stage.id] else ():
            name = f"{other.id}/{artifact.name}"
            if re.search(rf"artifacts\s*\[\s*['\"]{name}['\"]", prompt):
                hint = f"put it into {{% if '{name}' in artifacts %}} ... {{% endif %}}"
                view.warn(at, f"{name} is not there when {other.id} is skipped", hint)


def _tell(view: View, template: str, origin: str, at: Path, known: Known) -> None:
    from interlock.spec.templates import flaws  # late: pipelines without templates need no engine

    for flaw in flaws(template, known):
        mark = _in_file(template, origin, flaw.offset) if origin else _in_place(view, template, at, flaw)
        view.draft.mistakes.add(mark, flaw.message, flaw.hint)


def _in_file(template: str, file: str, offset: int) -> Mark:
    before = template[:offset]
    return Mark(file, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _in_place(view: View, template: str, at: Path, flaw: Flaw) -> Mark:
    """The place in the pipeline's own text: that of the same tag after the value begins. Where quotes or
    folding changed the tag, the value's."""
    from interlock.spec.templates import tag_at

    mark, node = view.draft.where.value(*at), view.draft.where.node(*at)
    source = dict(view.draft.sources.listed()).get(mark.file, "")
    tag, begins = tag_at(template, flaw.offset)
    if not tag or not isinstance(node, Scalar):
        return mark
    index = _index_of(source, mark)
    for _ in range(template[:begins].count(tag) + 1):
        index = source.find(tag, index + 1)
        if index < 0:
            return mark
    return _in_file(source, mark.file, index + flaw.offset - begins)


def _index_of(source: str, mark: Mark) -> int:
    lines = source.splitlines(keepends=True)[: mark.line - 1]
    return sum(map(len, lines)) + mark.column - 2

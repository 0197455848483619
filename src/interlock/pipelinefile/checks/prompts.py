"""Variables in prompts, briefs and the branch's name: known, and there when the stage begins. A brief says the task and
what was wrong.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from interlock.core.pipeline import Text
from interlock.pipelinefile.briefs import NAMES as OF_BRIEFS
from interlock.pipelinefile.mistakes import Mark
from interlock.pipelinefile.yaml import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.core.pipeline import Stage
    from interlock.pipelinefile.checks.view import View
    from interlock.pipelinefile.templates import Flaw, Known
    from interlock.pipelinefile.yaml import Path

NAMES = frozenset({"task", "inputs", "run.id", "stage.id", "artifacts", "feedback", "item"})
BRANCH_NAMES = frozenset({"run.id", "inputs"})


def check(view: View) -> None:
    check_briefs(view)
    from interlock.pipelinefile.templates import Known, flaws  # late: pipelines without templates need no engine

    for stage, part in view.stages():
        if part.prompt is not None and stage.id not in view.partial:
            at: Path = ("stages", stage.id, "prompt")
            tell_flaws(view, stage.prompt, at, flaws(stage.prompt.content, known_to(view, stage, NAMES)))
            _skipped(view, stage, _of_text(view, stage.prompt, at))
    if view.has("deliver", "branch"):
        branch = Text(view.pipeline.deliver.branch)
        tell_flaws(
            view, branch, ("deliver", "branch"), flaws(branch.content, Known(BRANCH_NAMES, view.declared("inputs")))
        )


def known_to(view: View, stage: Stage, names: frozenset[str]) -> Known:
    """What a template of the stage may name."""
    from interlock.pipelinefile.templates import Known

    makers = {f"{one.id}/{artifact.name}": one.id for one in view.pipeline.stages for artifact in one.produces}
    made = frozenset(name for name, maker in makers.items() if maker in view.upstream[stage.id])
    return Known(names, view.declared("inputs"), made, makers, stage.id)


def tell_flaws(view: View, text: Text, at: Path, flaws: Iterable[Flaw]) -> None:
    """Each at its place in the file that the template is from, or in the pipeline's own."""
    at = _of_text(view, text, at)
    for flaw in flaws:
        mark = (
            _in_file(text.content, text.origin, flaw.offset) if text.origin else _in_place(view, text.content, at, flaw)
        )
        view.draft.mistakes.add(mark, flaw.message, flaw.hint)


def _of_text(view: View, text: Text, at: Path) -> Path:
    key = "file" if text.origin else "text"
    return (*at, key) if view.has(*at, key) else at


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


def _in_file(template: str, file: str, offset: int) -> Mark:
    before = template[:offset]
    return Mark(file, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _in_place(view: View, template: str, at: Path, flaw: Flaw) -> Mark:
    """The place in the pipeline's own text: that of the same tag after the value begins. Where quotes or
    folding changed the tag, the value's."""
    from interlock.pipelinefile.templates import tag_at

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


_TASK = re.compile(r"\{\{.*?\b(prompt|task)\b.*?\}\}", re.DOTALL)
_WRONG = re.compile(r"\{\{.*?\b(wrong|feedback)\b.*?\}\}", re.DOTALL)


def check_briefs(view: View) -> None:
    told: set[tuple[Path, str]] = set()
    for stage, part in view.stages():
        if stage.brief is None or not stage.brief.content or stage.id in view.partial:
            continue
        at: Path = ("stages", stage.id, "brief") if part.brief is not None else ("defaults", "brief")
        if at == ("stages", stage.id, "brief") and stage.command and not stage.agent:
            view.at_key(at, "a script has no brief", "take it out, or name an agent")
            continue
        _brief(view, stage, at, told)


def _brief(view: View, stage: Stage, at: Path, told: set[tuple[Path, str]]) -> None:
    from interlock.pipelinefile.templates import flaws

    assert stage.brief is not None
    content = stage.brief.content
    found = [flaw for flaw in flaws(content, known_to(view, stage, OF_BRIEFS)) if (at, flaw.message) not in told]
    told |= {(at, flaw.message) for flaw in found}
    tell_flaws(view, stage.brief, at, [_with_names(flaw) for flaw in found])
    for wanted, message, hint in (
        (_TASK, "the brief does not tell the task", "write {{ prompt }} where the task belongs"),
        (_WRONG, "the brief does not tell what was wrong", "write {{ wrong }}, or a retry is like the first attempt"),
    ):
        if not wanted.search(content) and (at, message) not in told:
            told.add((at, message))
            view.warn(at, message, hint)


def _with_names(flaw: Flaw) -> Flaw:
    """A name that is not there is told with all that are."""
    if not flaw.message.endswith("is not defined") or not flaw.hint.startswith("did you mean"):
        return flaw
    return replace(flaw, hint=f"{flaw.hint} (known: {', '.join(sorted(OF_BRIEFS))})")

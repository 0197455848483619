"""Templates of briefs: they name what is known, and say the task and what was wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from interlock.spec.briefs import NAMES
from interlock.spec.checks.prompts import known_to, tell_flaws

if TYPE_CHECKING:
    from interlock.core.pipeline import Stage
    from interlock.spec.checks.view import View
    from interlock.spec.templates import Flaw
    from interlock.spec.where import Path

_TASK = re.compile(r"\{\{.*?\b(prompt|task)\b.*?\}\}", re.DOTALL)
_WRONG = re.compile(r"\{\{.*?\b(wrong|feedback)\b.*?\}\}", re.DOTALL)


def check(view: View) -> None:
    told: set[tuple[Path, str]] = set()
    for stage, part in view.stages():
        if stage.brief is None or not stage.brief.content or stage.id in view.partial:
            continue
        at: Path = ("stages", stage.id, "brief") if part.brief is not None else ("defaults", "brief")
        if at == ("stages", stage.id, "brief") and stage.command and not stage.agent:
            view.at_key(at, "a script has no brief", "take it out, or name an agent")
            continue
        _check(view, stage, at, told)


def _check(view: View, stage: Stage, at: Path, told: set[tuple[Path, str]]) -> None:
    from interlock.spec.templates import flaws

    assert stage.brief is not None
    content = stage.brief.content
    found = [flaw for flaw in flaws(content, known_to(view, stage, NAMES)) if (at, flaw.message) not in told]
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
    return replace(flaw, hint=f"{flaw.hint} (known: {', '.join(sorted(NAMES))})")

"""Gates: one kind each, what fits it, and that each can run and say something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.core.pipeline import GateKind
from interlock.gates import kinds
from interlock.pipelinefile.checks.view import no_templates, passed_on
from interlock.pipelinefile.kinds import written_kinds

if TYPE_CHECKING:
    from interlock.core.pipeline import Gate, Stage
    from interlock.pipelinefile.checks.view import View
    from interlock.pipelinefile.models import GatePart
    from interlock.pipelinefile.yaml import Path


def check(view: View) -> None:
    seen: dict[tuple[str, str], str] = {}
    same: dict[tuple[str, object], str] = {}
    for stage, gate, part, at in view.gates():
        _identity(view, stage, gate, at, seen)
        if _kind(view, part, at):
            _modifiers(view, gate, part, at)
            _again(view, stage, gate, at, same)
        no_templates(view, gate.command if part.run else None, (*at, "run"))
        passed_on(view, at, gate.env, gate.secrets)
        kind = kinds.find(gate.kind)
        if kind.check is not None and part.model_fields_set & {kind.name, "use"}:
            kind.check(view, stage, gate, (*at, kind.name))


def _identity(view: View, stage: Stage, gate: Gate, at: Path, seen: dict[tuple[str, str], str]) -> None:
    if any(gate.id == kind.name and not kind.is_written for kind in kinds.all_kinds()):
        hint = "give it another id: this one is built in, and there in each stage that it applies to"
        view.error((*at, "id"), f"the id {gate.id} is taken", hint)
    elif (stage.id, gate.id) in seen:
        view.error((*at, "id"), f"{stage.id} has two gates {gate.id}", "give each gate of a stage its own id")
    seen[stage.id, gate.id] = gate.id


def _kind(view: View, part: GatePart, at: Path) -> bool:
    said = _said(part)
    if len(said) == 1:
        return True
    if said:
        hint = "keep one, or make two gates of it"
        view.at_key((*at, said[1]), f"the gate {part.id} is of two kinds ({' and '.join(said)})", hint)
    elif not view.is_broken(*at):
        view.at_key(at, f"the gate {part.id} has no kind", f"add one of {', '.join(_keys())}")
    return False


def _keys() -> list[str]:
    """The keys that say of which kind a gate is."""
    others = [kind.name for kind in written_kinds() if kind.name != GateKind.RUN]
    return [GateKind.RUN.value, "use", *others]


def _said(part: GatePart) -> list[str]:
    return [key for key in _keys() if getattr(part, key) is not None]


def _modifiers(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    for key in kinds.find(GateKind.RUN).takes:
        if key in part.model_fields_set and key not in kinds.find(gate.kind).takes:
            view.at_key((*at, key), f"{key} has no meaning for `{_said(part)[0]}`", "take it out")
    if part.use and part.report:
        view.at_key(
            (*at, "report"), "a ready gate knows its report", "take report out, or write `run:` in place of use"
        )


def _again(view: View, stage: Stage, gate: Gate, at: Path, same: dict[tuple[str, object], str]) -> None:
    """A second gate of the same definition would only repeat the first one's verdict."""
    if gate.command is None:
        return
    look = (
        gate.command,
        gate.dir,
        gate.held_out,
        gate.expect,
        gate.tests,
        gate.report,
        gate.baseline,
        gate.env,
        gate.secrets,
    )
    first = same.setdefault((stage.id, look), gate.id)
    if first != gate.id:
        hint = f"take one out, or use `repeat` to run {first} more often"
        view.at_key(at, f"the gate {gate.id} is never run: it is the same as {first}", hint)

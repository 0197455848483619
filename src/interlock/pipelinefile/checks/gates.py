"""Gates: one kind each, with the keys that it takes; and `on_reject`: one action each, and no dead rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.core.pipeline import GateClass, GateKind, Report
from interlock.gates import kinds
from interlock.pipelinefile.checks import check_no_template, check_variables
from interlock.pipelinefile.mistakes import nearest
from interlock.pipelinefile.models import written_kinds

if TYPE_CHECKING:
    from interlock.core.pipeline import Gate, Rule, Stage
    from interlock.pipelinefile.checks import View
    from interlock.pipelinefile.models import GatePart, StagePart
    from interlock.pipelinefile.yaml import Path


def check(view: View) -> None:
    seen: dict[tuple[str, str], str] = {}
    same: dict[tuple[str, object], str] = {}
    for stage, gate, part, at in view.gates():
        _identity(view, stage, gate, at, seen)
        if _kind(view, part, at):
            _modifiers(view, gate, part, at)
            _repeated(view, stage, gate, at, same)
        check_no_template(view, gate.command if part.run else None, (*at, "run"))
        check_variables(view, at, gate.env, gate.secrets)
        kind = kinds.find(gate.kind)
        if kind.check is not None and part.model_fields_set & {kind.name, "use"}:
            kind.check(view, stage, gate, (*at, kind.name))
    check_rules(view)


def _identity(view: View, stage: Stage, gate: Gate, at: Path, seen: dict[tuple[str, str], str]) -> None:
    if any(gate.id == kind.name and not kind.is_written for kind in kinds.all_kinds()):
        hint = "give it another id: this one is a built-in gate"
        view.error((*at, "id"), f"the id {gate.id} is reserved", hint)
    elif (stage.id, gate.id) in seen:
        view.error((*at, "id"), f"{stage.id} has two gates {gate.id}", "give each gate of a stage its own id")
    seen[stage.id, gate.id] = gate.id


def _kind(view: View, part: GatePart, at: Path) -> bool:
    said = _kind_keys_of(part)
    if len(said) == 1:
        return True
    if said:
        hint = "keep one, or split it into two gates"
        view.at_key((*at, said[1]), f"the gate {part.id} has two kinds ({' and '.join(said)})", hint)
    elif not view.is_broken(*at):
        view.at_key(at, f"the gate {part.id} has no kind", f"add one of {', '.join(_keys())}")
    return False


def _keys() -> list[str]:
    """The keys that set the kind of a gate."""
    others = [kind.name for kind in written_kinds() if kind.name != GateKind.RUN]
    return [GateKind.RUN.value, "use", *others]


def _kind_keys_of(part: GatePart) -> list[str]:
    return [key for key in _keys() if getattr(part, key) is not None]


def _modifiers(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    for key in kinds.find(GateKind.RUN).takes:
        if key in part.model_fields_set and key not in kinds.find(gate.kind).takes:
            view.at_key((*at, key), f"{key} has no meaning for `{_kind_keys_of(part)[0]}`", "remove it")
    if part.use and part.report:
        view.at_key(
            (*at, "report"), "a ready gate sets its own report", "remove report, or write `run:` in place of use"
        )


def _repeated(view: View, stage: Stage, gate: Gate, at: Path, same: dict[tuple[str, object], str]) -> None:
    """A second gate with the same definition would only repeat the first one's verdict."""
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
        hint = f"remove one, or use `repeat` to run {first} more often"
        view.at_key(at, f"the gate {gate.id} never runs: it is the same as {first}", hint)


_ACTIONS = ("goto", "agent", "pause", "drop")


def check_rules(view: View) -> None:
    for stage, part in view.stages():
        for index, rule in enumerate(stage.on_reject):
            at = ("stages", stage.id, "on_reject", index)
            _rule_action(view, part, rule, at)
            _goto(view, stage, rule, at)
            _agent(view, stage, rule, at)
            _conditions(view, stage, rule, at)
            _unreachable(view, stage, index, at)
        _way_out(view, stage)


def _rule_action(view: View, part: StagePart, rule: Rule, at: Path) -> None:
    actions = [action for action in _ACTIONS if getattr(rule, action)]
    if len(actions) > 1:
        hint = "keep one, or write two rules"
        view.at_key((*at, actions[1]), f"a rule with more than one action ({' and '.join(actions)})", hint)
    if not actions and not view.is_broken(*at):
        hint = "add goto, agent or pause; without any rule, the next attempt starts anyway"
        view.at_key(at, "a rule without an action", hint)
    if view.has(*at, "max") and not rule.goto and not view.is_broken(*at):
        view.at_key((*at, "max"), "`max` without `goto`", "remove it: it limits a goto")
    if rule.drop and part.for_each is None:
        view.at_key((*at, "drop"), "`drop` without `for_each`", "remove it: it drops one item of several")


def _goto(view: View, stage: Stage, rule: Rule, at: Path) -> None:
    known = view.declared("stages")
    upstream = view.upstream[stage.id]
    path = (*at, "goto")
    if not rule.goto:
        return
    if rule.goto not in known:
        view.error(path, f"there is no stage {rule.goto}", nearest(rule.goto, known))
    elif rule.goto == stage.id and not stage.has_worker and not view.is_broken("stages", stage.id):
        hint = f"choose one before it: {', '.join(sorted(upstream)) or 'there is none yet'}"
        view.error(path, f"{stage.id} would judge the same tree again: it has no agent and no script", hint)
    elif rule.goto not in upstream and rule.goto != stage.id and stage.id not in view.partial:
        hint = f"it can go to {', '.join(sorted(upstream | {stage.id}))}"
        view.error(path, f"{rule.goto} is not upstream of {stage.id}", hint)


def _agent(view: View, stage: Stage, rule: Rule, at: Path) -> None:
    if not rule.agent:
        return
    if hint := view.unknown_agent(rule.agent):
        view.error((*at, "agent"), f"there is no agent {rule.agent}", hint)
    elif not stage.agent and not view.is_broken("stages", stage.id):
        what = "which has a script" if stage.command else "which has no agent"
        view.error((*at, "agent"), f"another agent for {stage.id}, {what}", "use goto or pause")


def _conditions(view: View, stage: Stage, rule: Rule, at: Path) -> None:
    ids = {gate.id for gate in stage.gates}
    lost = view.is_broken("stages", stage.id, "gates") or view.is_broken("stages", stage.id)
    if rule.gate and rule.gate not in ids and not lost:
        view.error((*at, "gate"), f"{stage.id} has no gate {rule.gate}", nearest(rule.gate, ids))
    if rule.reason and not lost and not _gives_reasons(stage, rule.gate):
        hint = "only reviews give reasons: remove it, or name a review"
        view.at_key((*at, "reason"), f"no gate of {stage.id} gives reasons", hint)
    if rule.within and rule.gate in ids and not lost and not _names_files(stage, rule.gate):
        hint = "remove it, or let the gate write a report that names files"
        view.at_key((*at, "in"), f"findings of {rule.gate} name no files", hint)
    if rule.after > stage.attempts_max:
        hint = f"write a smaller number, or more attempts: there are {stage.attempts_max}"
        view.error((*at, "after"), f"{rule.after} rejections are never reached", hint)
    elif rule.agent and rule.after == stage.attempts_max and stage.has_worker:
        hint = f"write {stage.attempts_max - 1} at most, or more attempts" if rule.after > 1 else "allow more attempts"
        view.error((*at, "after"), f"after {rule.after} rejections no attempt is left for {rule.agent}", hint)


def _is_wide(rule: Rule) -> bool:
    """Whether the rule matches every rejection by its gate."""
    return rule.after < 2 and not rule.reason and not rule.within


def _names_files(stage: Stage, gate_id: str) -> bool:
    """Whether findings of the gate (of any gate, if none is named) can name files."""
    for gate in stage.gates:
        silent = not kinds.find(gate.kind).names_files or (gate.kind == GateKind.RUN and gate.report is Report.NONE)
        if gate_id in ("", gate.id) and not silent:
            return True
    return False


def _gives_reasons(stage: Stage, gate_id: str) -> bool:
    return any(kinds.find(gate.kind).gives_reasons and gate_id in ("", gate.id) for gate in stage.gates)


def _unreachable(view: View, stage: Stage, index: int, at: Path) -> None:
    """The first rule that matches is used, so one below a wider rule is never reached."""
    rule = stage.on_reject[index]
    for before in stage.on_reject[:index]:
        if (
            before.gate in ("", rule.gate)
            and before.reason in ("", rule.reason)
            and before.within in ((), rule.within)
            and before.after <= max(rule.after, 1)
            and not view.is_broken(*at)
        ):
            hint = "put the narrower rule first, or remove it"
            view.at_key(at, "this rule is never reached: a rule above it matches everything that it matches", hint)
            return


def _way_out(view: View, stage: Stage) -> None:
    """A stage without a worker has no next attempt: a rejection needs a rule that leads somewhere."""
    if stage.has_worker or view.is_broken("stages", stage.id) or view.is_broken("stages", stage.id, "on_reject"):
        return
    for gate in stage.gates:
        if not kinds.find(gate.kind).is_written:
            continue
        leads = [rule for rule in stage.on_reject if rule.gate in ("", gate.id) and _is_wide(rule)]
        if not any(rule.goto or rule.pause or rule.drop for rule in leads):
            hint = "add an `on_reject` rule with goto or pause, or give the stage an agent"
            view.at_key(
                ("stages", stage.id),
                f"nothing says what happens if {_no_of(gate)}: {stage.id} has no agent and no script",
                hint,
            )
            return


def _no_of(gate: Gate) -> str:
    return f"a person rejects gate {gate.id}" if gate.gate_class is GateClass.HUMAN else f"gate {gate.id} fails"

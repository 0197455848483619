"""Gates: one kind each, what fits it, and that each can run and say something."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from interlock.core.canaries import RECIPES
from interlock.core.globs import matches_any
from interlock.core.held_out import is_name
from interlock.core.pipeline import BREAKS_MAX, Expect, GateKind, Report
from interlock.gates import kinds
from interlock.spec.checks.common import no_templates, passed_on
from interlock.spec.kinds import written_kinds
from interlock.spec.mistakes import nearest
from interlock.spec.sets import folder as look

if TYPE_CHECKING:
    from interlock.core.pipeline import Gate, Stage
    from interlock.spec.checks.view import View
    from interlock.spec.models import GatePart
    from interlock.spec.where import Path

_OF_COMMANDS = (
    "report", "repeat", "base", "baseline", "expect", "tests", "canary", "breaks", "held_out",
    "env", "secrets", "dir", "network", "exclusive", "cache",
)  # fmt: skip
_OWN_IDS = ("scope", "produces")


def check(view: View) -> None:
    seen: dict[tuple[str, str], str] = {}
    same: dict[tuple[str, object], str] = {}
    for stage, gate, part, at in view.gates():
        _identity(view, stage, gate, at, seen)
        if _kind(view, part, at):
            _modifiers(view, gate, part, at)
            _decides(view, gate, part, at)
            _again(view, stage, gate, at, same)
        _held_out(view, gate, at)
        no_templates(view, gate.command if part.run else None, (*at, "run"))
        passed_on(view, at, gate.env, gate.secrets)
        kind = kinds.find(gate.kind)
        if kind.check is not None and gate.kind in part.model_fields_set:
            kind.check(view, stage, gate, (*at, kind.name))


def _identity(view: View, stage: Stage, gate: Gate, at: Path, seen: dict[tuple[str, str], str]) -> None:
    if gate.id in _OWN_IDS:
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
    fitting = (*_OF_COMMANDS, "timeout") if gate.kind == GateKind.RUN else kinds.find(gate.kind).takes
    for key in (*_OF_COMMANDS, "timeout"):
        if key in part.model_fields_set and key not in fitting:
            view.at_key((*at, key), f"{key} has no meaning for `{_said(part)[0]}`", "take it out")
    if part.use and part.report:
        view.at_key(
            (*at, "report"), "a ready gate knows its report", "take report out, or write `run:` in place of use"
        )


def _decides(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    """Whether what it is told to look at is there."""
    if gate.kind != GateKind.RUN or view.is_broken(*at) or (part.use and gate.command is None):
        return
    if gate.expect is not Expect.PASS and gate.report is not Report.JUNIT:
        hint = "add `report: junit`, so that tests can be told apart"
        view.at_key((*at, "expect"), f"`expect: {gate.expect}` without a report of tests", hint)
    if part.baseline and gate.report is not Report.JUNIT:
        view.at_key((*at, "baseline"), "a baseline without a report of tests", "add `report: junit`, or take it out")
    if part.base and gate.expect is Expect.NEW_TESTS_FAIL:
        hint = "take one of them out: new tests are not in the base"
        view.at_key((*at, "base"), "`base: green` and `expect: new_tests_fail` contradict each other", hint)
    if part.tests and gate.expect is not Expect.PASS:
        hint = "take one of them out: new tests are not among the tests of the base"
        view.at_key((*at, "tests"), f"`tests: base` and `expect: {gate.expect}` contradict each other", hint)
    _report(view, gate, part, at)
    _canary(view, gate, part, at)


def _canary(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    """Whether a test that must fail can be added."""
    if gate.breaks:
        _breaks(view, gate, part, at)
        return
    known = ", ".join(RECIPES)
    if gate.canary and gate.canary not in RECIPES:
        hint = nearest(gate.canary, RECIPES, f"name one of {known}, or say `canary: false`")
        view.error((*at, "canary"), f"no test that must fail is known for {gate.canary}", hint)
    elif gate.canary and gate.report is Report.SARIF:
        view.error((*at, "canary"), "a canary is a test, and the report is none of tests", "take it out")
    elif part.canary is None and part.run is not None and gate.report is Report.JUNIT and not gate.canary:
        hint = f"name its runner as `canary` ({known}) where it runs all tests, or say `canary: false`"
        view.warn(
            at, f"no test that must fail can be added to {gate.id}: it picks tests, or its runner is not known", hint
        )


def _breaks(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    """Whether there is a file to break, in a gate that nothing else is known of."""
    if gate.report is not Report.NONE:
        hint = "take breaks out: tests that must fail are added by `canary`"
        view.error((*at, "breaks"), "files to break, and a report that tells test from test", hint)
    elif part.canary is not None:
        view.error((*at, "breaks"), "`breaks` and `canary` are two ways to the same", "keep one")
    elif gate.held_out:
        hint = "take breaks out: the files to break lie in the repository"
        view.error((*at, "breaks"), "`breaks` in a gate with held-out files", hint)
    elif len(gate.breaks) > BREAKS_MAX:
        hint = "name one file for each program of tests"
        view.error((*at, "breaks"), f"{len(gate.breaks)} files to break, and at most {BREAKS_MAX} are", hint)
    else:
        paths = tuple(look.files(view.draft.sources.root))
        for index, glob in enumerate(gate.breaks):
            if not any(matches_any((glob,), path) for path in paths):
                view.error((*at, "breaks", index), f"no file is named {glob}", "name a test file that the command runs")


def _report(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    if part.run is None:
        return
    text = " ".join(part.run.words)
    if gate.report is Report.NONE and "$REPORT" in text.replace("{", ""):
        view.error((*at, "run"), "it writes $REPORT, and nothing reads that", "add `report: junit` or `report: sarif`")
    program = (part.run.argv or part.run.shell.split())[0] if text.strip() else ""
    if gate.report is not Report.NONE and "REPORT" not in text and "/" not in program:
        hint = f'let it write its {gate.report} report to "$REPORT"'
        view.warn((*at, "report"), f"nothing in the command of {gate.id} names the report", hint)
    if gate.held_out and "HELD_OUT" not in text and "/" not in program:
        hint = 'give "$HELD_OUT" to the command'
        view.warn((*at, "held_out"), f"nothing in the command of {gate.id} names what is held out", hint)


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


def _held_out(view: View, gate: Gate, at: Path) -> None:
    if not gate.held_out or is_name(gate.held_out):
        return
    path, path_at = FilePath(gate.held_out), (*at, "held_out")
    root = view.draft.sources.root
    if not path.is_absolute():
        hint = "write a name such as feature, and in your settings `held_out: {feature: /where/they/are}`"
        view.error(path_at, f"{gate.held_out} is neither a name nor an absolute path", hint)
    elif path.resolve().is_relative_to(root):
        hint = "move it outside, where no agent can read it"
        view.error(path_at, f"{gate.held_out} lies in the repository", hint)
    elif root.is_relative_to(path.resolve()):
        view.error(path_at, f"{gate.held_out} holds the repository itself", "name the folder of the checks alone")
    elif not path.exists():
        view.error(path_at, f"there is no {gate.held_out}", "create it, or name the right path")
    else:
        name = re.sub(r"[^a-z0-9]+", "-", path.name.lower()).strip("-") or "checks"
        name = name if is_name(name) else "checks"
        hint = f"write `held_out: {name}` here, and in your settings `held_out: {{{name}: {gate.held_out}}}`"
        view.warn(path_at, "an agent can read here where the held-out files are", hint)

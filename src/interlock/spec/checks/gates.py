"""Gates: one kind each, what fits it, and that each can run and say something."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from interlock.core.canaries import RECIPES
from interlock.core.globs import matches_any
from interlock.core.held_out import is_name
from interlock.core.pipeline import BREAKS_MAX, Expect, GateKind, Report
from interlock.spec.checks.agents import unknown_agent
from interlock.spec.checks.common import no_templates, passed_on
from interlock.spec.mistakes import nearest
from interlock.spec.sets import folder as look

if TYPE_CHECKING:
    from interlock.core.pipeline import Gate, Stage
    from interlock.spec.checks.view import View
    from interlock.spec.models import GatePart
    from interlock.spec.where import Path

_KINDS = ("run", "use", "traces", "review", "approve", "ci")
_OF_COMMANDS = (
    "report", "repeat", "base", "baseline", "expect", "tests", "canary", "breaks", "held_out",
    "env", "secrets", "dir", "network", "exclusive", "cache",
)  # fmt: skip
_FITTING = {
    GateKind.RUN: (*_OF_COMMANDS, "timeout"),
    GateKind.REVIEW: ("timeout", "env", "secrets", "network"),
    GateKind.TRACES: (),
    GateKind.APPROVE: (),
    GateKind.CI: ("timeout",),
}
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
        _review(view, stage, gate, part, at)
        _traces(view, stage, gate, at)
        _ci(view, gate, at)


def _identity(view: View, stage: Stage, gate: Gate, at: Path, seen: dict[tuple[str, str], str]) -> None:
    if gate.id in _OWN_IDS:
        hint = "give it another id: this one is built in, and there in each stage that it applies to"
        view.error((*at, "id"), f"the id {gate.id} is taken", hint)
    elif (stage.id, gate.id) in seen:
        view.error((*at, "id"), f"{stage.id} has two gates {gate.id}", "give each gate of a stage its own id")
    seen[stage.id, gate.id] = gate.id


def _kind(view: View, part: GatePart, at: Path) -> bool:
    kinds = [kind for kind in _KINDS if getattr(part, kind) is not None]
    if len(kinds) == 1:
        return True
    if kinds:
        hint = "keep one, or make two gates of it"
        view.at_key((*at, kinds[1]), f"the gate {part.id} is of two kinds ({' and '.join(kinds)})", hint)
    elif not view.is_broken(*at):
        view.at_key(at, f"the gate {part.id} has no kind", f"add one of {', '.join(_KINDS)}")
    return False


def _modifiers(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    kind = next(kind for kind in _KINDS if getattr(part, kind) is not None)
    for key in (*_OF_COMMANDS, "timeout"):
        if key in part.model_fields_set and key not in _FITTING[gate.kind]:
            view.at_key((*at, key), f"{key} has no meaning for `{kind}`", "take it out")
    if part.use and part.report:
        view.at_key(
            (*at, "report"), "a ready gate knows its report", "take report out, or write `run:` in place of use"
        )
    if gate.kind is GateKind.APPROVE and not gate.question.strip():
        view.error((*at, "approve"), "the question is empty", "write what a human is asked")
    if gate.kind is GateKind.APPROVE and "{{" in gate.question:
        hint = "templates are filled in in prompts and in the branch's name alone; write the question out"
        view.error((*at, "approve"), "a template in a question", hint)


def _decides(view: View, gate: Gate, part: GatePart, at: Path) -> None:
    """Whether what it is told to look at is there."""
    if gate.kind is not GateKind.RUN or view.is_broken(*at) or (part.use and gate.command is None):
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


def _review(view: View, stage: Stage, gate: Gate, part: GatePart, at: Path) -> None:
    review = gate.review
    if review is None:
        return
    path = (*at, "review")
    for index, name in enumerate(review.by):
        if hint := unknown_agent(view, name):
            view.error((*path, "by", index), f"there is no agent {name}", hint)
        elif name in review.by[:index]:
            view.error((*path, "by", index), f"{name} is named twice", "name each reviewer once")
        elif stage.agent and _alike(view, stage.agent, name):
            hint = "let another model review: the same one is blind to its own mistakes"
            view.warn((*path, "by", index), f"{name} is the same model as the writer {stage.agent}", hint)
    if review.approvals > len(review.by):
        hint = f"name more reviewers, or ask for {len(review.by)} at most"
        view.error((*path, "approvals"), f"{review.approvals} approvals of {len(review.by)}", hint)
    known = _documents(view, stage)
    for index, name in enumerate(review.preserves):
        if name not in known:
            hint = nearest(name, known, f"name a document of {stage.id} or of a stage that it hangs on, as STAGE/NAME")
            view.error((*path, "preserves", index), f"there is no document {name}", hint)


def _traces(view: View, stage: Stage, gate: Gate, at: Path) -> None:
    traces = gate.traces
    if traces is None:
        return
    known = _documents(view, stage) - {f"{stage.id}/{made.name}" for made in stage.produces}
    if traces.of not in known and stage.id not in view.partial:
        hint = nearest(traces.of, known, f"name a document of a stage that {stage.id} hangs on, as STAGE/NAME")
        view.error((*at, "traces", "of"), f"there is no document {traces.of} before {stage.id}", hint)
    before = stage.gates[: stage.gates.index(gate)]
    if traces.proven and not any(other.expect is Expect.TESTS_PROVE_CHANGE for other in before):
        hint = "put a gate with `expect: tests_prove_change` before it"
        view.at_key((*at, "traces", "proven"), f"no gate of {stage.id} before {gate.id} proves anything", hint)
    try:
        re.compile(f"(?:{traces.pattern})")
    except re.error as error:
        hint = r"write one such as REQ-\d+"
        view.error((*at, "traces", "pattern"), f"{traces.pattern} is no regular expression: {error}", hint)


def _ci(view: View, gate: Gate, at: Path) -> None:
    ci = gate.ci
    if ci is None:
        return
    path = (*at, "ci")
    if not re.fullmatch(r"[A-Za-z0-9_][\w./-]*", ci.remote) or "://" in ci.remote:
        hint = "write the name that `git remote` prints, such as origin"
        view.error((*path, "remote"), f"{ci.remote!r} is no name of a remote", hint)
    if ci.repository and not re.fullmatch(r"[\w.-]+/[\w.-]+", ci.repository):
        view.error((*path, "repository"), f"{ci.repository!r} is no repository", "write OWNER/NAME")
    for index, name in enumerate(ci.checks):
        if not name.strip() or name in ci.checks[:index]:
            hint = "write each name once, as the CI shows it"
            view.error((*path, "checks", index), f"the check {name!r} is empty or named twice", hint)


def _alike(view: View, writer: str, reviewer: str) -> bool:
    specs = {spec.name: (spec.use, spec.model, spec.command) for spec in view.pipeline.agents}
    return writer in specs and specs[writer] == specs.get(reviewer)


def _documents(view: View, stage: Stage) -> set[str]:
    names = {*view.upstream[stage.id], stage.id}
    return {f"{one.id}/{made.name}" for one in view.pipeline.stages if one.id in names for made in one.produces}

"""The run gate: a command passes or fails (`gates.commands` runs it). Its fields are common to all gates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.conventions.commands import RECIPES, only_checks
from interlock.core.pipeline import BREAKS_MAX, CommandLine, Expect, Gate, Report, Stage, Tests
from interlock.gates.kinds import KeyPath, Kind, OutsideRun, View
from interlock.text.globs import matches_any
from interlock.text.names import is_name

if TYPE_CHECKING:
    from interlock.gates.referee import GateContext
    from interlock.ports import Cancel, GateRequest, Judgement

OF_COMMANDS = (
    "report", "repeat", "base", "baseline", "expect", "tests", "canary", "breaks", "held_out",
    "env", "secrets", "dir", "network", "exclusive", "cache",
)  # fmt: skip


def judge(context: GateContext, request: GateRequest, cancel: Cancel) -> Judgement:
    from interlock.gates.commands import judge_command

    return judge_command(context, request, cancel)


def check(view: View, stage: Stage, gate: Gate, at: KeyPath) -> None:
    """Mistakes in the fields of a command."""
    at = at[:-1]  # its keys are beside `run`
    _held_out(view, gate, at)
    if view.is_broken(*at) or gate.command is None:
        return
    if gate.expect is not Expect.PASS and gate.report is not Report.JUNIT:
        hint = "add `report: junit`, so that tests can be told apart"
        view.at_key((*at, "expect"), f"`expect: {gate.expect}` without a test report", hint)
    if view.has(*at, "baseline") and gate.report is not Report.JUNIT:
        view.at_key((*at, "baseline"), "a baseline without a test report", "add `report: junit`, or remove it")
    if gate.base_green and gate.expect is Expect.NEW_TESTS_FAIL:
        hint = "remove one of them: new tests are not in the base"
        view.at_key((*at, "base"), "`base: green` and `expect: new_tests_fail` contradict each other", hint)
    if gate.tests is Tests.BASE and gate.expect is not Expect.PASS:
        hint = "remove one of them: new tests are not among the tests of the base"
        view.at_key((*at, "tests"), f"`tests: base` and `expect: {gate.expect}` contradict each other", hint)
    _report(view, gate, gate.command, at)
    _correcting(view, gate, at)
    _canary(view, gate, at)


def _canary(view: View, gate: Gate, at: KeyPath) -> None:
    """Whether a test that must fail can be added."""
    if gate.breaks:
        _breaks(view, gate, at)
        return
    known = ", ".join(RECIPES)
    if gate.canary and gate.canary not in RECIPES:
        hint = view.nearest(gate.canary, set(RECIPES), f"name one of {known}, or set `canary: false`")
        view.error((*at, "canary"), f"no failing test is known for {gate.canary}", hint)
    elif gate.canary and gate.report is Report.SARIF:
        view.error((*at, "canary"), "a canary is a test, and the report is none of tests", "remove it")
    elif not view.has(*at, "canary") and not gate.used and gate.report is Report.JUNIT and not gate.canary:
        hint = f"name its runner as `canary` ({known}) where it runs all tests, or set `canary: false`"
        view.warn(
            at, f"no test that must fail can be added to {gate.id}: it picks tests, or its runner is not known", hint
        )


def _breaks(view: View, gate: Gate, at: KeyPath) -> None:
    """Whether there is a file to break, in a gate without a report and a known runner."""
    if gate.report is not Report.NONE:
        hint = "remove breaks: tests that must fail are added by `canary`"
        view.error((*at, "breaks"), "files to break, and a report that tells test from test", hint)
    elif view.has(*at, "canary"):
        view.error((*at, "breaks"), "`breaks` and `canary` do the same", "keep one")
    elif gate.held_out:
        hint = "remove breaks: the files to break lie in the repository"
        view.error((*at, "breaks"), "`breaks` in a gate with held-out files", hint)
    elif len(gate.breaks) > BREAKS_MAX:
        hint = "name one file for each program of tests"
        view.error((*at, "breaks"), f"{len(gate.breaks)} files to break, and at most {BREAKS_MAX} are", hint)
    else:
        paths = view.files()
        for index, glob in enumerate(gate.breaks):
            if not any(matches_any((glob,), path) for path in paths):
                view.error((*at, "breaks", index), f"no file is named {glob}", "name a test file that the command runs")


def _report(view: View, gate: Gate, command: CommandLine, at: KeyPath) -> None:
    if gate.used:
        return
    text = " ".join(command.words)
    if gate.report is Report.NONE and "$REPORT" in text.replace("{", ""):
        view.error(
            (*at, "run"), "it writes $REPORT, but nothing reads that file", "add `report: junit` or `report: sarif`"
        )
    program = (command.argv or command.shell.split())[0] if text.strip() else ""
    if gate.report is not Report.NONE and "REPORT" not in text and "/" not in program:
        hint = f'write its {gate.report} report to "$REPORT"'
        view.warn((*at, "report"), f"the command of {gate.id} does not use $REPORT", hint)
    if gate.held_out and "HELD_OUT" not in text and "/" not in program:
        hint = 'pass "$HELD_OUT" to the command'
        view.warn((*at, "held_out"), f"the command of {gate.id} does not use $HELD_OUT", hint)


def _correcting(view: View, gate: Gate, at: KeyPath) -> None:
    if gate.command is not None and not gate.used and (instead := only_checks(gate.command)):
        what = f"the command of {gate.id} corrects files in the gate's checkout, and nothing of that is kept"
        view.warn((*at, "run"), what, f"use a command that only checks, such as {instead}")


def _held_out(view: View, gate: Gate, at: KeyPath) -> None:
    if not gate.held_out or is_name(gate.held_out):
        return
    path, path_at = Path(gate.held_out), (*at, "held_out")
    root = view.root
    if not path.is_absolute():
        hint = "write a name such as feature, and in your settings `held_out: {feature: /where/they/are}`"
        view.error(path_at, f"{gate.held_out} is neither a name nor an absolute path", hint)
    elif path.resolve().is_relative_to(root):
        hint = "move it outside, where no agent can read it"
        view.error(path_at, f"{gate.held_out} is in the repository", hint)
    elif root.is_relative_to(path.resolve()):
        view.error(path_at, f"{gate.held_out} contains the repository", "name only the folder of the checks")
    elif not path.exists():
        view.error(path_at, f"there is no {gate.held_out}", "create it, or name the right path")
    else:
        name = re.sub(r"[^a-z0-9]+", "-", path.name.lower()).strip("-") or "checks"
        name = name if is_name(name) else "checks"
        hint = f"write `held_out: {name}` here, and in your settings `held_out: {{{name}: {gate.held_out}}}`"
        view.warn(path_at, "an agent can read this path to the held-out files", hint)


def _outside_run(gate: Gate, conditions: OutsideRun) -> str:
    compares = gate.expect is Expect.NEW_TESTS_FAIL and not conditions.inside
    return "compares an attempt with its input" if compares else ""


KIND = Kind(
    "run",
    "A command that passes with exit code 0.",
    judge,
    takes=(*OF_COMMANDS, "timeout"),
    check=check,
    outside_run=_outside_run,
)

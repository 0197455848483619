"""`interlock validate` and `plan`: what a pipeline file says, all that is wrong with it, and the most that a run of it
can cost in attempts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.exits import Exit
from interlock.cli.targets import pipelines
from interlock.cli.terminal import note, say
from interlock.ports import UsageError

if TYPE_CHECKING:
    from interlock.core.pipeline import Gate, Limits, Pipeline, Rule, Stage
    from interlock.pipelinefile import Loaded, Mistake
    from interlock.workspaces.base import Committed


@dataclass(frozen=True, slots=True)
class _ReadFile:
    """A file as it was read. `loaded` is None if it is wrong."""

    file: str
    loaded: Loaded | None
    mistakes: tuple[Mistake, ...]

    @property
    def wrong(self) -> int:
        return sum(mistake.level == "error" for mistake in self.mistakes)


@click.command()
@click.argument("pipeline", required=False, default="", shell_complete=pipelines)
@click.option("-p", "--pipeline", "name", metavar="NAME|PATH", default="", help="One pipeline; default: all.")
@click.option("--resolved", is_flag=True, help="Print the pipeline as YAML, with all defaults filled in.")
@click.option("--json", "json", is_flag=True, help="Print JSON on stdout.")
def validate(pipeline: str, name: str, resolved: bool, json: bool) -> int:
    """Report every mistake in a pipeline file, each as file:line:column. Exit code 2 if there are mistakes."""
    from interlock.cli.pipelines import chosen, locate_all, repository_here

    root, name = repository_here(), chosen(pipeline, name)
    files = [_resolvable(root, name)] if resolved else locate_all(root, name)
    seen = [_read(path, root) for path in files]
    if json:
        _files_as_json(seen, resolved=resolved)
    else:
        _print_files(seen, resolved=resolved)
    return Exit.USAGE if any(file.loaded is None for file in seen) else Exit.ACCEPTED


@click.command()
@click.argument("pipeline", required=False, default="", shell_complete=pipelines)
@click.option("-p", "--pipeline", "name", metavar="NAME|PATH", default="", help="Which pipeline.")
@click.option("--until", metavar="STAGE", default="", help="Leave out all stages after this one.")
@click.option("--brief", metavar="STAGE", default="", help="Print the brief for the agent of STAGE.")
@click.option("--json", "json", is_flag=True, help="Print JSON on stdout.")
def plan(pipeline: str, name: str, until: str, brief: str, json: bool) -> int:
    """Show the stages in order, with their gates, loops and limits, and the largest possible number of attempts."""
    from interlock.cli.pipelines import chosen, lines, load, repository_here, worst_case
    from interlock.service.formats import document

    root = repository_here()
    loaded = load(root, chosen(pipeline, name))
    note(lines(loaded.findings))
    found = loaded.pipeline
    if brief:
        text = _brief(root, found, brief)
        say(document(pipeline=found.name, stage=brief, brief=text) if json else text)
        return 0
    stages = _stages_until(found, until)
    worst = worst_case(found, [stage.id for stage in stages])
    if json:
        _plan_as_json(found, stages, worst)
    else:
        say(_plan_lines(found, stages, worst))
    return 0


# --- validate -------------------------------------------------------------------------------------


def _resolvable(root: Path, name: str) -> Path:
    """One file is printed, so one must be chosen."""
    from interlock.cli.pipelines import locate

    return locate(root, name)


def _read(path: Path, root: Path) -> _ReadFile:
    from interlock.pipelinefile import InvalidPipeline, load_pipeline

    shown = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    try:
        loaded = load_pipeline(path, root)
    except InvalidPipeline as error:
        return _ReadFile(shown, None, error.mistakes)
    return _ReadFile(shown, loaded, loaded.findings)


def _print_files(seen: list[_ReadFile], *, resolved: bool) -> None:
    from interlock.cli.pipelines import lines
    from interlock.cli.words import safe
    from interlock.pipelinefile import resolved_yaml
    from interlock.service.formats import count

    told: set[str] = set()
    for file in seen:
        own = lines(file.mistakes)
        note(line for line in own if line not in told)  # those of a file that several include are told once
        errors = lines(mistake for mistake in file.mistakes if mistake.level == "error")
        before = " (named above)" if errors and told.issuperset(errors) else ""
        told.update(own)
        if file.loaded is None:
            note(f"{safe(file.file)}: not valid: {count(file.wrong, 'mistake')}{before}")
        elif resolved:
            say(resolved_yaml(file.loaded).rstrip("\n"))
        else:
            say(f"{safe(file.file)}: valid: {_counts(file.loaded)}")


def _counts(loaded: Loaded) -> str:
    from interlock.service.formats import count

    gates = sum(len(stage.gates) for stage in loaded.pipeline.stages)
    parts = [count(len(loaded.pipeline.stages), "stage"), count(gates, "gate")]
    warnings = sum(finding.level == "warning" for finding in loaded.findings)
    later = sum(finding.level == "later" for finding in loaded.findings)
    if warnings:
        parts.append(count(warnings, "warning"))
    if later:
        parts.append(f"{count(later, 'thing')} that this version cannot run yet")
    return ", ".join(parts)


def _files_as_json(seen: list[_ReadFile], *, resolved: bool) -> None:
    from interlock.pipelinefile import resolved_yaml
    from interlock.service.formats import document

    files = [
        {
            "file": file.file,
            "valid": file.loaded is not None,
            "name": file.loaded.pipeline.name if file.loaded else "",
            "digest": file.loaded.pipeline.digest if file.loaded else "",
            "mistakes": file.mistakes,
            **({"resolved": resolved_yaml(file.loaded)} if resolved and file.loaded else {}),
        }
        for file in seen
    ]
    say(document(valid=all(file.loaded is not None for file in seen), pipelines=files))


# --- plan -----------------------------------------------------------------------------------------


def _brief(root: Path, pipeline: Pipeline, name: str) -> str:
    """The brief of a first attempt, with what is known now. Raises UsageError."""
    from interlock.execution.brief import preview
    from interlock.pipelinefile import render

    agents = [stage.id for stage in pipeline.ordered() if stage.agent]
    if name not in agents:
        raise UsageError(f"--brief {name}: no stage with an agent, there are {', '.join(agents) or 'none'}")
    with ExitStack() as stack:
        return preview(render, pipeline, pipeline.stage(name), _base(root, stack)).rstrip("\n")


def _base(root: Path, stack: ExitStack) -> Committed | None:
    """None if nothing is committed yet."""
    from interlock.workspaces.base import committed

    try:
        return stack.enter_context(committed(root, os.environ))
    except UsageError:
        return None


def _stages_until(pipeline: Pipeline, last: str) -> list[Stage]:
    ordered = pipeline.ordered()
    if not last:
        return list(ordered)
    if last not in {stage.id for stage in ordered}:
        raise UsageError(f"--until {last}: no such stage, there are {', '.join(stage.id for stage in ordered)}")
    names = {*pipeline.upstream(last), last}
    return [stage for stage in ordered if stage.id in names]


def _plan_lines(pipeline: Pipeline, stages: list[Stage], worst: Mapping[str, int]) -> Iterator[str]:
    from interlock.cli.words import safe

    yield f"pipeline {pipeline.name}"
    for number, stage in enumerate(stages, 1):
        yield f"{number}. {stage.id}{_after(stage)}: {_worker(stage)}"
        yield from (f"     {line}" for line in _stage_lines(pipeline, stage))
    yield from _limit_lines(pipeline, worst)
    if len(stages) == len(pipeline.stages):
        yield f"delivers: branch {safe(pipeline.deliver.branch)}, {_delivery(pipeline)}"
    else:
        yield "delivers: nothing, since stages are left out"


def _after(stage: Stage) -> str:
    return f" (after {', '.join(stage.needs)})" if stage.needs else ""


def _worker(stage: Stage) -> str:
    from interlock.service.formats import count

    if stage.agent:
        return f"agent {stage.agent}, {count(stage.attempts_max, 'attempt')} of at most {_time(stage.timeout_s)}"
    if stage.command is not None:
        return f"script, {count(stage.attempts_max, 'attempt')} of at most {_time(stage.timeout_s)}"
    return "no agent: runs its gates on the accepted input"


def _stage_lines(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    if stage.when is not None:
        yield f"only when {stage.when.artifact}{stage.when.at} is {stage.when.equals}"
    if stage.has_worker and stage.scope.writes is not None:
        yield f"may change: {', '.join(stage.scope.writes) or 'nothing but its artifacts'}"
    if stage.scope.authors:
        yield f"authors: {', '.join(stage.scope.authors)}"
    if stage.scope.adds:
        yield f"adds tests: {', '.join(stage.scope.adds)}"
    if stage.produces:
        yield f"produces: {', '.join(f'{stage.id}/{artifact.name}' for artifact in stage.produces)}"
    if stage.labels:
        yield f"workers: with {', '.join(f'label {label}' for label in stage.labels)}"
    if stage.judged_elsewhere:
        yield "judged by another worker than the one that made the candidate"
    for gate in in_order(stage):
        yield f"gate {gate.id}: {_gate(gate)}"
    limits = ", ".join(_amounts(stage.limits))
    if limits:
        yield f"limits: {limits}"
    for rule in stage.on_reject:
        yield f"if rejected{_condition(rule)}: {_action(rule)}"


def in_order(stage: Stage) -> list[Gate]:
    """Gates in the order in which they are asked: hard, then soft, then human."""
    from interlock.core.pipeline import GateClass

    classes = list(GateClass)
    return sorted(stage.gates, key=lambda gate: classes.index(gate.gate_class))


def _gate(gate: Gate) -> str:
    from interlock.cli.words import safe
    from interlock.gates.kinds import find

    words = [gate.gate_class.value, gate.kind + (f" ({gate.used})" if gate.used else "")]
    if gate.command is not None and not gate.used:
        words.append(safe(gate.command.shell or " ".join(gate.command.argv), 80))
    if (plan_line := find(gate.kind).plan_line) is not None:
        words.append(safe(plan_line(gate), 120))
    if gate.expect == "new_tests_fail":
        words.append("new tests must fail")
    if gate.expect == "tests_prove_change":
        words.append("new tests must fail without the change")
    if gate.tests == "base":
        words.append("with the tests of the base")
    if gate.base_green:
        words.append("must be green on the base")
    if gate.held_out:
        words.append("held out")
    if gate.repeat > 1:
        words.append(f"{gate.repeat} times on the same tree")
    return ", ".join(words)


def _condition(rule: Rule) -> str:
    parts = [
        f"by {rule.gate}" if rule.gate else "",
        f"for reason {rule.reason}" if rule.reason else "",
        f"in {', '.join(rule.within)} alone" if rule.within else "",
        f"{rule.after} times" if rule.after else "",
    ]
    return "".join(f" {words}" for words in parts if words)


def _action(rule: Rule) -> str:
    if rule.goto:
        return f"back to {rule.goto}, at most {rule.max} times"
    return f"agent {rule.agent} takes over" if rule.agent else ("drop the item" if rule.drop else "pause for a person")


def _limit_lines(pipeline: Pipeline, worst: Mapping[str, int]) -> Iterator[str]:
    from interlock.cli.pipelines import reviews_worst
    from interlock.service.formats import count

    limits = pipeline.limits
    most = min(sum(worst.values()), limits.attempts)
    each = ", ".join(f"{name} {number}" for name, number in worst.items())
    yield f"worst case: {most} attempts" + (f" ({each}; the limit is {limits.attempts})" if each else "")
    if reviews := reviews_worst(pipeline, worst):
        yield f"and at most {count(reviews, 'review')}, each repeated if its answer is not valid"
    yield f"limits: {', '.join(_amounts(limits))}"


def _amounts(limits: Limits) -> Iterator[str]:
    if limits.attempts:
        yield f"{limits.attempts} attempts"
    if limits.tokens:
        yield f"{limits.tokens} tokens"
    if limits.cost_usd:
        yield f"${limits.cost_usd:g}"
    if limits.wall_s:
        yield f"{_time(limits.wall_s)} of agents and gates"


def _time(seconds: int) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _delivery(pipeline: Pipeline) -> str:
    kind = "the handoffs as a series" if pipeline.deliver.series else "one commit"
    return f"{kind}, signed" if pipeline.deliver.sign else kind


def _plan_as_json(pipeline: Pipeline, stages: list[Stage], worst: Mapping[str, int]) -> None:
    from interlock.cli.pipelines import reviews_worst
    from interlock.service.formats import document

    listed = [
        {
            "id": stage.id,
            "needs": stage.needs,
            "worker": stage.agent or ("script" if stage.command else ""),
            "attempts": stage.attempts_max if stage.has_worker else 0,
            "attempts_worst": worst.get(stage.id, 0),
            "gates": [
                {"id": gate.id, "class": gate.gate_class, "kind": gate.kind, "used": gate.used}
                for gate in in_order(stage)
            ],
            "on_reject": stage.on_reject,
        }
        for stage in stages
    ]
    most = min(sum(worst.values()), pipeline.limits.attempts)
    delivers = pipeline.deliver if len(stages) == len(pipeline.stages) else None
    say(
        document(
            pipeline=pipeline.name, digest=pipeline.digest, stages=listed, attempts_worst=most,
            reviews_worst=reviews_worst(pipeline, worst),
            limits=pipeline.limits, deliver=delivers,
        )
    )  # fmt: skip

"""What Interlock prints of pipeline files: the resolved file, and the JSON Schema that editors complete with.

Rule: a resolved file can be loaded again and means the same, so every default and every ready gate can be read in it.
The schema is made from the models, so it cannot drift.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from interlock.conventions.judge_files import PROTECTED
from interlock.core.pipeline import GateKind, Pipeline, Report, Tests
from interlock.gates import kinds
from interlock.pipelinefile.models import file_model, options_tree, written_kinds

if TYPE_CHECKING:
    from interlock.core.delivery import PullRequest
    from interlock.core.pipeline import AgentSpec, Artifact, CommandLine, Gate, Input, Rule, Setup, Stage, Text
    from interlock.core.rooms import RoomSpec
    from interlock.pipelinefile.load import Loaded

_Tree = dict[str, Any]


def resolved_yaml(pipeline: Pipeline | Loaded) -> str:
    """The pipeline as YAML with everything filled in: block style, texts inline, durations in seconds, globs from the
    root. The name of a ready gate is written beside its command as `x-use`."""
    spec = pipeline if isinstance(pipeline, Pipeline) else pipeline.pipeline
    return yaml.dump(_file(spec), Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120)


def _file(spec: Pipeline) -> _Tree:
    listed = [glob for stage in spec.stages[:1] for glob in stage.scope.protect if glob not in PROTECTED]
    return _filled(
        version=1,
        name=spec.name,
        inputs={known.name: _input(known) for known in spec.inputs},
        agents={agent.name: _agent(agent) for agent in spec.agents},
        limits=_filled(
            attempts=spec.limits.attempts,
            tokens=spec.limits.tokens,
            cost_usd=spec.limits.cost_usd,
            wall=spec.limits.wall_s,
        ),
        quota_wait=spec.quota_wait_s,
        protect=listed,
        setup=[_setup(setup) for setup in spec.setup],
        carry=list(spec.carry),
        sandbox=_sandbox(spec.sandbox),
        stages={stage.id: _stage(stage) for stage in spec.stages},
        deliver=_filled(
            branch=spec.deliver.branch,
            series=spec.deliver.series,
            author=spec.deliver.author,
            sign=spec.deliver.sign,
            pull_request=_pull_request(spec.deliver.pull_request),
        ),
    )


def _sandbox(spec: RoomSpec) -> _Tree:
    limits = spec.limits
    return _filled(
        read=list(spec.read),
        nested=spec.nested,
        memory=_size(limits.memory_bytes),
        processes=limits.processes,
        file_size=_size(limits.file_bytes),
        disk=_size(limits.disk_bytes),
        files=limits.files,
    )


def _size(count: int) -> str:
    """Exact, so that it is read back as it was."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if count and count % 1000**power == 0:
            return f"{count // 1000**power} {unit}"
    return f"{count} B" if count else ""


def _pull_request(request: PullRequest | None) -> _Tree | None:
    return None if request is None else {"remote": request.remote, **_filled(base=request.base, draft=request.draft)}


def _filled(**keys: object) -> _Tree:
    """The keys without those that are empty: an empty one means the same as an absent one."""
    return {key: value for key, value in keys.items() if value not in ("", [], {}, None, False, 0)}


def _instructions(globs: tuple[str, ...] | None) -> list[str] | str:
    """The globs as the file says them; empty if the usual files are meant."""
    return "none" if globs == () else list(globs or ())


def _input(known: Input) -> _Tree:
    default = None
    if known.default:
        default = known.default if known.type == "string" else json.loads(known.default)
    written: _Tree = {"type": known.type, "required": known.required}
    return {"type": known.type, "default": default} if default is not None else written


def _agent(agent: AgentSpec) -> _Tree:
    options = {key: json.loads(value) for key, value in agent.options}
    return {
        **_filled(
            use=agent.use,
            run=_command(agent.command),
            model=agent.model,
            fallback=list(agent.fallback),
            env=list(agent.env),
            secrets=list(agent.secrets),
            instructions=_instructions(agent.instructions),
        ),
        **_network(agent.hosts),
        **options,
    }


def _setup(setup: Setup) -> _Tree:
    return _filled(
        run=_command(setup.command),
        key=list(setup.key),
        paths=list(setup.paths),
        settle=_command(setup.settle),
        timeout=setup.timeout_s,
        env=list(setup.env),
        **_network(setup.hosts),
    )


def _stage(stage: Stage) -> _Tree:
    prompt = _text(stage.prompt) if stage.agent else None
    tree = _filled(
        needs=list(stage.needs),
        agent=stage.agent,
        run=_command(stage.command),
        prompt=prompt,
        brief=_text(stage.brief) if stage.brief else None,
        dir=stage.dir,
        when={"artifact": stage.when.artifact, "at": stage.when.at, "equals": json.loads(stage.when.equals)}
        if stage.when
        else None,
        authors=list(stage.scope.authors),
        adds=list(stage.scope.adds),
        max_files=stage.scope.max_files,
        max_lines=stage.scope.max_lines,
        produces={artifact.name: _artifact(artifact) for artifact in stage.produces},
        may_be_empty=stage.may_be_empty,
        attempts=stage.attempts_max,
        session="resume" if stage.resumes else "",
        instructions=_instructions(stage.instructions),
        limits=_filled(attempts=stage.limits.attempts, tokens=stage.limits.tokens, cost_usd=stage.limits.cost_usd),
        timeout=stage.timeout_s,
        idle_timeout=stage.idle_timeout_s,
        env=list(stage.env),
        secrets=list(stage.secrets),
        labels=list(stage.labels),
        referee="elsewhere" if stage.judged_elsewhere else "",
        gates=[_gate(gate, stage.dir) for gate in stage.gates if kinds.find(gate.kind).is_written],
        on_reject=[_rule(rule) for rule in stage.on_reject],
    )
    if stage.has_worker:
        tree["workspace"] = stage.workspace.value
        tree |= {} if stage.scope.writes is None else {"writes": list(stage.scope.writes)}
    return tree | _network(stage.hosts)


def _network(hosts: tuple[str, ...] | None) -> _Tree:
    return {} if hosts is None else {"network": list(hosts) or False}


def _artifact(artifact: Artifact) -> _Tree:
    schema = _text(artifact.schema) if artifact.schema else None
    return _filled(file=artifact.file, schema=schema, sections=list(artifact.sections), max_bytes=artifact.max_bytes)


def _gate(gate: Gate, folder: str) -> _Tree:
    if gate.kind == GateKind.APPROVE:
        return {"id": gate.id, "approve": gate.question}
    if gate.options is not None:
        common = {key: value for key, value in _run_gate(gate, folder).items() if key in kinds.find(gate.kind).takes}
        return {"id": gate.id, gate.kind: _filled(**options_tree(gate.options, _text)), **common}
    return {**_run_gate(gate, folder), **({} if gate.canary or gate.report is not Report.JUNIT else {"canary": False})}


def _run_gate(gate: Gate, folder: str) -> _Tree:
    return _filled(
        id=gate.id,
        **({"x-use": gate.used} if gate.used else {}),
        run=_command(gate.command),
        report=gate.report.value,
        timeout=gate.timeout_s,
        repeat=gate.repeat,
        base="green" if gate.base_green else "",
        baseline=gate.baseline.value if gate.report is Report.JUNIT else "",
        expect=gate.expect.value,
        tests="base" if gate.tests is Tests.BASE else "",
        held_out=gate.held_out,
        env=list(gate.env),
        secrets=list(gate.secrets),
        dir=gate.dir.removeprefix(folder).strip("/"),
        network=gate.network or list(gate.hosts),
        exclusive=list(gate.exclusive),
        cache="" if gate.cached else "none",
        canary="" if gate.breaks else gate.canary,
        breaks=list(gate.breaks),
    )


def _rule(rule: Rule) -> _Tree:
    return _filled(
        gate=rule.gate,
        reason=rule.reason,
        **{"in": list(rule.within)},
        after=rule.after,
        goto=rule.goto,
        agent=rule.agent,
        pause=rule.pause,
        drop=rule.drop,
        max=rule.max if rule.goto else 0,
    )


def _command(command: CommandLine | None) -> object:
    if command is None:
        return None
    return list(command.argv) or command.shell


def _text(text: Text) -> _Tree:
    return _filled(**{"x-file": text.origin}, text=text.content)


def _dumper() -> type[yaml.SafeDumper]:
    class Dumper(yaml.SafeDumper):
        """Writes long texts as blocks, and no aliases."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    Dumper.add_representer(str, _represent)
    return Dumper


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


DESCRIBED = {
    ("InputPart", "type"): "What kind of value `-i NAME=VALUE` takes.",
    ("InputPart", "required"): "Whether each run must set it. True unless there is a default.",
    ("AgentPart", "use"): "The adapter: command, scripted, codex, claude, aider, ...",
    ("AgentPart", "run"): "The program, for `use: command`. The brief comes on its standard input.",
    (
        "AgentPart",
        "fallback",
    ): "Agents that replace this one when it cannot be reached (not when its work is rejected).",
    (
        "AgentPart",
        "instructions",
    ): "Globs of the base's instruction files for agents, or none. Default: AGENTS.md and similar files.",
    (
        "SetupPart",
        "run",
    ): "Runs once per contents of `key`. It sees HOME, the configuration of package managers, and what `env` names.",
    ("SetupPart", "key"): "Files that it installs from: it runs again when these change. Default: every file.",
    ("SetupPart", "paths"): "What it creates. This replaces whatever the tree has there.",
    ("SetupPart", "env"): "Environment variables that it sees, credentials among them.",
    ("SetupPart", "settle"): "Runs in each checkout, offline.",
    ("ArtifactPart", "file"): "Its path, relative to $ARTIFACTS.",
    ("ArtifactPart", "schema"): "The JSON Schema that it must match.",
    ("ArtifactPart", "sections"): "Markdown headings that it must have.",
    ("GatePart", "use"): "A ready gate, such as python.test.",
    ("GatePart", "report"): "What it writes to $REPORT.",
    ("GatePart", "repeat"): "How often it runs on the same tree; all must agree.",
    ("GatePart", "base"): "The run stops if the gate fails on the base.",
    ("GatePart", "held_out"): "The name of files that only the gate sees; the user's settings say where they are.",
    ("GatePart", "tests"): "base: with the tests of the base copied over the candidate.",
    ("GatePart", "canary"): "The test runner for which tests that must fail are added; false: none are added.",
    ("GatePart", "breaks"): "Test files, at most 10: each is broken once, and the gate must then fail.",
    ("RulePart", "in"): "Globs: every finding is in a file that matches one.",
    ("GatePart", "exclusive"): "Names of things that only one gate may use at a time.",
    ("RulePart", "after"): "Matches from this many rejections in the epoch on.",
    ("RulePart", "max"): "How often the goto is taken, at most, per run.",
    ("WhenPart", "at"): "A JSON pointer, such as /size.",
    ("StagePart", "run"): "A script instead of an agent: deterministic, cached by its inputs.",
    ("StagePart", "prompt"): "The instructions to the agent. Default: the task.",
    (
        "StagePart",
        "brief",
    ): "A template of the whole brief, instead of the one that `interlock schema --brief` prints.",
    ("DefaultsPart", "brief"): "The template of the brief, for stages that name none.",
    (
        "StagePart",
        "writes",
    ): "What may be changed. Default: everything that is not protected. []: only its own artifacts.",
    (
        "StagePart",
        "authors",
    ): "Protected paths, or tables such as pyproject.toml#tool.ruff, that only this stage may change.",
    ("StagePart", "instructions"): "The same for this stage, instead of the agent's value.",
    ("StagePart", "adds"): "Tests and their data that it may add, but not change or delete.",
    ("PipelineFile", "include"): "Other files of the same format, relative to this one.",
    ("PipelineFile", "protect"): "What no stage may change, except one that `authors` it.",
    ("PipelineFile", "carry"): "Untracked files that are copied into each checkout.",
    ("PipelineFile", "sandbox"): "What the sandbox allows.",
    ("SandboxPart", "read"): "Folders and files of the machine that agents, gates and setup may read.",
    ("SandboxPart", "nested"): "Whether programs may make sandboxes of their own.",
    ("SandboxPart", "memory"): "What a program and all that it starts may use of the memory.",
    ("SandboxPart", "processes"): "How many processes and threads may run at once.",
    ("SandboxPart", "file_size"): "How long one file may become.",
    ("SandboxPart", "disk"): "What a program may write, in its checkout, its home and its /tmp together.",
    ("SandboxPart", "files"): "How many files a program may make or change.",
    ("GatePart", "network"): "Whether it has the network, or the hosts that it reaches.",
    ("AgentPart", "network"): "Whether it has the network, or the hosts that it reaches.",
    ("SetupPart", "network"): "Whether its commands have the network, or the hosts that they reach.",
    ("StagePart", "network"): "Whether its script (`run`) has the network, or the hosts that it reaches.",
}


def json_schema() -> dict[str, object]:
    """The schema of a pipeline file, draft 2020-12."""
    schema = file_model().model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    of_kinds = {("GatePart", kind.name): kind.summary for kind in written_kinds() if kind.summary}
    for (part, key), description in (DESCRIBED | of_kinds).items():
        owner = schema if part == "PipelineFile" else definitions[part]
        owner["properties"][key]["description"] = description
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Interlock pipeline"}

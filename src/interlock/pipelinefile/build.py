"""Builds the frozen pipeline from the model. Rule: a key that the file leaves out gets the default of `core.pipeline`.

What cannot be built is reported and replaced by something harmless, so that the later checks see the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from interlock.conventions.commands import BREAKING, recognised
from interlock.conventions.judge_files import PROTECTED
from interlock.core.delivery import Deliver, PullRequest
from interlock.core.pipeline import (
    AgentSpec,
    Artifact,
    Baseline,
    CommandLine,
    Expect,
    Gate,
    GateKind,
    GateOptions,
    Input,
    Limits,
    Pipeline,
    Report,
    Rule,
    Scope,
    Setup,
    Stage,
    Tests,
    Text,
    When,
    WorkspaceMode,
)
from interlock.core.rooms import RoomLimits, RoomSpec
from interlock.gates.kinds import find
from interlock.pipelinefile import sets
from interlock.pipelinefile.codec import digest_of
from interlock.pipelinefile.mistakes import nearest
from interlock.pipelinefile.models import options_from, written_kinds

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from interlock.gates.kinds import Kind
    from interlock.pipelinefile import models
    from interlock.pipelinefile.fields import Source
    from interlock.pipelinefile.mistakes import Mark, Mistakes
    from interlock.pipelinefile.models import GatePart
    from interlock.pipelinefile.shape import ParsedFile, Where
    from interlock.pipelinefile.sources import Sources
    from interlock.pipelinefile.yaml import Path

THE_TASK = Text("{{ task }}")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a pipeline is built from, and where mistakes in it are collected."""

    parsed: ParsedFile
    sources: Sources
    mistakes: Mistakes

    @property
    def file(self) -> models.PipelineFile:
        return self.parsed.file

    @property
    def where(self) -> Where:
        return self.parsed.where


def build(draft: Draft, name: str) -> Pipeline:
    """The pipeline, still without digests."""
    file = draft.file
    return Pipeline(
        name=name,
        stages=tuple(_stage(draft, stage, part) for stage, part in file.stages.items()),
        agents=tuple(_agent(agent, part) for agent, part in file.agents.items()),
        inputs=tuple(_input(draft, known, part) for known, part in file.inputs.items()),
        setup=tuple(_setup(part) for part in file.setup),
        carry=tuple(file.carry),
        limits=_limits(file.limits),
        deliver=_deliver(file.deliver),
        sandbox=_sandbox(file.sandbox),
        **_given(quota_wait_s=file.quota_wait),
    )


def with_digests(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the digest of each definition: gates first, then stages, then the pipeline."""
    stages = []
    for stage in pipeline.stages:
        gates = tuple(replace(gate, digest=digest_of(gate)) for gate in stage.gates)
        dated = replace(stage, gates=gates)
        stages.append(replace(dated, digest=digest_of(dated)))
    done = replace(pipeline, stages=tuple(stages), _by_id={})
    return replace(done, digest=digest_of(done), _by_id={})


def join_dir(folder: str, path: str) -> str:
    return "/".join(part for part in (folder, path) if part)


def join_glob(folder: str, glob: str) -> str:
    """A stage's glob, made relative to the repository's root. One that begins with a slash is already."""
    sign = "!" if glob.startswith("!") else ""
    pattern = glob.removeprefix("!")
    if not folder or pattern.startswith("/"):
        return sign + pattern
    anchored = "/" in pattern.rstrip("/")
    return f"{sign}/{folder}/{pattern}" if anchored else f"{sign}/{folder}/**/{pattern}"


def _stage(draft: Draft, name: str, part: models.StagePart) -> Stage:
    at: Path = ("stages", name)
    defaults = draft.file.defaults
    produces = tuple(
        _artifact(draft, known, artifact, (*at, "produces", known)) for known, artifact in part.produces.items()
    )
    stage = Stage(
        id=name,
        needs=tuple(part.needs),
        agent=part.agent,
        command=part.run,
        prompt=_text(draft, part.prompt, (*at, "prompt")) or THE_TASK,
        scope=_scope(draft.file, part),
        produces=produces,
        gates=(*_built_in(bool(produces)), *_gates(draft, part, at)),
        on_reject=tuple(_rule(rule) for rule in part.on_reject),
        when=_when(part.when),
        env=tuple(part.env),
        secrets=tuple(part.secrets),
        dir=part.dir,
        may_be_empty=part.may_be_empty,
        workspace=WorkspaceMode(part.workspace),
        resumes=part.session == "resume",
        brief=_brief(draft, part, at),
        instructions=_joined(part.dir, part.instructions),
        hosts=_hosts(part.network),
        labels=tuple(part.labels),
        judged_elsewhere=part.referee == "elsewhere",
        limits=Limits(part.limits.attempts or 0, part.limits.tokens or 0, part.limits.cost_usd or 0.0),
        **_given(
            attempts_max=part.attempts or defaults.attempts,
            timeout_s=part.timeout or defaults.timeout,
            idle_timeout_s=part.idle_timeout or defaults.idle_timeout,
        ),
    )
    return replace(stage, idle_timeout_s=min(stage.idle_timeout_s, stage.timeout_s))


def _given(**values: object) -> dict[str, Any]:
    """The values that the file gives. All other fields keep the defaults of `core.pipeline`."""
    return {name: value for name, value in values.items() if value is not None}


def _brief(draft: Draft, part: models.StagePart, at: Path) -> Text | None:
    """The stage's own template, else the one under `defaults` if the stage has an agent; None: the built-in one."""
    if part.brief is not None:
        return _text(draft, part.brief, (*at, "brief"))
    return _text(draft, draft.file.defaults.brief, ("defaults", "brief")) if part.agent else None


def _joined(folder: str, globs: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if globs is None else tuple(join_glob(folder, glob) for glob in globs)


def _scope(file: models.PipelineFile, part: models.StagePart) -> Scope:
    writes = None if part.writes is None else tuple(join_glob(part.dir, glob) for glob in part.writes)
    return Scope(
        writes=writes,
        authors=tuple(join_glob(part.dir, glob) for glob in part.authors),
        adds=tuple(join_glob(part.dir, glob) for glob in part.adds),
        protect=tuple(dict.fromkeys((*PROTECTED, *file.protect))),
        **_given(max_files=part.max_files, max_lines=part.max_lines),
    )


def _built_in(produces: bool) -> tuple[Gate, ...]:
    scope = Gate("scope", GateKind.SCOPE)
    return (scope, Gate("produces", GateKind.PRODUCES)) if produces else (scope,)


def _artifact(draft: Draft, name: str, part: models.ArtifactPart, at: Path) -> Artifact:
    return Artifact(
        name=name,
        file=part.file,
        schema=_text(draft, part.content, (*at, "schema")),
        sections=tuple(part.sections),
        **_given(max_bytes=part.max_bytes),
    )


def _text(draft: Draft, source: Source | None, at: Path) -> Text | None:
    if source is None:
        return None
    if source.file is None:
        return Text(source.text or "")
    found = draft.sources.read(source.file, draft.where.value(*at, "file"))
    return Text(*found) if found else Text("")


def _gates(draft: Draft, part: models.StagePart, at: Path) -> tuple[Gate, ...]:
    return tuple(_gate(draft, part, gate, (*at, "gates", index)) for index, gate in enumerate(part.gates))


def _gate(draft: Draft, stage: models.StagePart, part: models.GatePart, at: Path) -> Gate:
    kind = next((kind for kind in written_kinds() if getattr(part, kind.name) is not None), find(GateKind.RUN))
    gate = Gate(
        id=part.id,
        kind=kind.name,
        command=part.run,
        timeout_s=part.timeout or kind.timeout_s,
        base_green=part.base == "green",
        canary=_canary(part),
        breaks=tuple(join_glob(join_dir(stage.dir, part.dir), glob) for glob in part.breaks),
        env=tuple(part.env),
        secrets=tuple(part.secrets),
        dir=join_dir(stage.dir, part.dir),
        exclusive=tuple(part.exclusive),
        cached=part.cache != "none",
        options=_options(draft, kind, part, (*at, kind.name)),
        **_given(
            report=part.report and Report(part.report),
            repeat=part.repeat,
            baseline=part.baseline and Baseline(part.baseline),
            expect=part.expect and Expect(part.expect),
            tests=part.tests and Tests(part.tests),
            held_out=part.held_out,
            network=None if part.network is None else part.network is True,
            hosts=part.network if isinstance(part.network, tuple) else None,
            question=part.approve,
        ),
    )
    if part.use:
        return ready_gate(gate, part, draft.sources.root, draft.where.value(*at, "use"), draft.mistakes)
    return gate


def _canary(part: models.GatePart) -> str:
    """The recipe that the gate names, else the one for its command if that reports tests."""
    if part.breaks:
        return BREAKING
    if part.canary is None and part.run is not None and part.report == "junit":
        return recognised(part.run)
    return part.canary or ""


def _options(draft: Draft, kind: Kind, part: models.GatePart, at: Path) -> GateOptions | None:
    if kind.options is None:
        return None
    return options_from(kind, getattr(part, kind.name), lambda text, key: _text(draft, text, (*at, key)))


def _rule(part: models.RulePart) -> Rule:
    return Rule(
        gate=part.gate,
        within=tuple(part.within),
        goto=part.goto,
        agent=part.agent,
        pause=part.pause,
        drop=part.drop,
        **_given(reason=part.reason, after=part.after, max=part.max),
    )


def _when(part: models.WhenPart | None) -> When | None:
    if part is None:
        return None
    return When(part.artifact, part.at, json.dumps(part.equals))


def _agent(name: str, part: models.AgentPart) -> AgentSpec:
    extra = part.model_extra or {}
    network = extra.get("key") != "proxied" if part.network is None else part.network
    return AgentSpec(
        name=name,
        use=part.use,
        command=part.run,
        model=part.model,
        fallback=tuple(part.fallback),
        env=tuple(part.env),
        secrets=tuple(part.secrets),
        options=tuple((key, json.dumps(extra[key], sort_keys=True)) for key in sorted(extra)),
        instructions=part.instructions,
        hosts=_hosts(network),
    )


def _hosts(network: bool | tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Those that are reached; None for the whole network, which those have who say nothing."""
    if network is None or network is True:
        return None
    return network or ()


def _input(draft: Draft, name: str, part: models.InputPart) -> Input:
    required = part.default is None if part.required is None else part.required
    if part.default is None:
        return Input(name, part.type, required)
    kinds = {"string": str, "integer": int, "boolean": bool}
    if type(part.default) is not kinds[part.type]:
        mark = draft.where.value("inputs", name, "default")
        draft.mistakes.add(
            mark, f"the default of {name} is not of type {part.type}", f"write a value of type {part.type}"
        )
    default = part.default if isinstance(part.default, str) else json.dumps(part.default)
    return Input(name, part.type, required, default)


def _setup(part: models.SetupPart) -> Setup:
    given = _given(timeout_s=part.timeout)
    hosts = _hosts(part.network)
    return Setup(part.run, tuple(part.key), tuple(part.paths), part.settle, env=tuple(part.env), hosts=hosts, **given)


def _limits(part: models.LimitsPart) -> Limits:
    return Limits(**_given(attempts=part.attempts, tokens=part.tokens, cost_usd=part.cost_usd, wall_s=part.wall))


def _sandbox(part: models.SandboxPart) -> RoomSpec:
    limits = _given(
        memory_bytes=part.memory,
        processes=part.processes,
        file_bytes=part.file_size,
        disk_bytes=part.disk,
        files=part.files,
    )
    return RoomSpec(tuple(part.read), part.nested, RoomLimits(**limits))


def _deliver(part: models.DeliverPart) -> Deliver:
    request = part.pull_request
    proposed = PullRequest(request.remote, request.base, request.draft) if request is not None else None
    given = _given(branch=part.branch)
    return Deliver(series=part.series, author=part.author, sign=part.sign, pull_request=proposed, **given)


def ready_gate(gate: Gate, part: GatePart, root: FilePath, mark: Mark, mistakes: Mistakes) -> Gate:
    """`gate` with the command, report and network of the ready gate that it uses. An unknown name is a mistake."""
    name = part.use or ""
    if name not in sets.NAMES:
        mistakes.add(mark, f"there is no ready gate {name}", nearest(name, sets.NAMES))
        return replace(gate, used=name)
    try:
        found = sets.resolve(name, root / gate.dir)
    except LookupError as error:
        mistakes.add(
            mark, f"{name} does not fit this repository ({error.args[0]})", "write the command out with `run:`"
        )
        return replace(gate, used=name)
    network = found.network if part.network is None else part.network is True
    canary = found.canary if part.canary is None and not part.breaks else gate.canary
    gate = replace(gate, command=CommandLine(shell=found.run), report=Report(found.report), network=network, used=name)
    return replace(gate, canary=canary)

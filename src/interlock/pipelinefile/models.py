"""The pipeline file's shape, as pydantic models. Rule: shape only; what needs two places of the file to be
seen is checked by `checks`, and no default is filled in here that depends on another key.

Imported late: it costs more than reading a file does. What an editor tells of each key lies in `described`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from interlock.pipelinefile.fields import (
    Bare,
    CommandField,
    Count,
    Duration,
    Glob,
    Instructions,
    Name,
    RelativePath,
    TextField,
    Variable,
)


class Part(BaseModel):
    """Strict and closed. Keys that begin with `x-` belong to the user and are left out before."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        defer_build=True,  # the models with the keys of gate kinds are the ones that are used
        json_schema_extra={"patternProperties": {"^x-": {}}},
    )


class InputPart(Part):
    type: Literal["string", "integer", "boolean"] = "string"
    required: bool | None = None
    default: Bare = None


class AgentPart(Part):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    use: str
    run: CommandField | None = None
    model: str = ""
    fallback: list[str] = []
    env: list[Variable] = []
    secrets: list[Variable] = []
    instructions: Instructions | None = None


class DefaultsPart(Part):
    brief: TextField | None = None
    attempts: Count | None = None
    timeout: Duration | None = None
    idle_timeout: Duration | None = None


class LimitsPart(Part):
    attempts: Annotated[int, Field(ge=1, le=100_000)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    cost_usd: Annotated[float, Field(gt=0)] | None = None
    wall: Duration | None = None


class StageLimitsPart(Part):
    attempts: Annotated[int, Field(ge=1, le=100_000)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    cost_usd: Annotated[float, Field(gt=0)] | None = None


class SetupPart(Part):
    run: CommandField
    key: list[Glob] = []
    paths: list[RelativePath] = []
    settle: CommandField | None = None
    timeout: Duration | None = None
    env: list[Variable] = []


class ArtifactPart(Part):
    file: RelativePath
    content: TextField | None = Field(None, alias="schema")
    sections: list[str] = []
    max_bytes: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class GatePart(Part):
    """What every gate can say. `kinds.file_model` adds a key for each kind that has options."""

    id: Name
    run: CommandField | None = None
    use: str | None = None
    approve: str | None = None
    report: Literal["none", "junit", "sarif"] | None = None
    timeout: Duration | None = None
    repeat: Annotated[int, Field(ge=1, le=20)] | None = None
    base: Literal["green"] | None = None
    baseline: Literal["keep", "no_worse"] | None = None
    expect: Literal["pass", "new_tests_fail", "tests_prove_change"] | None = None
    tests: Literal["base"] | None = None
    canary: Literal[False] | str | None = None
    breaks: list[Glob] = []
    held_out: str | None = None
    env: list[Variable] = []
    secrets: list[Variable] = []
    dir: RelativePath = ""
    network: bool | None = None
    exclusive: list[Name] = []
    cache: Literal["none"] | None = None


class RulePart(Part):
    gate: str = ""
    reason: Literal["code", "design", "plan", "requirement"] | None = None
    within: list[Glob] = Field([], alias="in")
    after: Count | None = None
    goto: str = ""
    agent: str = ""
    pause: bool = False
    drop: bool = False
    max: Count | None = None


class WhenPart(Part):
    artifact: str
    at: str = ""
    equals: Bare


class ForEachPart(Part):
    source: str = Field(alias="in")
    name: Name = Field("item", alias="as")
    key: str = ""
    parallel: Count | None = None
    max: Count | None = None


class StagePart(Part):
    needs: list[str] = []
    agent: str = ""
    run: CommandField | None = None
    prompt: TextField | None = None
    brief: TextField | None = None
    writes: list[Glob] | None = None
    authors: list[Glob] = []
    adds: list[Glob] = []
    max_files: Annotated[int, Field(ge=1)] | None = None
    max_lines: Annotated[int, Field(ge=1)] | None = None
    produces: dict[Name, ArtifactPart] = {}
    gates: list[GatePart] = []
    on_reject: list[RulePart] = []
    when: WhenPart | None = None
    attempts: Count | None = None
    timeout: Duration | None = None
    idle_timeout: Duration | None = None
    limits: StageLimitsPart = StageLimitsPart()
    env: list[Variable] = []
    secrets: list[Variable] = []
    dir: RelativePath = ""
    may_be_empty: bool = False
    workspace: Literal["fresh", "continue"] = "fresh"
    session: Literal["fresh", "resume"] = "fresh"
    instructions: Instructions | None = None
    for_each: ForEachPart | None = None
    matrix: dict[Name, list[Bare]] | None = None


class PullRequestPart(Part):
    remote: str = "origin"
    base: str = ""
    draft: bool = False


class DeliverPart(Part):
    branch: str | None = None
    series: bool = False
    author: str = ""
    sign: bool = False
    pull_request: PullRequestPart | None = None


class PipelineFile(Part):
    """An Interlock pipeline: stages, each with gates that judge what it made."""

    version: Literal[1]
    name: Name | None = None
    include: list[str] = []
    inputs: dict[Name, InputPart] = {}
    agents: dict[Name, AgentPart] = {}
    defaults: DefaultsPart = DefaultsPart()
    limits: LimitsPart = LimitsPart()
    quota_wait: Duration | None = None
    protect: list[Glob] = []
    setup: list[SetupPart] = []
    carry: list[RelativePath] = []
    stages: Annotated[dict[Name, StagePart], Field(min_length=1)]
    deliver: DeliverPart = DeliverPart()

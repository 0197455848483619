"""The pipeline file as pydantic models, those of gate kinds included.

Rule: one key at a time. `checks` compares keys with each other, and no default that depends on another key is filled in
here. The models of gate kinds follow from the fields that each kind declares: no kind is named here. This module is
imported lazily, since importing pydantic takes longer than reading a file.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model

from interlock.core.delivery import REMOTE
from interlock.core.pipeline import CommandLine, GateOptions, Text
from interlock.gates import kinds
from interlock.pipelinefile.fields import (
    AbsolutePath,
    Bare,
    CommandField,
    Count,
    Duration,
    Glob,
    Instructions,
    Name,
    NetworkField,
    RelativePath,
    Size,
    Source,
    TextField,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.gates.kinds import Kind


class Part(BaseModel):
    """Strict, without unknown keys. Keys that begin with `x-` belong to the user and are removed before validation."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        defer_build=True,  # only the models with the keys of gate kinds are used
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
    network: NetworkField | None = None
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
    network: NetworkField = True


class SandboxPart(Part):
    read: list[AbsolutePath] = []
    nested: bool = False
    memory: Size | None = None
    processes: Annotated[int, Field(ge=10, le=4_000_000)] | None = None
    file_size: Size | None = None
    disk: Size | None = None
    files: Annotated[int, Field(ge=100, le=1_000_000_000)] | None = None


class ArtifactPart(Part):
    file: RelativePath
    content: TextField | None = Field(None, alias="schema")
    sections: list[str] = []
    max_bytes: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class GatePart(Part):
    """The keys of every gate. `file_model` adds one for each kind that has options."""

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
    network: NetworkField | None = None
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
    network: NetworkField | None = None
    labels: list[Name] = []
    referee: Literal["anywhere", "elsewhere"] = "anywhere"
    for_each: ForEachPart | None = None
    matrix: dict[Name, list[Bare]] | None = None


class PullRequestPart(Part):
    remote: str = REMOTE
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
    sandbox: SandboxPart = SandboxPart()
    stages: Annotated[dict[Name, StagePart], Field(min_length=1)]
    deliver: DeliverPart = DeliverPart()


_FORMS = {"glob": Glob, "path": RelativePath, "name": Name, "variable": Variable, "duration": Duration}
_BY_HINT = {int: Count, Text: TextField, CommandLine: CommandField}


def written_kinds() -> tuple[Kind, ...]:
    """The kinds that a gate in the file can have, in the order in which messages list them."""
    written = tuple(kind for kind in kinds.all_kinds() if kind.is_written)
    keyless = [kind.name for kind in written if kind.options is None and kind.name not in GatePart.model_fields]
    if keyless:
        raise TypeError(f"gate kinds without options, which no file can name: {', '.join(keyless)}")
    return written


def file_model() -> type[PipelineFile]:
    """The model of a pipeline file whose gates have a key for each kind with options."""
    return _models(kinds.names())[0]


def part_at(names: list[str]) -> type[BaseModel] | None:
    """The model of the gate, or of a kind's options, at the keys `names`; None for anything else."""
    _, gate, of_kinds = _models(kinds.names())
    if names[-2:-1] == ["gates"]:
        return of_kinds.get(names[-1])
    return gate if names[-1:] == ["gates"] else None


@cache
def _models(_names: tuple[str, ...]) -> tuple[type[PipelineFile], type[BaseModel], dict[str, type[BaseModel]]]:
    of_kinds = {kind.name: _model(kind) for kind in kinds.all_kinds() if kind.options is not None}
    keys: dict[str, Any] = {name: (model | None, None) for name, model in of_kinds.items()}
    gate = create_model("GatePart", __base__=GatePart, **keys)
    listed: Any = list.__class_getitem__(gate)
    stage = create_model("StagePart", __base__=StagePart, gates=(listed, []))
    stages: Any = Annotated[dict[Name, stage], Field(min_length=1)]  # type: ignore[valid-type]
    file = create_model("PipelineFile", __base__=PipelineFile, __doc__=PipelineFile.__doc__, stages=(stages, ...))
    return file, gate, of_kinds


def _model(kind: Kind) -> type[BaseModel]:
    assert kind.options is not None
    hints = get_type_hints(kind.options)
    parts: dict[str, Any] = {each.name: _field(each, hints[each.name]) for each in fields(kind.options)}
    return create_model(f"{kind.name.title().replace('_', '')}Part", __base__=Part, **parts)


def options_from(kind: Kind, part: BaseModel, read: Callable[[Source, str], Text | None]) -> GateOptions:
    """The options as the file gives them, with defaults filled in. `read` gets a text and its key."""
    assert kind.options is not None
    values = {each.name: _value(each, getattr(part, each.name), read) for each in fields(kind.options)}
    options = kind.options(**values)
    return kind.complete(options) if kind.complete is not None else options


def options_tree(options: GateOptions, text: Callable[[Text], object]) -> dict[str, object]:
    """The options as plain values by key, as a file would say them."""
    return {key_of(each): _plain(getattr(options, each.name), text) for each in fields(options)}


def key_of(each: dataclasses.Field[Any]) -> str:
    return each.metadata.get("key") or each.name


def _field(each: dataclasses.Field[Any], hint: Any) -> tuple[Any, Any]:  # noqa: ANN401 - types are values here
    """The type and the default for pydantic."""
    form, default = each.metadata.get("form", ""), _unset(each)
    alias = each.metadata.get("key") or None
    said = {"description": each.metadata["summary"]} if each.metadata.get("summary") else {}
    inner, optional = _type(hint, form)
    if form == "several":
        inner = Annotated[inner, Field(min_length=1)]
    if default is MISSING:
        return inner, Field(alias=alias, **said)
    if optional or inner in (Count, Duration):
        inner, default = inner | None, None
    elif isinstance(default, tuple):
        default = list(default)
    return inner, Field(default, alias=alias, **said)


def _type(hint: Any, form: str) -> tuple[Any, bool]:  # noqa: ANN401
    """The type of the key for a field with this type hint, and whether it may be None."""
    kept = [one for one in get_args(hint) if one is not type(None)]
    if type(None) in get_args(hint):
        return _type(kept[0], form)[0], True
    if hint == tuple[str, ...]:
        return list.__class_getitem__(_FORMS.get(form, str)), False
    return _FORMS.get(form) or _BY_HINT.get(hint, hint), False


def _unset(each: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    """The value if the file does not give one; MISSING if it must."""
    return each.metadata.get("unset", each.default)


def _value(each: dataclasses.Field[Any], said: Any, read: Callable[[Source, str], Text | None]) -> Any:  # noqa: ANN401
    if said is None:
        return _unset(each)
    if isinstance(said, Source):
        return read(said, key_of(each))
    return tuple(said) if isinstance(said, list) else said


def _plain(value: object, text: Callable[[Text], object]) -> object:
    match value:
        case Text():
            return text(value)
        case CommandLine():
            return list(value.argv) or value.shell
        case tuple():
            return list(value)
        case _:
            return value

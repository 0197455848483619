"""Gate kinds as the file shows them: their options as a pydantic model, built from it, and written back.

Rule: all of it follows from the fields that the kind declares; no kind is named here.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from pydantic import BaseModel, create_model
from pydantic import Field as ModelField

from interlock.core.pipeline import CommandLine, GateOptions, Text
from interlock.gates import kinds
from interlock.pipelinefile import models
from interlock.pipelinefile.fields import CommandField as CommandForm
from interlock.pipelinefile.fields import Count, Duration, Glob, Name, RelativePath, Source, TextField, Variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.gates.kinds import Kind

_FORMS = {"glob": Glob, "path": RelativePath, "name": Name, "variable": Variable, "duration": Duration}
_BY_HINT = {int: Count, Text: TextField, CommandLine: CommandForm}


def written_kinds() -> tuple[Kind, ...]:
    """Those that a gate in the file can be of, in the order in which a message lists them."""
    written = tuple(kind for kind in kinds.all_kinds() if kind.is_written)
    keyless = [kind.name for kind in written if kind.options is None and kind.name not in models.GatePart.model_fields]
    if keyless:
        raise TypeError(f"gate kinds without options, which no file can name: {', '.join(keyless)}")
    return written


def file_model() -> type[models.PipelineFile]:
    """The shape of a pipeline file, with a key of a gate for each kind that has options."""
    return _models(kinds.names())[0]


def part_at(names: list[str]) -> type[BaseModel] | None:
    """The shape of the gate, or of the options of a kind, at the keys `names`; None where it is something else."""
    _, gate, of_kinds = _models(kinds.names())
    if names[-2:-1] == ["gates"]:
        return of_kinds.get(names[-1])
    return gate if names[-1:] == ["gates"] else None


@cache
def _models(_names: tuple[str, ...]) -> tuple[type[models.PipelineFile], type[BaseModel], dict[str, type[BaseModel]]]:
    of_kinds = {kind.name: _model(kind) for kind in kinds.all_kinds() if kind.options is not None}
    keys: dict[str, Any] = {name: (model | None, None) for name, model in of_kinds.items()}
    gate = create_model("GatePart", __base__=models.GatePart, **keys)
    listed: Any = list.__class_getitem__(gate)
    stage = create_model("StagePart", __base__=models.StagePart, gates=(listed, []))
    stages: Any = Annotated[dict[Name, stage], ModelField(min_length=1)]  # type: ignore[valid-type]
    file = create_model(
        "PipelineFile", __base__=models.PipelineFile, __doc__=models.PipelineFile.__doc__, stages=(stages, ...)
    )
    return file, gate, of_kinds


def _model(kind: Kind) -> type[BaseModel]:
    assert kind.options is not None
    hints = get_type_hints(kind.options)
    parts: dict[str, Any] = {each.name: _field(each, hints[each.name]) for each in fields(kind.options)}
    return create_model(f"{kind.name.title().replace('_', '')}Part", __base__=models.Part, **parts)


def options_from(kind: Kind, part: BaseModel, read: Callable[[Source, str], Text | None]) -> GateOptions:
    """What the file says, every default filled in. `read` gets a text and the key that it stands at."""
    assert kind.options is not None
    values = {each.name: _value(each, getattr(part, each.name), read) for each in fields(kind.options)}
    options = kind.options(**values)
    return kind.complete(options) if kind.complete is not None else options


def options_tree(options: GateOptions, text: Callable[[Text], object]) -> dict[str, object]:
    """Plain values by key, as the file would say them."""
    return {key_of(each): _plain(getattr(options, each.name), text) for each in fields(options)}


def key_of(each: Field[Any]) -> str:
    return each.metadata.get("key") or each.name


def _field(each: Field[Any], hint: Any) -> tuple[Any, Any]:  # noqa: ANN401 - types are values here
    """The type and the default, as pydantic wants them."""
    form, default = each.metadata.get("form", ""), _unset(each)
    alias = each.metadata.get("key") or None
    said = {"description": each.metadata["summary"]} if each.metadata.get("summary") else {}
    inner, optional = _type(hint, form)
    if form == "several":
        inner = Annotated[inner, ModelField(min_length=1)]
    if default is MISSING:
        return inner, ModelField(alias=alias, **said)
    if optional or inner in (Count, Duration):
        inner, default = inner | None, None
    elif isinstance(default, tuple):
        default = list(default)
    return inner, ModelField(default, alias=alias, **said)


def _type(hint: Any, form: str) -> tuple[Any, bool]:  # noqa: ANN401
    """How a field of this type is written, and whether it may be None."""
    kept = [one for one in get_args(hint) if one is not type(None)]
    if type(None) in get_args(hint):
        return _type(kept[0], form)[0], True
    if hint == tuple[str, ...]:
        return list.__class_getitem__(_FORMS.get(form, str)), False
    return _FORMS.get(form) or _BY_HINT.get(hint, hint), False


def _unset(each: Field[Any]) -> Any:  # noqa: ANN401
    """What it is where the file does not say it; MISSING where it has to."""
    return each.metadata.get("unset", each.default)


def _value(each: Field[Any], said: Any, read: Callable[[Source, str], Text | None]) -> Any:  # noqa: ANN401
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

"""What a tool is: a function whose parameters are its arguments, and the schema of its answer.

Rule: what does not fit is refused in words that say what would, before anything is done. No answer has characters that
hide or reorder text, or steer a terminal, whoever wrote it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeGuard, TypeVar, get_args, get_origin

from mcp_types import CallToolResult, TextContent, ToolAnnotations
from mcp_types import Tool as Listed

from interlock.text.cleaning import clean

Document = dict[str, Any]
Schema = dict[str, Any]
_T = TypeVar("_T")

_KINDS: Mapping[Any, tuple[str, str]] = {
    str: ("string", "text"),
    int: ("integer", "a whole number"),
    float: ("number", "a number"),
    bool: ("boolean", "true or false"),
}
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
# Gates run code of the work, which may reach anything.
RUNS_GATES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
BEGINS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
DECIDES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True)
_VALUE_MAX = 60  # characters of a value that is shown again


class ToolError(Exception):
    """An expected failure. Its text says what to do next, in terms of tools."""


@dataclass(frozen=True, slots=True)
class Tool:
    """`call` gets its program, then the arguments. It returns a document that fits `answer`, or text where there is no
    schema. `where` says of an argument where its value is found."""

    call: Callable[..., Awaitable[Document | str]]
    about: str
    hints: ToolAnnotations
    answer: Schema | None = None
    where: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        return self.call.__name__

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        every = list(inspect.signature(self.call, eval_str=True).parameters.values())
        return {one.name: one for one in every[1:]}


def listed(tool: Tool) -> Listed:
    """The tool as `tools/list` shows it."""
    parameters = tool.parameters
    schema: Schema = {"type": "object", "properties": {name: _schema(one) for name, one in parameters.items()}}
    if required := [name for name, one in parameters.items() if _is_required(one)]:
        schema["required"] = required
    return Listed(
        name=tool.name,
        description=tool.about,
        input_schema={**schema, "additionalProperties": False},
        output_schema=tool.answer,
        annotations=tool.hints,
    )


def arguments(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, as `tool` takes it. Raises ToolError that names everything that does not fit."""
    parameters = tool.parameters
    given = {name: value for name, value in given.items() if value is not None}
    wrong = [_unknown(tool, name) for name in given if name not in parameters]
    wrong += [
        _missing(tool, name) for name, one in parameters.items() if _is_required(one) and not _is_there(given, name)
    ]
    fitting: dict[str, Any] = {}
    for name, value in given.items():
        if name in parameters:
            try:
                fitting[name] = _value(parameters[name].annotation, value)
            except ValueError as error:
                wrong.append(f"`{name}` must be {error}, not {_shown(value)}")
    if wrong:
        raise ToolError("; ".join(wrong))
    return fitting


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or nothing."""
    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=0.6)), "")


def result(answered: Document | str) -> CallToolResult:
    """A document goes out twice, as text and as data, since programs hand only one of them to the model."""
    if isinstance(answered, str):
        return CallToolResult(content=[TextContent(type="text", text=clean(answered))])
    shown = cleaned(answered)
    return CallToolResult(content=[TextContent(type="text", text=as_text(shown))], structured_content=shown)


def as_text(document: Document) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def cleaned(document: Document) -> Document:
    """The document as a model and a person may see it: of what agents wrote in it, nothing is hidden."""
    return {clean(name): _cleaned(value) for name, value in document.items()}


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list | tuple):
        return [_cleaned(one) for one in value]
    return cleaned(value) if isinstance(value, dict) else value


def refused(error: ToolError) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=clean(str(error)))], is_error=True)


# --- schemas -----------------------------------------------------------------------------------------


def _schema(parameter: inspect.Parameter) -> Schema:
    kind = parameter.annotation
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if kind in _KINDS:
        return {"type": _KINDS[kind][0]}
    return {"type": "object", "additionalProperties": {"type": "string"}}


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty


# --- arguments ---------------------------------------------------------------------------------------


def _is_there(given: Mapping[str, Any], name: str) -> bool:
    return bool(str(given.get(name, "")).strip())


def _unknown(tool: Tool, name: str) -> str:
    known = tool.parameters
    if near := nearest(name, known):
        return f"unknown argument `{name}`: did you mean `{near}`?"
    takes = ", ".join(f"`{one}`" for one in known)
    return f"unknown argument `{name}`: `{tool.name}` takes {takes or 'none'}"


def _missing(tool: Tool, name: str) -> str:
    where = (tool.where or {}).get(name, "")
    return f"`{tool.name}` needs `{name}`" + (f": {where}" if where else "")


def _value(kind: object, value: object) -> object:
    """Raises ValueError that says what it should be. Numbers and objects may be in a text: some programs send that."""
    if get_origin(kind) is Literal:
        return _choice(get_args(kind), value)
    if kind is str:
        return _of(str, value, fits=isinstance(value, str))
    if isinstance(value, str):
        value = _read(value)
    if kind is int:
        return _of(int, value, fits=_is_number(value) and float(value).is_integer())
    if kind is float:
        return _of(float, value, fits=_is_number(value))
    if kind is bool:
        return _of(bool, value, fits=isinstance(value, bool))
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError("an object whose values are text")
    return value


def _of(kind: type[_T], value: object, *, fits: bool) -> _T:
    if not fits:
        raise ValueError(_KINDS[kind][1])
    return kind(value)  # type: ignore[call-arg]


def _choice(choices: tuple[str, ...], value: object) -> str:
    if value in choices:
        return str(value)
    near = nearest(value, choices) if isinstance(value, str) else ""
    raise ValueError(f"`{near}`, or another of {', '.join(choices)}" if near else f"one of {', '.join(choices)}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15  # and no NaN


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_MAX else f"{text[:_VALUE_MAX]}..."

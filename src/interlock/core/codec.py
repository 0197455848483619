"""Frozen dataclasses as JSON values and back, exactly: the one codec of events, pipelines and kept runs.

Two layouts. An array holds the fields in the order they are declared, without the last ones that have their default.
An object holds them all by name. In both, a field that is not there has its default: so a field may be added with a
default (in an array at the end), and what an older version wrote still reads. What a newer version added is refused as
`NewerFormat`. Readers and writers are compiled once from the types' own annotations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from math import inf
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from interlock.core.ids import AttemptId, parse_attempt
from interlock.core.values import constructor, default_of

T = TypeVar("T")
_Convert = Callable[[Any], Any]
_SCALARS = (str, int, float, bool)
_EXACT_MAX = 2**53
APART = {"apart": True}  # metadata of a field that is neither read nor written here
Bound = Annotated[float, "infinite where there is none"]  # as JSON null, which has no infinite numbers


class NewerFormat(ValueError):
    """It holds what this version does not know: a field, or a word in a closed list."""


class ClosedList(dict[str, T]):
    """A closed list by name. Raises NewerFormat for a name that is not in it."""

    def __init__(self, what: str, members: dict[str, T]) -> None:
        super().__init__(members)
        self._what = what

    def __missing__(self, name: str) -> NoReturn:
        if not isinstance(name, str):
            raise TypeError(f"{name!r} is no {self._what}")
        raise NewerFormat(f"{self._what} {name!r:.80} is not known here")


# --- arrays ------------------------------------------------------------------------------------


@cache
def array_reader(cls: type[T]) -> Callable[[list[Any]], T]:
    """Makes a `cls` of its array, which is used up. A field that an older version left out has its default. Raises
    NewerFormat, ValueError, TypeError, KeyError."""
    converts = [(place, _from_json(each.hint, array_reader)) for place, each in enumerate(_parts(cls))]  # type: ignore[arg-type]
    places = [(place, convert) for place, convert in converts if convert is not None]
    defaults = [each.default for each in _parts(cls)]  # type: ignore[arg-type]
    required, full = defaults.count(MISSING), len(defaults)
    construct = constructor(cls)

    def read(values: list[Any]) -> T:
        count = len(values)
        if count > full:
            raise NewerFormat(f"{cls.__name__} has {count} fields, and {full} are known here")
        for place, convert in places:
            if place >= count:
                break
            values[place] = convert(values[place])
        if count < required:
            raise ValueError(f"{count} of at least {required} fields of {cls.__name__}")
        return construct(*values)

    return read


@cache
def array_writer(cls: type) -> Callable[[Any], list[Any]]:
    """Turns a dataclass into its array."""
    parts = [(each.name, each.default, _to_json(each.hint, array_writer)) for each in _parts(cls)]

    def write(value: object) -> list[Any]:
        values = [getattr(value, name) for name, _, _ in parts]
        while values and parts[len(values) - 1][1] is not MISSING and values[-1] == parts[len(values) - 1][1]:
            values.pop()
        return [
            each if convert is None else convert(each)
            for each, (_, _, convert) in zip(values, parts, strict=False)
        ]  # fmt: skip

    return write


# --- objects -----------------------------------------------------------------------------------


@cache
def object_reader(cls: type[T]) -> Callable[[dict[str, Any]], T]:
    """Makes a `cls` of its object. Raises NewerFormat, TypeError (also for a field that is needed), ValueError."""
    converts = {each.name: _from_json(each.hint, object_reader) or _typed(each.hint) for each in _parts(cls)}  # type: ignore[arg-type]

    def read(values: dict[str, Any]) -> T:
        if not isinstance(values, dict):
            raise TypeError(f"{values!r:.80} is no {cls.__name__}")
        if unknown := values.keys() - converts.keys():
            raise NewerFormat(f"{cls.__name__} has {', '.join(sorted(unknown))}, not known here")
        return cls(**{name: converts[name](value) for name, value in values.items()})

    return read


@cache
def object_writer(cls: type) -> Callable[[Any], dict[str, Any]]:
    """Turns a dataclass into its object; fields that are APART or begin with an underscore are left out."""
    parts = [(each.name, _to_json(each.hint, object_writer)) for each in _parts(cls)]

    def write(value: object) -> dict[str, Any]:
        return {
            name: getattr(value, name) if convert is None else convert(getattr(value, name))
            for name, convert in parts
        }  # fmt: skip

    return write


def _typed(hint: Any) -> _Convert:  # noqa: ANN401
    """A value that JSON has as it is, of the type that the field says."""
    kinds = tuple(each for each in (get_args(hint) or (hint,)) if each is not NoneType)
    optional = NoneType in get_args(hint)

    def read(value: Any) -> Any:  # noqa: ANN401
        if type(value) in kinds or (value is None and optional) or (type(value) is int and float in kinds):
            return value
        raise TypeError(f"{value!r:.80} is no {' or '.join(kind.__name__ for kind in kinds)}")

    return read


# --- what others wrote --------------------------------------------------------------------------


def require_typed(value: object) -> None:
    """Raises TypeError unless each field of a dataclass is of the type that it says, all the way down. Numbers are
    finite, and no larger than a float holds exactly."""
    kind: type = type(value)
    for each in _parts(kind):
        if not _is_typed(getattr(value, each.name), each.hint):
            raise TypeError(f"{kind.__name__}.{each.name} is {getattr(value, each.name)!r:.80}")


def _is_typed(value: Any, hint: Any) -> bool:  # noqa: ANN401
    if hint == Bound:
        return value == inf or _is_typed(value, float)
    if get_origin(hint) is tuple:
        return type(value) is tuple and _are_typed(value, get_args(hint))
    if isinstance(hint, UnionType):
        return any(_is_typed(value, each) for each in get_args(hint))
    if type(value) is not hint:
        return hint is float and type(value) is int and abs(value) <= _EXACT_MAX
    if is_dataclass(hint):
        require_typed(value)
    return hint not in (int, float) or bool(abs(value) <= _EXACT_MAX)


def _are_typed(values: tuple[Any, ...], hints: tuple[Any, ...]) -> bool:
    if hints[-1] is Ellipsis:
        return all(_is_typed(value, hints[0]) for value in values)
    return len(values) == len(hints) and all(map(_is_typed, values, hints))


# --- both --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    hint: Any
    default: Any  # MISSING where there is none


@cache
def _parts(cls: type) -> tuple[_Part, ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple(
        _Part(each.name, hints[each.name], default_of(each))
        for each in fields(cls)
        if not each.name.startswith("_") and "apart" not in each.metadata
    )


def _from_json(hint: Any, reader: Callable[[type], _Convert]) -> _Convert | None:  # noqa: ANN401
    """How a field is read; None where JSON has it as it is."""
    if hint is AttemptId:
        return parse_attempt
    if hint == Bound:
        return lambda value: inf if value is None else value
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ClosedList(hint.__name__, {member.value: member for member in hint}).__getitem__
    if isinstance(hint, type) and is_dataclass(hint):
        return reader(hint)
    if get_origin(hint) is tuple:
        return _tuple_from_json(get_args(hint), reader)
    if (inner := _optional(hint)) is not None:
        return _optionally(_from_json(inner, reader))
    if hint in _SCALARS:
        return None
    raise TypeError(f"there is no form for a field of type {hint}")


def _tuple_from_json(hints: tuple[Any, ...], reader: Callable[[type], _Convert]) -> _Convert:
    if hints[-1] is not Ellipsis:
        return tuple
    each = _from_json(hints[0], reader)
    if each is None:
        return tuple
    return lambda values: tuple([each(value) for value in values])


def _to_json(hint: Any, writer: Callable[[type], _Convert]) -> _Convert | None:  # noqa: ANN401
    """How a field is written; None where JSON takes it as it is."""
    if hint is AttemptId:
        return str
    if hint == Bound:
        return lambda value: None if value == inf else value
    if isinstance(hint, type) and issubclass(hint, Enum):
        return None  # text enums are text
    if isinstance(hint, type) and is_dataclass(hint):
        return writer(hint)
    if get_origin(hint) is tuple:
        each = _to_json(get_args(hint)[0], writer)
        return None if each is None else lambda values: [each(value) for value in values]
    if (inner := _optional(hint)) is not None:
        return _optionally(_to_json(inner, writer))
    return None


def _optionally(convert: _Convert | None) -> _Convert | None:
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)


def _optional(hint: Any) -> Any:  # noqa: ANN401
    """X of `X | None`, else None."""
    if not isinstance(hint, UnionType):
        return None
    inner = [each for each in get_args(hint) if each is not NoneType]
    return inner[0] if len(inner) == 1 else None

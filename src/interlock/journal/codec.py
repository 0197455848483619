"""Events as compact JSON and back, exactly.

An event is kept as the name of its type and the array of its fields in the order they are declared,
without the last ones where they have their default. So a field may be added at the end, with a default,
and old history still reads; any other change of an event needs a higher `VERSION` and a step that lifts
older bodies. Readers and writers are compiled once from the types' own annotations.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

from interlock.core.events import Event, Recorded
from interlock.core.ids import AttemptId, parse_attempt
from interlock.journal.compiled import constructor
from interlock.ports import Answer, InfrastructureError

VERSION = 1

Row = tuple[int, float, str, int, str]  # seq, at, kind, version, body
_Convert = Callable[[object], object]
_T = TypeVar("_T")

_decode_json = json.JSONDecoder().raw_decode
_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_attempt: _Convert = lru_cache(maxsize=1 << 16)(parse_attempt)
_recorded = constructor(Recorded)


def kind_of(event: Event) -> str:
    """The name that the journal keeps an event under."""
    return type(event).__name__


def encode(event: Event) -> str:
    """The body of an event, ASCII without spaces. Raises ValueError for a number that is not finite."""
    return _encode_json(_writer(type(event))(event))  # type: ignore[arg-type]


def decode(kind: str, version: int, body: str) -> Event:
    """The event again, equal to what was encoded. Raises InfrastructureError where it cannot be read."""
    try:
        read = _readers()[kind]
        _check_version(version)
        return read(_decode_json(body)[0])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(kind, version, error) from error


def decode_rows(rows: Iterable[Row]) -> list[Recorded]:
    """As `decode`, for many. Raises InfrastructureError that names the first row that cannot be read."""
    readers, parse, recorded = _readers(), _decode_json, []
    seq, kind, version = 0, "", VERSION
    try:
        with _collector_paused():
            for seq, at, kind, version, body in rows:
                if version > VERSION:
                    _check_version(version)
                recorded.append(_recorded((seq, at, readers[kind](parse(body)[0]))))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _unreadable(f"{kind} at {seq}", version, error) from error
    return recorded


def encode_answer(answer: Answer) -> str:
    """The body of an answer, as of an event."""
    return _encode_json(_writer(Answer)(answer))


def decode_answer(version: int, body: str) -> Answer:
    """The answer again. Raises InfrastructureError where it cannot be read."""
    try:
        _check_version(version)
        answer: Answer = _reader(Answer)(_decode_json(body)[0])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("Answer", version, error) from error
    return answer


def export(run: str, history: Iterable[Recorded]) -> Iterator[str]:
    """The raw history for other programs: one JSON object a line, fields by name, attempts as text."""
    for recorded in history:
        head = {"version": VERSION, "run": run, "seq": recorded.seq, "at": recorded.at}
        yield json.dumps({**head, "event": kind_of(recorded.event), **_named(recorded.event)})


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Nothing made while decoding is garbage, and looking for some took two thirds of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_version(version: int) -> None:
    if version > VERSION:
        raise InfrastructureError(
            f"the history was written by a newer Interlock (its format is {version}, this one reads up to {VERSION}):"
            " upgrade Interlock",
            permanent=True,
        )


def _unreadable(what: str, version: int, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        f"the journal holds {what} (format {version}) in a shape that cannot be read ({type(error).__name__}: {error}):"
        " it is damaged, or written by another program",
        permanent=True,
    )


# --- reading -----------------------------------------------------------------------------------


@cache
def _readers() -> dict[str, Callable[[list[object]], Event]]:
    return {cls.__name__: _reader(cls) for cls in get_args(Event)}


@cache
def _reader(cls: type[_T]) -> Callable[[list[object]], _T]:
    """Turns the array of a dataclass's fields into the dataclass."""
    hints, stored = get_type_hints(cls), _stored(cls)
    converts = [(place, _from_json(hints[each.name])) for place, each in enumerate(stored)]
    places = [(place, convert) for place, convert in converts if convert is not None]
    defaults = [each.default for each in stored]
    required, full = defaults.count(MISSING), len(defaults)
    construct = constructor(cls)

    def read(values: list[object]) -> _T:
        count = len(values)
        for place, convert in places:
            if place >= count:
                break
            values[place] = convert(values[place])
        if count < full:
            if count < required:
                raise ValueError(f"{count} of at least {required} fields")
            values += defaults[count:]
        return construct(values)

    return read


def _from_json(hint: object) -> _Convert | None:
    """How a field is read; None where JSON has it as it is."""
    if hint is AttemptId:
        return _attempt
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {member.value: member for member in hint}.__getitem__
    if isinstance(hint, type) and is_dataclass(hint):
        return _reader(hint)  # type: ignore[return-value]
    if get_origin(hint) is tuple:
        return _tuple_from_json(get_args(hint))
    if (inner := _optional(hint)) is not None:
        return _optionally(_from_json(inner))
    if hint in (str, int, float, bool):
        return None
    raise TypeError(f"the journal has no form for a field of type {hint}")


def _tuple_from_json(hints: tuple[object, ...]) -> _Convert:
    if hints[-1] is not Ellipsis:
        return tuple  # type: ignore[return-value]
    each = _from_json(hints[0])
    if each is None:
        return tuple  # type: ignore[return-value]
    return lambda values: tuple([each(value) for value in values])  # type: ignore[attr-defined]


# --- writing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stored:
    name: str
    default: object  # MISSING where there is none


def _stored(cls: type) -> tuple[_Stored, ...]:
    return tuple(_Stored(each.name, each.default) for each in fields(cls))


@cache
def _writer(cls: type) -> Callable[[object], list[object]]:
    """Turns a dataclass into the array of its fields, without the last ones that have their default."""
    hints = get_type_hints(cls)
    stored = [(each.name, each.default, _to_json(hints[each.name])) for each in _stored(cls)]

    def write(value: object) -> list[object]:
        values = [getattr(value, name) for name, _, _ in stored]
        while values and stored[len(values) - 1][1] is not MISSING and values[-1] == stored[len(values) - 1][1]:
            values.pop()
        return [
            each if convert is None else convert(each)
            for each, (_, _, convert) in zip(values, stored, strict=False)
        ]  # fmt: skip

    return write


def _to_json(hint: object) -> _Convert | None:
    """How a field is written; None where JSON takes it as it is."""
    if hint is AttemptId:
        return str
    if isinstance(hint, type) and issubclass(hint, Enum):
        return None  # text enums are text
    if isinstance(hint, type) and is_dataclass(hint):
        return _writer(hint)
    if get_origin(hint) is tuple:
        each = _to_json(get_args(hint)[0])
        return None if each is None else lambda values: [each(value) for value in values]  # type: ignore[attr-defined]
    if (inner := _optional(hint)) is not None:
        return _optionally(_to_json(inner))
    return None


def _optionally(convert: _Convert | None) -> _Convert | None:
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)


def _optional(hint: object) -> object | None:
    """X of `X | None`, else None."""
    if not isinstance(hint, UnionType):
        return None
    inner = [each for each in get_args(hint) if each is not NoneType]
    return inner[0] if len(inner) == 1 else None


def _named(value: object) -> dict[str, object]:
    """A dataclass as an object of JSON, for readers that do not know the order of its fields."""
    return {each.name: _plain(getattr(value, each.name)) for each in _stored(type(value))}


def _plain(value: object) -> object:
    if isinstance(value, AttemptId):
        return str(value)
    if is_dataclass(value):
        return _named(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value

"""Events, records and effects as compact JSON and back, exactly. Pure.

Rule: each is the name of a type and the array of its fields (`core/codec.py`). A field may be added at the end, with a
default, and what an older version wrote still reads; what a newer version wrote is refused as `NewerFormat`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, get_args

from interlock.core.codec import ClosedList, array_reader, array_writer, require_typed
from interlock.core.effects import Effect
from interlock.core.events import Event, Recorded
from interlock.text.cleaning import clean

_NAMES = ("agent", "branch", "commit", "gate", "input_tree", "model", "sandbox", "source", "stage", "tree", "worker")

parse_json = json.JSONDecoder().raw_decode
dump_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def kind_of(event: Event) -> str:
    """The name that the journal keeps an event under."""
    return type(event).__name__


def encode_event(event: Event) -> str:
    """The body of an event, ASCII without spaces. Raises ValueError for a number that is not finite."""
    return dump_json(array_writer(type(event))(event))  # type: ignore[arg-type]


def decode_event(kind: str, body: str) -> Event:
    """The event again, equal to what was encoded. Raises NewerFormat, ValueError, TypeError, KeyError."""
    return event_readers()[kind](parse_json(body)[0])


def told_event(kind: str, body: str) -> Event:
    """As `decode_event`; whatever was written by others, each field has its type, and no name steers a terminal."""
    event = decode_event(kind, body)
    require_typed(event)
    _require_plain(event)
    return event


def encode_record(record: Recorded) -> str:
    """Seq, time, kind and fields in one array, ASCII without spaces. Raises ValueError as `encode_event`."""
    event = record.event
    return dump_json([record.seq, record.at, kind_of(event), array_writer(type(event))(event)])  # type: ignore[arg-type]


def decode_record(text: str) -> Recorded:
    """The record again, as `told_event`. Raises NewerFormat, ValueError, TypeError, KeyError."""
    seq, at, kind, fields = json.loads(text)
    record = Recorded(seq, at, event_readers()[kind](fields))
    require_typed(record)
    _require_plain(record.event)
    return record


def encode_effect(effect: Effect) -> str:
    """Kind and fields in one array, ASCII without spaces. Raises ValueError for a number that is not finite."""
    return dump_json([type(effect).__name__, array_writer(type(effect))(effect)])  # type: ignore[arg-type]


def decode_effect(text: str) -> Effect:
    """The effect again, equal to what was encoded. Raises NewerFormat, ValueError, TypeError."""
    kind, fields = json.loads(text)
    return _effect_readers()[kind](fields)


def _require_plain(event: Event) -> None:
    """Raises ValueError for a name with a character that steers a terminal: names are shown as they are."""
    for name in _NAMES:
        text = getattr(event, name, "")
        if not (text.isascii() and text.isprintable()) and (clean(text) != text or "\n" in text):
            raise ValueError(f"{kind_of(event)}.{name} is {text!r:.80}")


@cache
def event_readers() -> ClosedList[Callable[[list[Any]], Event]]:
    return ClosedList("an event", {cls.__name__: array_reader(cls) for cls in get_args(Event)})


@cache
def _effect_readers() -> ClosedList[Callable[[list[Any]], Effect]]:
    return ClosedList("an effect", {cls.__name__: array_reader(cls) for cls in get_args(Effect)})

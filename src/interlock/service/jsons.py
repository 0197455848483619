"""Values as versioned JSON. Rule: the shape is that of the views and events; a new meaning is a new version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from interlock.core.events import Recorded
from interlock.core.ids import AttemptId

VERSION = 1


def document(**parts: object) -> str:
    """`{"version": 1, ...}`, indented for people."""
    return json.dumps({"version": VERSION, **{name: plainly(part) for name, part in parts.items()}}, indent=2)


def line(**parts: object) -> str:
    """The same as one line, for those who follow."""
    return json.dumps({"version": VERSION, **{name: plainly(part) for name, part in parts.items()}})


def event_line(run: str, record: Recorded) -> str:
    """An event of the journal as a line of NDJSON."""
    return line(run=run, seq=record.seq, at=record.at, kind=type(record.event).__name__, event=record.event)


def plainly(value: object) -> object:
    """Dataclasses as objects, attempts by their names, enums by their values."""
    if isinstance(value, AttemptId):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {known.name: plainly(getattr(value, known.name)) for known in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plainly(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plainly(item) for item in value]
    return value

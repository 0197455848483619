"""The stored form of events and answers: the text of `core/wire.py`, with a version.

A field with a default may be added at the end, and old histories can still be read. Any other change of an event needs
a higher `VERSION` and a step that converts older bodies. A history of a newer version is rejected with a message.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass

from interlock.core.codec import NewerFormat, array_reader, array_writer
from interlock.core.events import Event, Recorded
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.core.values import constructor
from interlock.core.wire import decode_event, dump_json, event_readers, kind_of, parse_json
from interlock.ports import Damaged, InfrastructureError

VERSION = 1

Row = tuple[int, float, str, int, str, bytes]  # seq, at, kind, version, body, digest

_UNREADABLE = (KeyError, TypeError, ValueError, IndexError)  # what reading raises for what cannot be read
_recorded = constructor(Recorded)


def decode(kind: str, version: int, body: str) -> Event:
    """The event that was encoded. Raises InfrastructureError if it cannot be read."""
    try:
        _check_version(version)
        return decode_event(kind, body)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(kind, version, error) from error


def decode_rows(rows: Sequence[Row]) -> list[Recorded]:
    """As `decode`, for many events. Raises InfrastructureError that names the first row that cannot be read."""
    with _collector_paused():
        try:
            return _decode_at_once(rows)
        except (InfrastructureError, *_UNREADABLE):
            return _decode_one_by_one(rows)


def _decode_at_once(rows: Sequence[Row]) -> list[Recorded]:
    """All bodies are parsed as one array, in half the time."""
    readers, recorded = event_readers(), _recorded
    bodies = json.loads(f"[{','.join([row[4] for row in rows])}]")
    for row in rows:
        if row[3] > VERSION:
            _check_version(row[3])
    return [
        recorded(seq, at, readers[kind](body))
        for (seq, at, kind, _, _, _), body in zip(rows, bodies, strict=True)
    ]  # fmt: skip


def _decode_one_by_one(rows: Iterable[Row]) -> list[Recorded]:
    recorded = []
    for seq, at, kind, version, body, _ in rows:
        try:
            _check_version(version)
            recorded.append(_recorded(seq, at, decode_event(kind, body)))
        except _UNREADABLE as error:
            raise _unreadable(f"{kind} at {seq}", version, error) from error
    return recorded


def encode_answer(answer: Answer) -> str:
    """The body of an answer."""
    return dump_json(array_writer(Answer)(answer))


def decode_answer(version: int, body: str) -> Answer:
    """The answer that was encoded. Raises InfrastructureError if it cannot be read."""
    try:
        _check_version(version)
        answer: Answer = array_reader(Answer)(parse_json(body)[0])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("Answer", version, error) from error
    return answer


def export(run: str, history: Iterable[Recorded]) -> Iterator[str]:
    """The raw history for other programs: one JSON object per line, fields by name, attempts as text."""
    for recorded in history:
        head = {"version": VERSION, "run": run, "seq": recorded.seq, "at": recorded.at}
        yield json.dumps({**head, "event": kind_of(recorded.event), **_named(recorded.event)})


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: decoding makes no garbage, and the collector took two thirds of the time."""
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
    if isinstance(error, NewerFormat):
        return InfrastructureError(
            f"the history was written by a newer Interlock ({what}: {error}): upgrade Interlock", permanent=True
        )
    return Damaged(
        f"the journal holds {what} (format {version}) that cannot be read ({type(error).__name__}: {error}):"
        " it is damaged, or written by another program"
    )


def _named(value: object) -> dict[str, object]:
    """A dataclass as a JSON object, for readers that do not know the order of its fields."""
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}  # type: ignore[arg-type]


def _plain(value: object) -> object:
    if isinstance(value, AttemptId):
        return str(value)
    if is_dataclass(value):
        return _named(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value

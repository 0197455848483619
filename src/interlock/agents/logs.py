"""Reading what a program printed, or wrote to its own log: JSON lines, their fields, the end of a file, and lines for
people.

Rule: a line of an unknown shape is shown as it was printed.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from interlock.conventions.programs import PROGRAMS

Event = Mapping[str, object]
_TAIL_BYTES = 100_000
_EVENT_BYTES_MAX, _EVENTS_BYTES_MAX = 50_000_000, 500_000_000
_OUTPUT_LINES_MAX = 5  # of a tool
_LINE_MAX = 400
_NUMBER_MAX = 1e11


def events(log: Path) -> Iterator[Event]:
    """Each line of the log that is a whole JSON object, of its first `_EVENTS_BYTES_MAX` bytes."""
    left = _EVENTS_BYTES_MAX
    try:
        with _opened(log) as file:
            while left > 0 and (line := file.readline(_EVENT_BYTES_MAX)):
                left -= len(line)
                if line.lstrip().startswith(b"{"):
                    yield from _event(line)
    except OSError:
        return


def last_events(log: Path) -> Iterator[Event]:
    """The events at the end of the log."""
    for line in tail(log).encode("utf-8", "replace").splitlines():
        if line.startswith(b"{"):
            yield from _event(line)


def tail(path: Path, state: Path | None = None) -> str:
    """The end of a log; empty if there is none. `state`: it is in this state of a program, which may be at work: a log
    outside, to which a link leads, is none."""
    if state is not None and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(state.parent)):
        return ""
    try:
        with _opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _opened(path: Path) -> BinaryIO:
    """A regular file: who opens a fifo may wait forever. Raises OSError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file")
    return file


def inner(event: Event, *names: str) -> Event:
    """The object at the path `names`; empty if there is none."""
    for name in names:
        value = event.get(name)
        event = cast(Event, value) if isinstance(value, dict) else {}
    return event


def text(event: Event, name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def count(event: Event, *names: str) -> int | None:
    """The sum of the counts in these fields; None if none of them holds one."""
    found = [v for v in map(event.get, names) if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 10**15]
    return sum(found) if found else None


def number(event: Event, name: str) -> float | None:
    """The number in this field: a cost, a time. None if it holds none, or one that no program can mean."""
    value = event.get(name)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _NUMBER_MAX
    return float(cast(float, value)) if whole else None


class _Renderer(Protocol):
    def render(self, event: Event) -> Iterator[str]: ...


def readable(log: str) -> str:
    """`log` for people: each event as its text and tool calls, as the `render` of its program's kind shows it. Events
    without any are left out."""
    return "\n".join(shown for line in log.splitlines() for shown in _rendered(line))


def tool_call(tool: str, argument: str) -> str:
    return f"> {tool}: {_cut(argument)}" if argument else f"> {tool}"


def tool_output(output: str) -> Iterator[str]:
    """The first lines of what a tool returned."""
    lines = output.strip("\n").splitlines()
    yield from (f"  {_cut(line)}" for line in lines[:_OUTPUT_LINES_MAX])
    if len(lines) > _OUTPUT_LINES_MAX:
        yield f"  ... {len(lines) - _OUTPUT_LINES_MAX} more lines: --raw has all"


def _rendered(line: str) -> Iterator[str]:
    event = next(_event(line.encode("utf-8", "surrogatepass")), None) if line.startswith("{") else None
    kind = next((one.name for one in PROGRAMS if event is not None and text(event, "type") in one.renders), "")
    if event is None or not kind:
        yield line
    else:
        yield from cast(_Renderer, import_module(f"interlock.agents.kinds.{kind}")).render(event)


def _event(line: bytes) -> Iterator[Event]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield cast(Event, value)


def _cut(line: str) -> str:
    line = " ".join(line.split()) if "\n" in line else line
    return line if len(line) <= _LINE_MAX else f"{line[: _LINE_MAX - 4]} ..."

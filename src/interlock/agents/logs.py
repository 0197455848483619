"""What a program printed or keeps for itself, read: JSON lines, their fields, and the end of a log.

What an agent's program printed, as words: the streams of JSON of claude and codex become plain lines.

Rule: told by its shape, line by line; what has no known shape stays as it was printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

Event = Mapping[str, object]
_TAIL_BYTES = 100_000


def events(log: Path) -> Iterator[Event]:
    """Each line of the log that is a JSON object. Others, and what was cut, are passed over."""
    try:
        with log.open("rb") as file:
            for line in file:
                if line.lstrip().startswith(b"{"):
                    yield from _event(line)
    except OSError:
        return


def late_events(log: Path) -> Iterator[Event]:
    """Those at the end of the log."""
    for line in tail(log).encode("utf-8", "replace").splitlines():
        if line.startswith(b"{"):
            yield from _event(line)


def tail(path: Path) -> str:
    """The end of a log that the program keeps for itself, empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def inner(event: Event, *names: str) -> Event:
    """The object below `names`, empty where there is none."""
    for name in names:
        value = event.get(name)
        event = cast(Event, value) if isinstance(value, dict) else {}
    return event


def text(event: Event, name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def count(event: Event, *names: str) -> int | None:
    """The sum of the numbers that are there, None where none is."""
    found = [v for v in map(event.get, names) if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 10**15]
    return sum(found) if found else None


def _event(line: bytes) -> Iterator[Event]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield cast(Event, value)


_LINES_MAX = 5  # of what a tool answered
_LINE_MAX = 400


def in_words(log: str) -> str:
    """`log` with each event as the words and tool calls that it tells; events that tell nothing go."""
    return "\n".join(part for line in log.splitlines() for part in _line(line))


def _line(line: str) -> Iterator[str]:
    event = _parsed(line)
    match text(event, "type"):
        case "system" | "assistant" | "user" | "result" | "rate_limit_event":
            yield from _of_claude(event)
        case "thread.started" | "turn.started" | "turn.completed" | "item.started" | "item.updated":
            return
        case "item.completed" | "turn.failed" | "error":
            yield from _of_codex(event)
        case _:
            yield line


def _parsed(line: str) -> Event:
    """Empty where it is no object."""
    if not line.startswith("{"):
        return {}
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _of_claude(event: Event) -> Iterator[str]:
    match text(event, "type"):
        case "system" if text(event, "subtype") == "init":
            yield f"model {text(event, 'model')}"
        case "assistant" | "user":
            content = inner(event, "message").get("content")
            for part in content if isinstance(content, list) else ():
                yield from _of_part(part) if isinstance(part, dict) else ()
        case "result":
            said = f": {text(event, 'result')}" if event.get("is_error") else ""
            yield f"ended: {text(event, 'subtype')}{said}"
        case _:
            return


def _of_part(part: Event) -> Iterator[str]:
    match text(part, "type"):
        case "text":
            yield text(part, "text")
        case "tool_use":
            given = inner(part, "input")
            named = next((text(given, key) for key in ("command", "file_path", "path", "pattern") if key in given), "")
            yield _called(text(part, "name"), named or (json.dumps(given, ensure_ascii=False) if given else ""))
        case "tool_result":
            said = part.get("content")
            parts = said if isinstance(said, list) else ()
            texts = [text(one, "text") for one in parts if isinstance(one, dict)]
            yield from _answered(said if isinstance(said, str) else "\n".join(texts))
        case _:
            return


def _of_codex(event: Event) -> Iterator[str]:
    if text(event, "type") != "item.completed":
        yield f"error: {text(event, 'message') or text(inner(event, 'error'), 'message')}"
        return
    item = inner(event, "item")
    match text(item, "type"):
        case "command_execution":
            yield _called("run", text(item, "command"))
            yield from _answered(text(item, "aggregated_output"))
            if item.get("exit_code"):
                yield f"  exit code {item['exit_code']}"
        case "file_change":
            changes = item.get("changes")
            for change in changes if isinstance(changes, list) else ():
                if isinstance(change, dict):
                    yield _called(text(change, "kind") or "change", text(change, "path"))
        case "mcp_tool_call":
            yield _called(text(item, "tool"), json.dumps(item.get("arguments") or {}, ensure_ascii=False))
        case "error":
            yield f"error: {text(item, 'message')}"
        case _ if text(item, "text"):
            yield text(item, "text")
        case _:
            return


def _called(tool: str, given: str) -> str:
    return f"> {tool}: {_cut(given)}" if given else f"> {tool}"


def _answered(said: str) -> Iterator[str]:
    lines = said.strip("\n").splitlines()
    yield from (f"  {_cut(line)}" for line in lines[:_LINES_MAX])
    if len(lines) > _LINES_MAX:
        yield f"  ... {len(lines) - _LINES_MAX} more lines: --raw has all"


def _cut(line: str) -> str:
    line = " ".join(line.split()) if "\n" in line else line
    return line if len(line) <= _LINE_MAX else f"{line[: _LINE_MAX - 4]} ..."

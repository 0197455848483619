"""What an agent's program printed, as words: the streams of JSON of claude and codex become plain lines.

Rule: told by its shape, line by line; what has no known shape stays as it was printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from interlock.agents.logs import Event, inner, text

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

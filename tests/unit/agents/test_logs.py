"""Logs for people: streams of JSON become text and tool calls."""

from __future__ import annotations

import json

from interlock.agents.logs import readable


def lines(*events: object) -> list[str]:
    return readable("\n".join(one if isinstance(one, str) else json.dumps(one) for one in events)).splitlines()


def of_claude(*content: object, role: str = "assistant") -> dict[str, object]:
    return {"type": role, "message": {"content": list(content)}}


def test_events_of_claude_are_shown_as_text_and_tool_calls() -> None:
    answer = "\n".join(f"line {number}" for number in range(9))
    assert lines(
        {"type": "system", "subtype": "init", "model": "m-1"},
        of_claude({"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "I look\nfirst."}),
        of_claude({"type": "tool_use", "name": "Bash", "input": {"command": "pytest -q", "description": "x"}}),
        of_claude({"type": "tool_result", "content": answer}, role="user"),
        of_claude({"type": "tool_use", "name": "Edit", "input": {"file_path": "a.py", "old_string": "x"}}),
        of_claude({"type": "tool_result", "content": [{"type": "text", "text": "done"}]}, role="user"),
        {"type": "result", "subtype": "success", "is_error": False, "result": "said before"},
    ) == [
        "model m-1",
        "I look",
        "first.",
        "> Bash: pytest -q",
        *(f"  line {number}" for number in range(5)),
        "  ... 4 more lines: --raw has all",
        "> Edit: a.py",
        "  done",
        "ended: success",
    ]


def test_events_of_codex_are_shown_as_text_and_tool_calls() -> None:
    ran = {"type": "command_execution", "command": "ls", "aggregated_output": "a\nb\n", "exit_code": 2}
    changed = {"type": "file_change", "changes": [{"path": "a.py", "kind": "update"}]}
    said = {"type": "agent_message", "text": "Done."}
    assert lines(
        {"type": "thread.started", "thread_id": "t"},
        *({"type": "item.completed", "item": item} for item in (ran, changed, said)),
        {"type": "turn.failed", "error": {"message": "no key"}},
    ) == ["> run: ls", "  a", "  b", "  exit code 2", "> update: a.py", "Done.", "error: no key"]


def test_other_lines_stay_as_printed() -> None:
    odd = ["plain words", '{"type": "assistant"', '{"level": "info"}', "[1, 2]", "{}", '{"type": "own"}']
    assert lines(*odd) == odd
    for event in ({"type": "assistant", "message": 3}, of_claude(3, None), {"type": "item.completed", "item": []}):
        assert lines(event) == []


def test_an_error_of_another_shape_keeps_its_words() -> None:
    event = {"type": "error", "text": "from my own agent"}
    assert lines(event) == [f"error: {json.dumps(event)}"]

"""What a tool answers is safe to read, whoever wrote it."""

from __future__ import annotations

import json

from mcp_types import CallToolResult, TextContent

from interlock.mcp.tool import ToolError, refused, result

_HOSTILE = "a\x1b[31mb\u202e\u200b\u2066c\u2028\U000e0041\xad\x07d\ttab"
_SAFE = "abc\nd\ttab"


def text_of(answered: CallToolResult) -> str:
    (content,) = answered.content
    assert isinstance(content, TextContent)
    return content.text


def test_a_document_is_the_same_in_text_and_data_and_hides_nothing() -> None:
    answered = result({"task": _HOSTILE, "waits": [{"detail": _HOSTILE, "line": 3}], _HOSTILE: [_HOSTILE], "no": None})
    shown = {"task": _SAFE, "waits": [{"detail": _SAFE, "line": 3}], _SAFE: [_SAFE], "no": None}
    assert answered.structured_content == shown
    assert json.loads(text_of(answered)) == shown


def test_text_and_errors_hide_nothing() -> None:
    assert text_of(result(_HOSTILE)) == _SAFE
    assert text_of(refused(ToolError(_HOSTILE))) == _SAFE
    assert text_of(result("\n::error::x\n")) == "\n::error::x\n"  # a page is not cut or marked

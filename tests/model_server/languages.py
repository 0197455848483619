"""Chat Completions, Responses, Anthropic Messages and Gemini: requests read, and answers written as streams."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.model_server.script import MARKER, Reply, Request, Served


def read(path: str, body: Mapping[str, Any]) -> Request:
    api = _api(path)
    newest = next((text for text in reversed(_texts(body)) if MARKER.search(text)), "")
    model = str(body.get("model") or path.rpartition("/")[2].partition(":")[0])
    return Request(api, model, newest, json.dumps(body), frozenset(_tools(body)))


def write(request: Request, reply: Reply, served: Served, *, stream: bool) -> tuple[str, list[str]]:
    """Content type and the pieces of the body, in order."""
    return {"chat": _chat, "responses": _responses, "anthropic": _anthropic, "gemini": _gemini}[request.api](
        reply, served, stream
    )


def _api(path: str) -> str:
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/responses"):
        return "responses"
    return "anthropic" if "/messages" in path else "gemini"


def _texts(body: Mapping[str, Any]) -> list[str]:
    """What the user said, in order."""
    said: Sequence[Any] = body.get("messages") or body.get("input") or body.get("contents") or ()
    if isinstance(said, str):
        return [said]
    return [json.dumps(one) for one in said if isinstance(one, dict) and one.get("role") == "user"]


def _tools(body: Mapping[str, Any]) -> list[str]:
    names = []
    for tool in body.get("tools") or ():
        for one in tool.get("functionDeclarations") or (tool.get("function") or tool,):
            names.append(str(one.get("name") or one.get("type")))
    return names


def _sse(events: Sequence[Mapping[str, Any]], *, named: bool) -> list[str]:
    return [(f"event: {one['type']}\n" if named else "") + f"data: {json.dumps(one)}\n\n" for one in events]


def _chat(reply: Reply, served: Served, stream: bool) -> tuple[str, list[str]]:
    usage = {
        "prompt_tokens": served.tokens_in,
        "completion_tokens": served.tokens_out,
        "total_tokens": served.tokens_in + served.tokens_out,
        "prompt_tokens_details": {"cached_tokens": served.tokens_cached},
    }
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.tool:
        call = {"name": reply.tool, "arguments": json.dumps(reply.arguments)}
        message["tool_calls"] = [{"index": 0, "id": reply.call, "type": "function", "function": call}]
    end = "tool_calls" if reply.tool else "stop"
    head = {"id": "chatcmpl-1", "created": 1, "model": served.model}
    if not stream:
        choice = {"index": 0, "message": message, "finish_reason": end}
        return "application/json", [
            json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        ]
    head["object"] = "chat.completion.chunk"
    events = [
        {**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": end}]},
        {**head, "choices": [], "usage": usage},
    ]
    return "text/event-stream", [*_sse(events, named=False), "data: [DONE]\n\n"]


def _named(tool: str) -> dict[str, str]:
    """A tool of an MCP server has its server as a namespace."""
    namespace, _, name = tool.rpartition("__")
    return {"namespace": namespace, "name": name} if tool.startswith("mcp__") else {"name": tool}


def _responses(reply: Reply, served: Served, stream: bool) -> tuple[str, list[str]]:
    if reply.tool:
        arguments = json.dumps(reply.arguments)
        item = {"type": "function_call", "id": "fc_1", "call_id": reply.call, **_named(reply.tool)}
        item |= {"arguments": arguments, "status": "completed"}
    else:
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}  # type: ignore[dict-item]
    usage = {
        "input_tokens": served.tokens_in,
        "input_tokens_details": {"cached_tokens": served.tokens_cached},
        "output_tokens": served.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": served.tokens_in + served.tokens_out,
    }
    whole = {"id": "resp_1", "object": "response", "model": served.model, "status": "completed"}
    whole |= {"output": [item], "usage": usage}  # type: ignore[dict-item]
    if not stream:
        return "application/json", [json.dumps(whole)]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return "text/event-stream", _sse(events, named=True)


def _anthropic(reply: Reply, served: Served, stream: bool) -> tuple[str, list[str]]:
    given = {
        "input_tokens": served.tokens_in - served.tokens_cached,
        "cache_read_input_tokens": served.tokens_cached,
        "cache_creation_input_tokens": 0,
    }
    end = "tool_use" if reply.tool else "refusal" if reply.refused else "end_turn"
    block: dict[str, Any] = {"type": "text", "text": reply.text}
    if reply.tool:
        block = {"type": "tool_use", "id": reply.call, "name": reply.tool, "input": reply.arguments}
    head = {"id": f"msg_{served.tokens_in}", "type": "message", "role": "assistant", "model": served.model}
    if not stream:
        usage = {**given, "output_tokens": served.tokens_out}
        whole = {**head, "content": [block], "stop_reason": end, "stop_sequence": None, "usage": usage}
        return "application/json", [json.dumps(whole)]
    empty = {**block, "input": {}} if reply.tool else {**block, "text": ""}
    delta = {"type": "text_delta", "text": reply.text}
    if reply.tool:
        delta = {"type": "input_json_delta", "partial_json": json.dumps(reply.arguments)}
    begun = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
    done = {"stop_reason": end, "stop_sequence": None}
    events = [
        {"type": "message_start", "message": {**begun, "usage": {**given, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": done, "usage": {"output_tokens": served.tokens_out}},
        {"type": "message_stop"},
    ]
    return "text/event-stream", _sse(events, named=True)


def _gemini(reply: Reply, served: Served, stream: bool) -> tuple[str, list[str]]:
    part: dict[str, Any] = {"text": reply.text}
    if reply.tool:
        part = {"functionCall": {"id": reply.call, "name": reply.tool, "args": reply.arguments}}
    whole = {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": served.tokens_in,
            "candidatesTokenCount": served.tokens_out,
            "cachedContentTokenCount": served.tokens_cached,
            "totalTokenCount": served.tokens_in + served.tokens_out,
        },
        "modelVersion": served.model,
    }
    if stream:
        return "text/event-stream", _sse([whole], named=False)
    return "application/json", [json.dumps(whole)]

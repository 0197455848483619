"""Chat Completions, Responses, Anthropic Messages and Gemini: requests read, and answers written as streams.

Rule: a stream comes in small pieces, and tells usage where its provider does: Chat Completions in a last chunk, to who
asked for it; Responses at the end; Anthropic at the start and at the end; Gemini in each chunk, grown by then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.model_server.script import MARKER, Reply, Request, Served


def read(path: str, body: Mapping[str, Any]) -> Request:
    api = _api(path)
    newest = next((text for text in reversed(_texts(body)) if MARKER.search(text)), "")
    model = str(body.get("model") or path.rpartition("/")[2].partition(":")[0])
    asks_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    return Request(api, model, newest, json.dumps(body), frozenset(_tools(body)), asks_usage)


def write(request: Request, reply: Reply, served: Served, *, stream: bool) -> tuple[str, list[str]]:
    """Content type and the pieces of the body, in order."""
    if request.api == "chat":
        return _chat(reply, served, stream, asks_usage=request.asks_usage)
    return {"responses": _responses, "anthropic": _anthropic, "gemini": _gemini}[request.api](reply, served, stream)


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


def _small(text: str) -> list[str]:
    """Pieces of a few characters, thirty at most."""
    size = max(5, len(text) // 30 + 1)
    return [text[at : at + size] for at in range(0, len(text), size)]


def _sse(events: Sequence[Mapping[str, Any]], *, named: bool) -> list[str]:
    return [(f"event: {one['type']}\n" if named else "") + f"data: {json.dumps(one)}\n\n" for one in events]


def _chat(reply: Reply, served: Served, stream: bool, *, asks_usage: bool) -> tuple[str, list[str]]:
    usage = {
        "prompt_tokens": served.tokens_in,
        "completion_tokens": served.tokens_out,
        "total_tokens": served.tokens_in + served.tokens_out,
        "prompt_tokens_details": {"cached_tokens": served.tokens_cached},
    }
    end = "tool_calls" if reply.tool else "content_filter" if reply.filtered else "stop"
    head = {"id": f"chatcmpl-{served.tokens_in}", "created": 1, "model": served.model}
    if not stream:
        message: dict[str, Any] = {"role": "assistant", "content": None if reply.refused else reply.text or None}
        message |= {"refusal": reply.text} if reply.refused else {}
        if reply.tool:
            message["tool_calls"] = [_chat_call(reply, json.dumps(reply.arguments))]
        choice = {"index": 0, "message": message, "finish_reason": end}
        whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return "application/json", [json.dumps(whole)]
    head["object"] = "chat.completion.chunk"
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"refusal" if reply.refused else "content": part} for part in _small(reply.text)]
    if reply.tool:
        deltas.append({"tool_calls": [_chat_call(reply, "")]})
        pieces = _small(json.dumps(reply.arguments))
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    events = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
    events += [{**head, "choices": [], "usage": usage}] if asks_usage else []
    return "text/event-stream", [*_sse(events, named=False), "data: [DONE]\n\n"]


def _chat_call(reply: Reply, arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": reply.call, "type": "function", "function": {"name": reply.tool, "arguments": arguments}}


def _named(tool: str) -> dict[str, str]:
    """A tool of an MCP server has its server as a namespace."""
    namespace, _, name = tool.rpartition("__")
    return {"namespace": namespace, "name": name} if tool.startswith("mcp__") else {"name": tool}


def _responses(reply: Reply, served: Served, stream: bool) -> tuple[str, list[str]]:
    arguments = json.dumps(reply.arguments)
    item: dict[str, Any]
    if reply.tool:
        item = {"type": "function_call", "id": "fc_1", "call_id": reply.call, **_named(reply.tool)}
        item |= {"arguments": arguments, "status": "completed"}
    else:
        said = {"type": "output_text", "text": reply.text, "annotations": []}
        content = {"type": "refusal", "refusal": reply.text} if reply.refused else said
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [content]}
    usage = {
        "input_tokens": served.tokens_in,
        "input_tokens_details": {"cached_tokens": served.tokens_cached},
        "output_tokens": served.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": served.tokens_in + served.tokens_out,
    }
    whole = {"id": "resp_1", "object": "response", "model": served.model, "status": "completed"}
    whole |= {"output": [item], "usage": usage}
    if reply.filtered:
        whole |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    if not stream:
        return "application/json", [json.dumps(whole)]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": item["id"], "output_index": 0}
    told = "response.function_call_arguments.delta" if reply.tool else "response.output_text.delta"
    told = "response.refusal.delta" if reply.refused else told
    empty = {**item, "status": "in_progress", **({"arguments": ""} if reply.tool else {"content": []})}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        *(
            {"type": told, **place, "content_index": 0, "delta": part}
            for part in _small(arguments if reply.tool else reply.text)
        ),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{whole['status']}", "response": whole},
    ]
    return "text/event-stream", _sse(events, named=True)


def _anthropic(reply: Reply, served: Served, stream: bool) -> tuple[str, list[str]]:
    given = {
        "input_tokens": served.tokens_in - served.tokens_cached,
        "cache_read_input_tokens": served.tokens_cached,
        "cache_creation_input_tokens": 0,
    }
    end = "tool_use" if reply.tool else "refusal" if reply.refused or reply.filtered else "end_turn"
    block: dict[str, Any] = {"type": "text", "text": reply.text}
    if reply.tool:
        block = {"type": "tool_use", "id": reply.call, "name": reply.tool, "input": reply.arguments}
    head = {"id": f"msg_{served.tokens_in}", "type": "message", "role": "assistant", "model": served.model}
    if not stream:
        usage = {**given, "output_tokens": served.tokens_out}
        whole = {**head, "content": [block], "stop_reason": end, "stop_sequence": None, "usage": usage}
        return "application/json", [json.dumps(whole)]
    empty = {**block, "input": {}} if reply.tool else {**block, "text": ""}
    deltas = [{"type": "text_delta", "text": part} for part in _small(reply.text)]
    if reply.tool:
        pieces = _small(json.dumps(reply.arguments))
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    begun = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
    done = {"stop_reason": end, "stop_sequence": None}
    events = [
        {"type": "message_start", "message": {**begun, "usage": {**given, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": done, "usage": {"output_tokens": served.tokens_out}},
        {"type": "message_stop"},
    ]
    return "text/event-stream", _sse(events, named=True)


def _gemini(reply: Reply, served: Served, stream: bool) -> tuple[str, list[str]]:
    parts: list[dict[str, Any]] = [{"text": part} for part in (_small(reply.text) if stream else [reply.text])]
    if reply.tool:
        parts = [{"functionCall": {"id": reply.call, "name": reply.tool, "args": reply.arguments}}]
    if reply.filtered:
        parts = [{}]
    chunks = [_gemini_chunk(part, served, share=(at + 1) / len(parts)) for at, part in enumerate(parts)]
    last = chunks[-1]["candidates"][0]
    last["finishReason"] = "SAFETY" if reply.refused or reply.filtered else "STOP"
    if stream:
        return "text/event-stream", _sse(chunks, named=False)
    return "application/json", [json.dumps(chunks[0])]


def _gemini_chunk(part: Mapping[str, Any], served: Served, *, share: float) -> dict[str, Any]:
    written = int(served.tokens_out * share)
    content = {"role": "model", "parts": [part]} if part else {"role": "model"}
    return {
        "candidates": [{"index": 0, "content": content}],
        "usageMetadata": {
            "promptTokenCount": served.tokens_in,
            "candidatesTokenCount": written,
            "cachedContentTokenCount": served.tokens_cached,
            "totalTokenCount": served.tokens_in + written,
        },
        "modelVersion": served.model,
    }

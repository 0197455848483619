"""Claude Code: `claude -p` with a JSON stream. It succeeded if its `result` has `is_error: false`."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path

from interlock.agents.credentials import write_private
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, last_events, number, text, tool_call, tool_output
from interlock.agents.program import SERVER, TOOL, Check
from interlock.agents.retries import RETRY_WAIT_MAX_S, Session
from interlock.core.events import Usage
from interlock.ports import Agent

_QUIET = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS",  # else `@path` in the brief reads a file
)  # fmt: skip
_KEY, _TOKEN = "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"
_AGAIN = "api_retry"  # a failed call of the model that it retries
_PERMANENT = (401, 403)
_OWN = "<synthetic>"  # the model of a message that it wrote by itself
_ALWAYS = ("-p", "--output-format", "stream-json", "--verbose", "--strict-mcp-config", "--setting-sources=")


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    kind = Kind(
        "claude", _start, _read, login_file=".credentials.json",
        sessions="projects/*/{}.jsonl", resume=_resume, cumulative=frozenset({"cost_usd"}), call_tokens=_call_tokens,
        checks=True, give_up_reason=_give_up_reason,
    )  # fmt: skip
    return Driven(kind, environ)


def _resume(request: AttemptRequest, session: Session) -> None:
    """It finds a session by the folder that it is started in."""
    project = re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath(request.seen(request.tree / request.brief.dir)))
    path = request.state / "projects" / project / f"{session.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(session.content, encoding="utf-8")


def _start(request: AttemptRequest) -> Start:
    mode = ("--tools", "Read,Grep,Glob", "--permission-mode", "dontAsk")
    if not request.reviews:
        tools = f"Bash,mcp__{SERVER}__{TOOL}" if request.check is not None else "Bash"
        mode = ("--permission-mode", "acceptEdits", "--allowedTools", tools)
    model = ("--model", request.brief.model) if request.brief.model else ()
    env = {
        "CLAUDE_CONFIG_DIR": request.seen(request.state),
        "CLAUDE_CODE_MAX_RETRIES": "3",
        **dict.fromkeys(_QUIET, "1"),
    }
    if request.endpoint:
        env["ANTHROPIC_BASE_URL"] = request.endpoint
    servers: tuple[str, ...] = ()
    if request.check is not None:
        servers = ("--mcp-config", request.seen(_servers(request, request.check)))
        env["MCP_TOOL_TIMEOUT"] = str(request.check.timeout_s * 1000)
    remaining = request.brief.remaining.cost_usd
    budget = ("--max-budget-usd", f"{remaining:.4f}") if remaining < inf else ()
    session = ("--resume", request.session.name) if request.session is not None else ()
    settings, hidden = _key(request)
    arguments = (*_ALWAYS, *settings, *mode, *servers, *model, *budget, *session)
    return Start(arguments, env, request.text.encode(), hidden)


def _key(request: AttemptRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """It gets its key from a helper command, or its token from a login file, so that neither is in the environment of
    the commands that it starts. If it has both, it uses the key."""
    if _KEY in request.keys:
        helper = shlex.join(("cat", request.seen(write_private(request.state / "key", request.keys[_KEY]))))
        return ("--settings", json.dumps({"apiKeyHelper": helper})), (_KEY, _TOKEN)
    if _TOKEN in request.keys and not request.login:
        login = {
            "accessToken": request.keys[_TOKEN],
            "refreshToken": None,
            "expiresAt": None,
            "scopes": ["user:inference"],
        }
        write_private(request.state / ".credentials.json", json.dumps({"claudeAiOauth": login}))
        return (), (_TOKEN,)
    return (), ()


def _servers(request: AttemptRequest, check: Check) -> Path:
    path = request.state / "servers.json"
    path.write_text(json.dumps({"mcpServers": {SERVER: {"command": check.program}}}), encoding="utf-8")
    return path


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    result: Event = {}
    limited = 0.0
    refused, model, session, retries, begun = False, "", "", 0, False
    for event in events(log):
        kind = text(event, "type")
        if kind == "result":
            result = event
        elif kind == "assistant":
            refused = text(inner(event, "message"), "stop_reason") == "refusal"
            begun = begun or text(inner(event, "message"), "model") not in ("", _OWN)
        elif kind == "system":
            model = text(event, "model") or model
            session = text(event, "session_id") or session
            retries += text(event, "subtype") == _AGAIN
        elif kind == "rate_limit_event":
            limited = _reset(inner(event, "rate_limit_info")) or limited
    if not result:
        return AgentReport(model=model, session=session, retries=retries, begun=begun)
    return replace(_report(result, limited, refused, model), retries=retries, begun=begun)


def _give_up_reason(request: AttemptRequest, log: Path) -> str:
    """It retries even with a bad key, and waits for as long as a limit tells it to."""
    last: Event = {}
    for event in last_events(log):
        last = event
    if text(last, "subtype") != _AGAIN:
        return ""
    status = count(last, "error_status") or 0
    far = (number(last, "retry_delay_ms") or 0) > RETRY_WAIT_MAX_S * 1000
    return f"API Error: {status} {text(last, 'error')}" if status in _PERMANENT or far else ""


def _report(result: Event, limited: float, refused: bool, model: str) -> AgentReport:
    refused = refused or text(result, "stop_reason") == "refusal"
    done = result.get("is_error") is False
    answer = text(result, "result")
    used = inner(result, "usage")
    cached = count(used, "cache_read_input_tokens")
    tokens_in = count(used, "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    cost_usd = number(result, "total_cost_usd") or None
    return AgentReport(
        done=done or refused,
        refused=refused,
        message=answer,
        error="" if done else answer or text(result, "subtype"),
        status=count(result, "api_error_status") or 0,
        retry_at=limited,
        over_budget=text(result, "subtype") == "error_max_budget_usd",
        usage=Usage(tokens_in, count(used, "output_tokens"), cached, cost_usd),
        model=model,
        session=text(result, "session_id"),
    )


def _call_tokens(event: Event) -> tuple[str, int] | None:
    """In the middle of an answer the output tokens are partial; its last event has the full count."""
    message = inner(event, "message")
    if text(event, "type") != "assistant" or not text(message, "id"):
        return None
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    return text(message, "id"), count(inner(message, "usage"), *names) or 0


def _reset(limit: Event) -> float:
    return float(count(limit, "resetsAt") or 0) if text(limit, "status") == "rejected" else 0.0


def render(event: Event) -> Iterator[str]:
    """The event as lines for people."""
    match text(event, "type"):
        case "system" if text(event, "subtype") == "init":
            yield f"model {text(event, 'model')}"
        case "assistant" | "user":
            content = inner(event, "message").get("content")
            for part in content if isinstance(content, list) else ():
                yield from _rendered_part(part) if isinstance(part, dict) else ()
        case "result":
            error = f": {text(event, 'result')}" if event.get("is_error") else ""
            yield f"ended: {text(event, 'subtype')}{error}"
        case _:
            return


def _rendered_part(part: Event) -> Iterator[str]:
    match text(part, "type"):
        case "text":
            yield text(part, "text")
        case "tool_use":
            given = inner(part, "input")
            named = next((text(given, key) for key in ("command", "file_path", "path", "pattern") if key in given), "")
            yield tool_call(text(part, "name"), named or (json.dumps(given, ensure_ascii=False) if given else ""))
        case "tool_result":
            content = part.get("content")
            parts = content if isinstance(content, list) else ()
            texts = [text(one, "text") for one in parts if isinstance(one, dict)]
            yield from tool_output(content if isinstance(content, str) else "\n".join(texts))
        case _:
            return

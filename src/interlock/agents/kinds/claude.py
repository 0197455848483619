"""Claude Code: `claude -p` with a stream of JSON. It succeeded where its `result` says `is_error: false`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path

from interlock.agents.check_server import SERVER, TOOL, Check
from interlock.agents.credentials import private
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, late_events, text
from interlock.agents.retries import FAR_S, number
from interlock.agents.sessions import Session
from interlock.core.events import Usage
from interlock.ports import Agent

_QUIET = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS",  # `@path` in the brief, or in the work that it shows, reads no file
)  # fmt: skip
_KEY, _TOKEN = "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"
_AGAIN = "api_retry"  # a call of the model that failed, and that it tries again
_FOR_GOOD = (401, 403)
_OWN = "<synthetic>"  # what it says in the place of a model
_ALWAYS = ("-p", "--output-format", "stream-json", "--verbose", "--strict-mcp-config", "--setting-sources=")


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    login = (".claude/.credentials.json", ".credentials.json")
    kind = Kind(
        "claude", _start, _read, login, "CLAUDE_CONFIG_DIR",
        sessions="projects/*/{}.jsonl", resume=_resume, cumulative=frozenset({"cost_usd"}), streamed=_streamed,
        checks=True, of_no_use=_of_no_use,
    )  # fmt: skip
    return Driven(kind, environ)


def _resume(asked: AttemptRequest, session: Session) -> None:
    """It looks for a session by the folder that it is started in."""
    project = re.sub(r"[^A-Za-z0-9]", "-", str((asked.tree / asked.brief.dir).resolve()))
    path = asked.state / "projects" / project / f"{session.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(session.content, encoding="utf-8")


def _start(asked: AttemptRequest) -> Start:
    may = ("--tools", "Read,Grep,Glob", "--permission-mode", "dontAsk")
    if not asked.reviews:
        tools = f"Bash,mcp__{SERVER}__{TOOL}" if asked.check is not None else "Bash"
        may = ("--permission-mode", "acceptEdits", "--allowedTools", tools)
    model = ("--model", asked.brief.model) if asked.brief.model else ()
    env = {"CLAUDE_CONFIG_DIR": str(asked.state), "CLAUDE_CODE_MAX_RETRIES": "3", **dict.fromkeys(_QUIET, "1")}
    if asked.endpoint:
        env["ANTHROPIC_BASE_URL"] = asked.endpoint
    servers: tuple[str, ...] = ()
    if asked.check is not None:
        servers = ("--mcp-config", str(_servers(asked, asked.check)))
        env["MCP_TOOL_TIMEOUT"] = str(asked.check.timeout_s * 1000)
    left = asked.brief.remaining.cost_usd
    budget = ("--max-budget-usd", f"{left:.4f}") if left < inf else ()
    session = ("--resume", asked.session.name) if asked.session is not None else ()
    settings, hidden = _key(asked)
    arguments = (*_ALWAYS, *settings, *may, *servers, *model, *budget, *session)
    return Start(arguments, env, asked.text.encode(), hidden)


def _key(asked: AttemptRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """It asks a helper for its key, or takes a token for a login, so that the commands which it starts have neither in
    their environment. Where it has both, it takes the key."""
    if _KEY in asked.keys:
        helper = shlex.join(("cat", str(private(asked.state / "key", asked.keys[_KEY]))))
        return ("--settings", json.dumps({"apiKeyHelper": helper})), (_KEY, _TOKEN)
    if _TOKEN in asked.keys and not asked.login:
        login = {
            "accessToken": asked.keys[_TOKEN],
            "refreshToken": None,
            "expiresAt": None,
            "scopes": ["user:inference"],
        }
        private(asked.state / ".credentials.json", json.dumps({"claudeAiOauth": login}))
        return (), (_TOKEN,)
    return (), ()


def _servers(asked: AttemptRequest, check: Check) -> Path:
    path = asked.state / "servers.json"
    path.write_text(json.dumps({"mcpServers": {SERVER: {"command": check.program}}}), encoding="utf-8")
    return path


def _read(asked: AttemptRequest, log: Path) -> AgentReport:
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
    return replace(_told(result, limited, refused, model), retries=retries, begun=begun)


def _of_no_use(asked: AttemptRequest, log: Path) -> str:
    """It tries a bad key again, and waits for as long as a limit said."""
    last: Event = {}
    for event in late_events(log):
        last = event
    if text(last, "subtype") != _AGAIN:
        return ""
    status = count(last, "error_status") or 0
    far = number(last, "retry_delay_ms") > FAR_S * 1000
    return f"API Error: {status} {text(last, 'error')}" if status in _FOR_GOOD or far else ""


def _told(result: Event, limited: float, refused: bool, model: str) -> AgentReport:
    refused = refused or text(result, "stop_reason") == "refusal"
    done = result.get("is_error") is False
    said = text(result, "result")
    used = inner(result, "usage")
    cached = count(used, "cache_read_input_tokens")
    tokens_in = count(used, "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    cost = result.get("total_cost_usd")
    spent = float(cost) if isinstance(cost, int | float) and cost > 0 else None
    return AgentReport(
        done=done or refused,
        refused=refused,
        message=said,
        trouble="" if done else said or text(result, "subtype"),
        status=count(result, "api_error_status") or 0,
        retry_at=limited,
        over_budget=text(result, "subtype") == "error_max_budget_usd",
        usage=Usage(tokens_in, count(used, "output_tokens"), cached, spent),
        model=model,
        session=text(result, "session_id"),
    )


def _streamed(event: Event) -> tuple[str, int] | None:
    """What is said of output in the middle of an answer is partial: the end counts it in full."""
    message = inner(event, "message")
    if text(event, "type") != "assistant" or not text(message, "id"):
        return None
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    return text(message, "id"), count(inner(message, "usage"), *names) or 0


def _reset(limit: Event) -> float:
    return float(count(limit, "resetsAt") or 0) if text(limit, "status") == "rejected" else 0.0

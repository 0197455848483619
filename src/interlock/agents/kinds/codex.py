"""codex: `codex exec --json`, in its own CODEX_HOME. It succeeded if its last event is `turn.completed`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, last_events, text, tool_call, tool_output
from interlock.agents.program import SERVER, TOOL, Check
from interlock.agents.retries import Session, give_up_reason
from interlock.core.events import Usage
from interlock.ports import Agent

_SESSIONS = "sessions/*/*/*/rollout-*{}.jsonl"
_AGAIN = "Reconnecting..."
_NO_NETWORK = "waiting for network"
_TRIES = re.compile(r"Reconnecting\.\.\. \d+/\d+ \((.*)\)\s*\Z", re.S)
_KEYS = ("CODEX_API_KEY", "OPENAI_API_KEY")


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    kind = Kind(
        "codex", _start, _read, login_file="auth.json",
        sessions=_SESSIONS, resume=_resume,
        cumulative=frozenset({"tokens_in", "tokens_out", "tokens_cached"}), checks=True, give_up_reason=_give_up_reason,
    )  # fmt: skip
    return Driven(kind, environ)


def _resume(request: AttemptRequest, session: Session) -> None:
    path = request.state / session.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(session.content, encoding="utf-8")


def _start(request: AttemptRequest) -> Start:
    key = next((name for name in _KEYS if request.brief.env.get(name)), "")
    (request.state / "config.toml").write_text(_config(request, key or "OPENAI_API_KEY"), encoding="utf-8")
    env = {"CODEX_HOME": request.seen(request.state)}
    if key:
        env["CODEX_API_KEY"] = request.brief.env[key]
    sandbox = "read-only" if request.reviews else "workspace-write"
    if request.confined:  # its own sandbox cannot work in ours: its commands would all fail
        sandbox = "danger-full-access"
    common = ("--json", "--skip-git-repo-check")
    arguments: tuple[str, ...] = ("exec", *common, "-s", sandbox, "-")
    if request.session is not None:  # `resume` has no flag for the sandbox; its default is read-only
        arguments = ("exec", "resume", *common, "-c", f'sandbox_mode="{sandbox}"', request.session.name, "-")
    return Start(arguments, env, request.text.encode())


def _config(request: AttemptRequest, key: str) -> str:
    model = f"model = {json.dumps(request.brief.model)}\n" if request.brief.model else ""
    common = (
        "check_for_update_on_startup = false\n"
        'cli_auth_credentials_store = "file"\n'
        "project_doc_max_bytes = 0\n"  # instructions are in the brief
        "[analytics]\nenabled = false\n"
        "[shell_environment_policy]\nignore_default_excludes = true\n"  # it has the stage's already
        f"exclude = {json.dumps([*_KEYS, *request.keys])}\n"
    )
    if request.check is not None:
        common += _server(request.check)
    if not request.endpoint:
        return model + common
    provider = (
        f"[model_providers.own]\nname = {json.dumps('own')}\nbase_url = {json.dumps(request.endpoint + '/v1')}\n"
        f'env_key = {json.dumps(key)}\nwire_api = "responses"\n'
        "request_max_retries = 3\nstream_max_retries = 2\n"
        f"stream_idle_timeout_ms = {(request.brief.idle_timeout_s or request.brief.timeout_s) * 1000}\n"
    )
    return f'{model}model_provider = "own"\n{common}{provider}'


def _server(check: Check) -> str:
    """By default it begins before the server is up, and asks a person before each call."""
    return (
        f"[mcp_servers.{SERVER}]\ncommand = {json.dumps(check.program)}\nrequired = true\n"
        f"enabled_tools = {json.dumps([TOOL])}\n"
        f'default_tools_approval_mode = "approve"\nstartup_timeout_sec = 120\ntool_timeout_sec = {check.timeout_s}\n'
    )


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    session = message = error = last = ""
    usage, begun, retries = Usage(), False, 0
    for event in events(log):
        kind = text(event, "type")
        last = kind or last
        if kind == "thread.started":
            session = text(event, "thread_id")
        elif kind == "item.completed":
            item = inner(event, "item")
            message = text(item, "text") if text(item, "type") == "agent_message" else message
            begun = begun or text(item, "type") != "error"
            error = ""  # it recovered from the error before
        elif kind == "turn.completed":
            usage = _usage(inner(event, "usage"))
        elif kind in ("error", "turn.failed"):
            error = text(event, "message") or text(inner(event, "error"), "message") or error
            retries += error.startswith(_AGAIN)
    done = last == "turn.completed"
    return AgentReport(
        done,
        message=message,
        error="" if done else _plain(error),
        usage=usage if done else _session_usage(request, session),
        session=session,
        begun=begun,
        retries=retries,
    )


def _plain(error: str) -> str:
    """The error inside a message about a retry; for a missing network, the message itself."""
    found = _TRIES.match(error)
    return found[1] if found else error


def _usage(used: Event) -> Usage:
    return Usage(count(used, "input_tokens"), count(used, "output_tokens"), count(used, "cached_input_tokens"))


def _session_usage(request: AttemptRequest, session: str) -> Usage:
    """The usage in its session file, over all turns: a turn that fails does not print its own."""
    used: Event = {}
    for path in sorted(request.state.glob(_SESSIONS.format(session)))[:1] if session else ():
        for event in events(path):
            used = inner(event, "payload", "info", "total_token_usage") or used
    return _usage(used)


def _give_up_reason(request: AttemptRequest, log: Path) -> str:
    """It waits forever for a network, and silently for as long as a limit tells it to."""
    errors: list[str] = []
    begun = False
    for event in last_events(log):
        if text(event, "type") == "error":
            errors.append(text(event, "message"))
        elif text(inner(event, "item"), "type") not in ("", "error"):
            errors, begun = [], True
    if errors and not begun and _NO_NETWORK in errors[-1]:
        return errors[-1]
    return give_up_reason(errors, log)


def render(event: Event) -> Iterator[str]:
    """The event as lines for people."""
    match text(event, "type"):
        case "turn.failed" | "error":
            yield f"error: {text(event, 'message') or text(inner(event, 'error'), 'message') or json.dumps(event)}"
        case "item.completed":
            yield from _rendered_item(inner(event, "item"))
        case _:
            return


def _rendered_item(item: Event) -> Iterator[str]:
    match text(item, "type"):
        case "command_execution":
            yield tool_call("run", text(item, "command"))
            yield from tool_output(text(item, "aggregated_output"))
            if item.get("exit_code"):
                yield f"  exit code {item['exit_code']}"
        case "file_change":
            changes = item.get("changes")
            for change in changes if isinstance(changes, list) else ():
                if isinstance(change, dict):
                    yield tool_call(text(change, "kind") or "change", text(change, "path"))
        case "mcp_tool_call":
            yield tool_call(text(item, "tool"), json.dumps(item.get("arguments") or {}, ensure_ascii=False))
        case "error":
            yield f"error: {text(item, 'message')}"
        case _ if text(item, "text"):
            yield text(item, "text")
        case _:
            return

"""Qwen Code: `qwen -o stream-json`. It succeeded if its `result` is no error, and does not end with one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.isolation import without_mentions
from interlock.agents.logs import Event, count, events, inner, tail, text
from interlock.agents.retries import errors_since_output, give_up_reason
from interlock.core.events import Usage
from interlock.ports import Agent

_SETTINGS = {
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
}
# An error of the endpoint: it is printed as an answer of the model, after what the model had answered.
_ERROR = re.compile(r"\[API Error: (.*)\](?:\n(?:Possible quota|Please wait)[^\n]*)?\s*\Z", re.S)
# In its own log: an error of the endpoint, after which it retries silently.
_FAILURE = re.compile(r"^(\S+) \[ERROR\] .*?(?:OpenAI API Error: |Error: (?=Model stream ended))([^\n]*)", re.M)
_OPENAI = "https://api.openai.com/v1"


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    sums = frozenset({"tokens_in", "tokens_out", "tokens_cached"})
    kind = Kind(
        "qwen",
        _start,
        _read,
        session_in_state=True,
        cumulative=sums,
        call_tokens=_call_tokens,
        give_up_reason=_give_up_reason,
        terminals=True,
    )
    return Driven(kind, environ)


def _start(request: AttemptRequest) -> Start:
    home = request.state / "qwen"
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.json").write_text(json.dumps(_SETTINGS), encoding="utf-8")
    base = f"{request.endpoint}/v1" if request.endpoint else request.brief.env.get("OPENAI_BASE_URL") or _OPENAI
    env = {"QWEN_HOME": request.seen(home), "OPENAI_BASE_URL": base}
    model = ("-m", request.brief.model) if request.brief.model else ()
    _own_log(request).unlink(missing_ok=True)  # the log of the try before
    mode: tuple[str, ...] = ("--approval-mode", "yolo")
    if request.reviews:
        mode = ("--approval-mode", "plan", "--exclude-tools", "edit", "--exclude-tools", "run_shell_command")
    always = ("--bare", "--auth-type", "openai", "--chat-recording", "-o", "stream-json")
    session = ("--resume", request.session.name) if request.session is not None else ()
    return Start((*always, *model, *mode, *session), env, without_mentions(request.text).encode())


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    result: Event = {}
    model, session, whole, begun = "", "", False, False
    for event in events(log):
        match text(event, "type"):
            case "system":
                model = text(event, "model") or model
                session = text(event, "session_id") or session
            case "assistant" if not event.get("parent_tool_use_id"):
                whole = bool(count(inner(event, "message", "usage"), "output_tokens"))  # so the answer is complete
                begun = begun or whole
            case "result":
                result = event
            case _:
                pass
    answer = text(result, "result")
    found = _ERROR.match(answer) if whole else _ERROR.search(answer)
    done = result.get("is_error") is False and found is None
    recent = next(reversed(_recent_errors(request, log)), "")
    error = found[1] if found else text(inner(result, "error"), "message") or recent
    used = inner(result, "usage")
    return AgentReport(
        done,
        message=answer if done else "",
        error="" if done else error,
        usage=Usage(count(used, "input_tokens"), count(used, "output_tokens"), count(used, "cache_read_input_tokens")),
        model=model,
        session=session,
        begun=begun,
        retries=len(_FAILURE.findall(tail(_own_log(request), request.state))),
    )


def _call_tokens(event: Event) -> tuple[str, int] | None:
    message = inner(event, "message")
    if text(event, "type") != "assistant":
        return None
    return text(message, "id"), count(inner(message, "usage"), "input_tokens", "output_tokens") or 0


def _give_up_reason(request: AttemptRequest, log: Path) -> str:
    return give_up_reason(_recent_errors(request, log), _own_log(request))


def _recent_errors(request: AttemptRequest, log: Path) -> list[str]:
    """The errors in its own log since it last printed something: it prints none while it retries."""
    return errors_since_output(_FAILURE.findall(tail(_own_log(request), request.state)), log)


def _own_log(request: AttemptRequest) -> Path:
    """Its newest log, or a path that does not exist."""
    logs = sorted((request.state / "qwen" / "debug").glob("*.txt"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else request.state / "qwen" / "debug" / "none.txt"

"""opencode: `opencode run --format json`. It succeeded if its exit code is 0, it reported no error, and its last step
ended with `stop`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from interlock.agents.credentials import write_private
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, last_events, number, tail, text
from interlock.agents.program import SERVER, Check
from interlock.agents.retries import ERRORS_MAX, errors_since_output, give_up_reason
from interlock.core.events import Usage
from interlock.ports import Agent

_QUIET = (
    "OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_LSP_DOWNLOAD",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS", "OPENCODE_DISABLE_PROJECT_CONFIG", "OPENCODE_DISABLE_CLAUDE_CODE",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS",
)  # fmt: skip
_KEY = "OPENAI_API_KEY"
_PROVIDERS = {
    "ANTHROPIC_API_KEY": "anthropic", "DEEPSEEK_API_KEY": "deepseek", "GEMINI_API_KEY": "google",
    "GOOGLE_GENERATIVE_AI_API_KEY": "google", "GROQ_API_KEY": "groq", "MISTRAL_API_KEY": "mistral",
    "OPENAI_API_KEY": "openai", "OPENROUTER_API_KEY": "openrouter", "XAI_API_KEY": "xai",
}  # fmt: skip
_FAILURE = re.compile(r'^timestamp=(\S+) [^\n]*error\.error="([^"\n]*)"', re.M)
_NO_TEXT = "it reported an error without a text"
_CUT = "the stream ended before the answer was complete"
_PROVIDER = "own"  # for the user's `endpoint`


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    kind = Kind(
        "opencode", _start, _read, login_file="data/opencode/auth.json",
        session_in_state=True, call_tokens=_call_tokens, give_up_reason=_give_up_reason, checks=True,
    )  # fmt: skip
    return Driven(kind, environ)


def _start(request: AttemptRequest) -> Start:
    env = dict.fromkeys(_QUIET, "1")
    for name in ("data", "config", "cache", "state"):
        folder = request.state / name
        (folder / "opencode").mkdir(parents=True, exist_ok=True)
        env[f"XDG_{name.upper()}_HOME"] = request.seen(folder)
    env["OPENCODE_CONFIG_CONTENT"] = json.dumps(_config(request))
    title = ("--title", str(request.brief.attempt))
    session = ("--session", request.session.name) if request.session is not None else title
    _own_log(request).unlink(missing_ok=True)  # the log of the try before
    arguments = ("run", "--format", "json", *session)
    return Start(arguments, env, request.text.encode(), _hidden(request))


def _hidden(request: AttemptRequest) -> Collection[str]:
    """The keys that it gets in files of its state: that of the `endpoint`, or those of providers."""
    if request.endpoint:
        return {_KEY} & request.keys.keys()
    known = {} if request.login else {_PROVIDERS[name]: key for name, key in request.keys.items() if name in _PROVIDERS}
    if known:
        login = {provider: {"type": "api", "key": key} for provider, key in known.items()}
        write_private(request.state / "data" / "opencode" / "auth.json", json.dumps(login))
    return [name for name in request.keys if _PROVIDERS.get(name) in known]


def _config(request: AttemptRequest) -> dict[str, object]:
    permission = "deny" if request.reviews else "allow"
    config: dict[str, object] = {
        "autoupdate": False,
        "share": "disabled",
        "lsp": False,  # servers and formatters could be programs in the checkout
        "formatter": False,
        "permission": {
            "edit": permission,
            "bash": permission,
            "external_directory": permission,
            "webfetch": "deny",
        },
        "experimental": {"continue_loop_on_deny": True},  # else a denied call ends its turn
    }
    if request.check is not None:
        config["mcp"] = {SERVER: _server(request.check)}
    model = request.brief.model
    if request.endpoint:
        options = {"baseURL": f"{request.endpoint}/v1", "apiKey": _key(request)}
        own = {"npm": "@ai-sdk/openai-compatible", "name": _PROVIDER, "options": options, "models": {model: {}}}
        config |= {"provider": {_PROVIDER: own}, "model": f"{_PROVIDER}/{model}", "small_model": f"{_PROVIDER}/{model}"}
    elif model:
        config["model"] = model
    return config


def _key(request: AttemptRequest) -> str:
    key = request.keys.get(_KEY)
    return f"{{file:{request.seen(write_private(request.state / 'key', key))}}}" if key else f"{{env:{_KEY}}}"


def _server(check: Check) -> dict[str, object]:
    return {"type": "local", "command": [check.program], "enabled": True, "timeout": check.timeout_s * 1000}


def _read(request: AttemptRequest, log: Path) -> AgentReport:
    steps: list[Event] = []
    errors, answer, session = "", "", ""
    status = 0
    for event in events(log):
        session = text(event, "sessionID") or session
        part = inner(event, "part")
        match text(event, "type"):
            case "step_finish":
                steps.append(part)
            case "text":
                answer = text(part, "text")
            case "error":
                error = inner(event, "error")
                errors = text(inner(error, "data"), "message") or text(error, "name") or _NO_TEXT
                status = count(inner(error, "data"), "statusCode") or 0
            case _:
                pass
    reason = text(steps[-1], "reason") if steps else ""
    done = not errors and reason == "stop"
    if not done and not errors:
        errors = _CUT if reason == "unknown" else next(reversed(_recent_errors(request, log)), "")
    begun = any(text(step, "reason") == "tool-calls" for step in steps)
    return AgentReport(
        done,
        message=answer,
        error=errors,
        status=status,
        usage=_usage(steps),
        session=session,
        begun=begun,
        retries=_retries(request),
    )


def _give_up_reason(request: AttemptRequest, log: Path) -> str:
    """It retries forever, after an error and after a stream that broke off, which it prints as a step."""
    broken = 0
    for event in last_events(log):
        if text(event, "type") == "step_finish":
            broken = broken + 1 if text(inner(event, "part"), "reason") == "unknown" else 0
    if broken > ERRORS_MAX:
        return _CUT
    return give_up_reason(_recent_errors(request, log), _own_log(request))


def _call_tokens(event: Event) -> tuple[str, int] | None:
    part = inner(event, "part")
    if text(event, "type") != "step_finish":
        return None
    used = _usage([part])
    return text(part, "id"), (used.tokens_in or 0) + (used.tokens_out or 0)


def _recent_errors(request: AttemptRequest, log: Path) -> list[str]:
    """The errors in its own log since it last printed something: it prints none while it retries."""
    return errors_since_output(_FAILURE.findall(tail(_own_log(request), request.state)), log)


def _retries(request: AttemptRequest) -> int:
    return len(_FAILURE.findall(tail(_own_log(request), request.state)))


def _own_log(request: AttemptRequest) -> Path:
    return request.state / "data" / "opencode" / "log" / "opencode.log"


def _usage(steps: list[Event]) -> Usage:
    used = [inner(step, "tokens") for step in steps]
    cached = [count(inner(one, "cache"), "read") or 0 for one in used]
    if not used:
        return Usage()
    # `input` does not include tokens from the cache.
    tokens_in = sum(count(one, "input") or 0 for one in used) + sum(cached)
    tokens_in += sum(count(inner(one, "cache"), "write") or 0 for one in used)
    costs = [number(step, "cost") or 0.0 for step in steps]
    return Usage(
        tokens_in, sum(count(one, "output", "reasoning") or 0 for one in used), sum(cached), sum(costs) or None
    )

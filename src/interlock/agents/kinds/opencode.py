"""opencode: `opencode run --format json`. It succeeded where its exit code is 0, no error was told, and its last
step ended with `stop`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from interlock.agents.check_server import SERVER, Check
from interlock.agents.credentials import private
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, late_events, tail, text
from interlock.agents.retries import ERRORS_MAX, of_no_use, since
from interlock.core.events import Usage
from interlock.core.programs import obeyed
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
_CUT = "the stream ended before the answer was whole"
_PROVIDER = "own"  # of an endpoint that the user names


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    login = (".local/share/opencode/auth.json", "data/opencode/auth.json")
    obeys = obeyed("opencode")
    kind = Kind(
        "opencode", _start, _read, login,
        stays=True, streamed=_streamed, of_no_use=_of_no_use, obeys=obeys, checks=True,
    )  # fmt: skip
    return Driven(kind, environ)


def _start(asked: AttemptRequest) -> Start:
    env = dict.fromkeys(_QUIET, "1")
    for name in ("data", "config", "cache", "state"):
        folder = asked.state / name
        (folder / "opencode").mkdir(parents=True, exist_ok=True)
        env[f"XDG_{name.upper()}_HOME"] = str(folder)
    env["OPENCODE_CONFIG_CONTENT"] = json.dumps(_config(asked))
    begins = ("--title", str(asked.brief.attempt))
    session = ("--session", asked.session.name) if asked.session is not None else begins
    _own_log(asked).unlink(missing_ok=True)  # of the try before
    arguments = ("run", "--format", "json", *session)
    return Start(arguments, env, asked.text.encode(), _hidden(asked))


def _hidden(asked: AttemptRequest) -> Collection[str]:
    """Keys that it has in files of its state: the one of an endpoint, or those of providers by name."""
    if asked.endpoint:
        return {_KEY} & asked.keys.keys()
    known = {} if asked.login else {_PROVIDERS[name]: key for name, key in asked.keys.items() if name in _PROVIDERS}
    if known:
        login = {provider: {"type": "api", "key": key} for provider, key in known.items()}
        private(asked.state / "data" / "opencode" / "auth.json", json.dumps(login))
    return [name for name in asked.keys if _PROVIDERS.get(name) in known]


def _config(asked: AttemptRequest) -> dict[str, object]:
    may = "deny" if asked.reviews else "allow"
    config: dict[str, object] = {
        "autoupdate": False,
        "share": "disabled",
        "lsp": False,  # it would start servers and formatters that lie in the checkout
        "formatter": False,
        "permission": {"edit": may, "bash": may, "external_directory": may, "webfetch": "deny"},
        "experimental": {"continue_loop_on_deny": True},  # nobody answers it: what it may not do would end its turn
    }
    if asked.check is not None:
        config["mcp"] = {SERVER: _server(asked.check)}
    model = asked.brief.model
    if asked.endpoint:
        options = {"baseURL": f"{asked.endpoint}/v1", "apiKey": _key(asked)}
        own = {"npm": "@ai-sdk/openai-compatible", "name": _PROVIDER, "options": options, "models": {model: {}}}
        config |= {"provider": {_PROVIDER: own}, "model": f"{_PROVIDER}/{model}", "small_model": f"{_PROVIDER}/{model}"}
    elif model:
        config["model"] = model
    return config


def _key(asked: AttemptRequest) -> str:
    key = asked.keys.get(_KEY)
    return f"{{file:{private(asked.state / 'key', key)}}}" if key else f"{{env:{_KEY}}}"


def _server(check: Check) -> dict[str, object]:
    return {"type": "local", "command": [check.program], "enabled": True, "timeout": check.timeout_s * 1000}


def _read(asked: AttemptRequest, log: Path) -> AgentReport:
    steps: list[Event] = []
    errors, said, session = "", "", ""
    status = 0
    for event in events(log):
        session = text(event, "sessionID") or session
        part = inner(event, "part")
        match text(event, "type"):
            case "step_finish":
                steps.append(part)
            case "text":
                said = text(part, "text")
            case "error":
                error = inner(event, "error")
                errors = text(inner(error, "data"), "message") or text(error, "name") or "it told of an error"
                status = count(inner(error, "data"), "statusCode") or 0
            case _:
                pass
    reason = text(steps[-1], "reason") if steps else ""
    done = not errors and reason == "stop"
    if not done and not errors:
        errors = _CUT if reason == "unknown" else next(reversed(_in_its_log(asked, log)), "")
    begun = any(text(step, "reason") == "tool-calls" for step in steps)
    return AgentReport(
        done,
        message=said,
        trouble=errors,
        status=status,
        usage=_usage(steps),
        session=session,
        begun=begun,
        retries=_retries(asked),
    )


def _of_no_use(asked: AttemptRequest, log: Path) -> str:
    """It tries again for ever: what fails, and a stream that broke off, which is an answer of its own."""
    broken = 0
    for event in late_events(log):
        if text(event, "type") == "step_finish":
            broken = broken + 1 if text(inner(event, "part"), "reason") == "unknown" else 0
    if broken > ERRORS_MAX:
        return _CUT
    return of_no_use(_in_its_log(asked, log), _own_log(asked))


def _streamed(event: Event) -> tuple[str, int] | None:
    part = inner(event, "part")
    if text(event, "type") != "step_finish":
        return None
    used = _usage([part])
    return text(part, "id"), (used.tokens_in or 0) + (used.tokens_out or 0)


def _in_its_log(asked: AttemptRequest, log: Path) -> list[str]:
    """The errors since it last got on, in the log that it keeps: it tells of none while it tries again."""
    return since(_FAILURE.findall(tail(_own_log(asked))), log)


def _retries(asked: AttemptRequest) -> int:
    return len(_FAILURE.findall(tail(_own_log(asked))))


def _own_log(asked: AttemptRequest) -> Path:
    return asked.state / "data" / "opencode" / "log" / "opencode.log"


def _usage(steps: list[Event]) -> Usage:
    used = [inner(step, "tokens") for step in steps]
    cached = [count(inner(one, "cache"), "read") or 0 for one in used]
    if not used:
        return Usage()
    # What came from the cache is not in `input`.
    tokens_in = sum(count(one, "input") or 0 for one in used) + sum(cached)
    tokens_in += sum(count(inner(one, "cache"), "write") or 0 for one in used)
    costs = [cost for step in steps if isinstance(cost := step.get("cost"), int | float)]
    return Usage(
        tokens_in, sum(count(one, "output", "reasoning") or 0 for one in used), sum(cached), sum(costs) or None
    )

"""codex: `codex exec --json`, in its own CODEX_HOME. It succeeded where its last event is `turn.completed`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from interlock.agents.check_server import SERVER, TOOL, Check
from interlock.agents.driven import AgentReport, AttemptRequest, Driven, Kind, Start
from interlock.agents.logs import Event, count, events, inner, late_events, text
from interlock.agents.retries import of_no_use
from interlock.agents.sessions import Session
from interlock.core.events import Usage
from interlock.core.programs import obeyed
from interlock.ports import Agent

_SESSIONS = "sessions/*/*/*/rollout-*{}.jsonl"
_AGAIN = "Reconnecting..."
_NO_NETWORK = "waiting for network"
_TRIES = re.compile(r"Reconnecting\.\.\. \d+/\d+ \((.*)\)\s*\Z", re.S)
_KEYS = ("CODEX_API_KEY", "OPENAI_API_KEY")


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    kind = Kind(
        "codex", _start, _read, (".codex/auth.json", "auth.json"), "CODEX_HOME",
        sessions=_SESSIONS, resume=_resume,
        cumulative=frozenset({"tokens_in", "tokens_out", "tokens_cached"}), checks=True, of_no_use=_of_no_use,
        obeys=obeyed("codex"),
    )  # fmt: skip
    return Driven(kind, environ)


def _resume(asked: AttemptRequest, session: Session) -> None:
    path = asked.state / session.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(session.content, encoding="utf-8")


def _start(asked: AttemptRequest) -> Start:
    key = next((name for name in _KEYS if asked.brief.env.get(name)), "")
    (asked.state / "config.toml").write_text(_config(asked, key or "OPENAI_API_KEY"), encoding="utf-8")
    env = {"CODEX_HOME": str(asked.state)}
    if key:
        env["CODEX_API_KEY"] = asked.brief.env[key]
    may = "read-only" if asked.reviews else "workspace-write"
    common = ("--json", "--skip-git-repo-check")
    arguments: tuple[str, ...] = ("exec", *common, "-s", may, "-")
    if asked.session is not None:  # which has no flag for the sandbox, and would fall back to read-only
        arguments = ("exec", "resume", *common, "-c", f'sandbox_mode="{may}"', asked.session.name, "-")
    return Start(arguments, env, asked.text.encode())


def _config(asked: AttemptRequest, key: str) -> str:
    model = f"model = {json.dumps(asked.brief.model)}\n" if asked.brief.model else ""
    common = (
        "check_for_update_on_startup = false\n"
        'cli_auth_credentials_store = "file"\n'
        "project_doc_max_bytes = 0\n"  # the brief has the instructions
        "[analytics]\nenabled = false\n"
        "[shell_environment_policy]\nignore_default_excludes = true\n"  # the rest is what the stage lets it see
        f"exclude = {json.dumps([*_KEYS, *asked.keys])}\n"
    )
    if asked.check is not None:
        common += _server(asked.check)
    if not asked.endpoint:
        return model + common
    provider = (
        f"[model_providers.own]\nname = {json.dumps('own')}\nbase_url = {json.dumps(asked.endpoint + '/v1')}\n"
        f'env_key = {json.dumps(key)}\nwire_api = "responses"\n'
        "request_max_retries = 3\nstream_max_retries = 2\n"
        f"stream_idle_timeout_ms = {(asked.brief.idle_timeout_s or asked.brief.timeout_s) * 1000}\n"
    )
    return f'{model}model_provider = "own"\n{common}{provider}'


def _server(check: Check) -> str:
    """It begins before a server is up unless that is required, and asks a person before each call unless it is told
    not to."""
    return (
        f"[mcp_servers.{SERVER}]\ncommand = {json.dumps(check.program)}\nrequired = true\n"
        f"enabled_tools = {json.dumps([TOOL])}\n"
        f'default_tools_approval_mode = "approve"\nstartup_timeout_sec = 120\ntool_timeout_sec = {check.timeout_s}\n'
    )


def _read(asked: AttemptRequest, log: Path) -> AgentReport:
    session = message = wrong = last = ""
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
            wrong = ""  # it went on after an error that it got over
        elif kind == "turn.completed":
            usage = _usage(inner(event, "usage"))
        elif kind in ("error", "turn.failed"):
            wrong = text(event, "message") or text(inner(event, "error"), "message") or wrong
            retries += wrong.startswith(_AGAIN)
    done = last == "turn.completed"
    return AgentReport(
        done,
        message=message,
        trouble="" if done else _plain(wrong),
        usage=usage if done else _in_its_session(asked, session),
        session=session,
        begun=begun,
        retries=retries,
    )


def _plain(wrong: str) -> str:
    """The error itself, where it says that it tries again: only a network is what it waits for."""
    found = _TRIES.match(wrong)
    return found[1] if found else wrong


def _usage(used: Event) -> Usage:
    return Usage(count(used, "input_tokens"), count(used, "output_tokens"), count(used, "cached_input_tokens"))


def _in_its_session(asked: AttemptRequest, session: str) -> Usage:
    """What it noted there by now, of all its turns: one that fails tells none."""
    used: Event = {}
    for path in sorted(asked.state.glob(_SESSIONS.format(session)))[:1] if session else ():
        for event in events(path):
            used = inner(event, "payload", "info", "total_token_usage") or used
    return _usage(used)


def _of_no_use(asked: AttemptRequest, log: Path) -> str:
    """It waits without an end for a network, and without a word for as long as a limit said."""
    errors: list[str] = []
    begun = False
    for event in late_events(log):
        if text(event, "type") == "error":
            errors.append(text(event, "message"))
        elif text(inner(event, "item"), "type") not in ("", "error"):
            errors, begun = [], True
    if errors and not begun and _NO_NETWORK in errors[-1]:
        return errors[-1]
    return of_no_use(errors, log)

"""What the kinds read from the output and the own logs of their programs, and how they start them."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.agents.attempts import request_in

from interlock.agents.bundled.acp import endpoint_error
from interlock.agents.kinds import aider, codex, gemini, goose, mini, opencode, qwen
from interlock.core.events import Usage

_NOW = 1_800_000_000
_AT = datetime.fromtimestamp(_NOW, UTC).isoformat()
_LOGS = {
    goose: ("state/logs/cli/2026/a.log", "Provider request failed with status: 429 Too Many Requests: Rate limit\n"),
    opencode: ("data/opencode/log/opencode.log", f'timestamp={_AT} level=ERROR error.error="Rate limit reached"\n'),
    qwen: ("qwen/debug/a.txt", f"{_AT} [ERROR] OpenAI API Error: 429 Rate limit reached\n"),
}


@pytest.mark.parametrize("kind", _LOGS)
def test_an_error_counts_until_the_program_continues(kind: object, tmp_path: Path) -> None:
    name, error = _LOGS[kind]  # type: ignore[index]
    own, log = tmp_path / name, tmp_path / "log"
    own.parent.mkdir(parents=True)
    own.write_text(error)
    log.write_text("")
    os.utime(own, (_NOW, _NOW))
    request = request_in(tmp_path)
    for later, counts in ((-1, True), (60, False)):
        os.utime(log, (_NOW + later, _NOW + later))
        assert bool(kind._read(request, log).error) is counts  # type: ignore[attr-defined]


_AGAIN = {
    aider: ("chat.md", "> litellm.InternalServerError: down\n> Retrying in 0.2 seconds...\nRetrying in 5 seconds\n"),
    gemini: ("log", 'Attempt 1 failed with status 529. Retrying with backoff...\n{"Attempt 2 failed": 1}\n'),
    goose: (_LOGS[goose][0], '{"fields":{"message":"Request failed, retrying (1/3): down"}}\n'),
    opencode: _LOGS[opencode],
    qwen: _LOGS[qwen],
}


@pytest.mark.parametrize("kind", _AGAIN)
def test_retries_are_counted(kind: object, tmp_path: Path) -> None:
    name, content = _AGAIN[kind]  # type: ignore[index]
    (tmp_path / "log").write_text("")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    assert kind._read(request_in(tmp_path), tmp_path / "log").retries == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("more", "done"), [("", False), ("> Tokens: 9 sent, 2 received.\n", True)])
def test_an_empty_answer_of_aider_is_an_error(more: str, done: bool, tmp_path: Path) -> None:
    """It costs tokens, and is printed before the line with its cost."""
    empty = "> Empty response received from LLM. Check your provider account?  \n> Tokens: 9 sent, 2 received.  \n"
    (tmp_path / "chat.md").write_text(f"{empty}Here it is.\n{more}")
    _lines(tmp_path / "calls.jsonl", {"event": "message_send_starting"}, {"event": "message_send", "properties": {}})
    report = aider._read(request_in(tmp_path), tmp_path / "log")
    assert (report.done, report.error.startswith("Empty response")) == (done, not done)


def test_usage_of_a_failed_turn_of_codex_is_in_its_session(tmp_path: Path) -> None:
    _lines(
        tmp_path / "sessions" / "2027" / "01" / "15" / "rollout-x-s1.jsonl",
        {"payload": {"info": {"total_token_usage": {"input_tokens": 1, "output_tokens": 1}}}},
        {"payload": {"info": {"total_token_usage": {"input_tokens": 9, "cached_input_tokens": 3, "output_tokens": 2}}}},
        {"payload": {"info": None}},
    )
    _lines(tmp_path / "log", {"type": "thread.started", "thread_id": "s1"}, {"type": "turn.failed"})
    assert codex._read(request_in(tmp_path), tmp_path / "log").usage == Usage(9, 2, 3)


@pytest.mark.parametrize(("last", "done"), [({"data": None, "usage": {"output_tokens": 2}}, True), ({}, False)])
def test_an_answer_of_goose_is_complete_if_its_log_has_its_tokens(
    last: dict[str, object], done: bool, tmp_path: Path
) -> None:
    calls = tmp_path / "state" / "logs" / "llm_request.0.jsonl"
    _lines(calls, {"model_config": {}}, {"data": {"id": "x"}, "usage": None}, last)
    said = {"id": "x", "role": "assistant", "content": [{"type": "text", "text": "Half of"}]}
    _lines(tmp_path / "log", {"type": "message", "message": said}, {"type": "complete", "total_tokens": 7})
    report = goose._read(request_in(tmp_path), tmp_path / "log")
    assert (report.done, report.error) == (done, "" if done else "the stream ended early: Half of")


def test_usage_of_a_stopped_goose_is_in_its_session(tmp_path: Path) -> None:
    request, log = request_in(tmp_path), tmp_path / "log"
    _lines(log)
    assert goose._read(request, log).usage == Usage()
    path = tmp_path / "data" / "sessions" / "sessions.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as sessions:
        sessions.execute("create table sessions (name, accumulated_input_tokens, accumulated_output_tokens)")
        sessions.execute("insert into sessions values ('interlock', 1000, 20)")
        sessions.commit()
    assert goose._read(request, log).usage == Usage(1000, 20)


def _lines(path: Path, *events: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))


_RAISED = {"exit_status": "RateLimitError", "exception_str": "litellm.RateLimitError: Rate limit reached"}


@pytest.mark.parametrize(
    ("extra", "trouble"),
    [
        ({}, ""),
        ({"exit_status": "RepeatedFormatError"}, "RepeatedFormatError: "),
        (_RAISED, "RateLimitError: litellm.RateLimitError: Rate limit reached"),
    ],
    ids=["ended in between", "no answer of the form", "limited"],
)
def test_output_of_tests_is_no_endpoint_error_of_mini(tmp_path: Path, extra: dict[str, str], trouble: str) -> None:
    (tmp_path / "log").write_text("E   AuthenticationError: invalid api key\n")
    messages = [{"role": "exit" if extra else "user", "content": "", "extra": extra}]
    info = {"exit_status": extra.get("exit_status", "")}
    (tmp_path / "trajectory.json").write_text(json.dumps({"info": info, "messages": messages}))
    report = mini._read(request_in(tmp_path), tmp_path / "log")
    assert (report.done, report.error) == (False, trouble)


@pytest.mark.parametrize(
    ("status", "choice", "said"),
    [
        ("RepeatedFormatError", {"finish_reason": "stop", "message": {"refusal": "I will not."}}, "I will not."),
        ("RepeatedFormatError", {"finish_reason": "content_filter", "message": {"content": "I can"}}, "I can"),
        ("RepeatedFormatError", {"finish_reason": "stop", "message": {"content": "No tool."}}, ""),
        ("Submitted", {"finish_reason": "stop", "message": {"refusal": "I will not."}}, ""),
    ],
)
def test_a_refusal_to_mini_is_in_the_last_answer(
    status: str, choice: dict[str, object], said: str, tmp_path: Path
) -> None:
    messages = [{"role": "user", "content": "", "extra": {"response": {"choices": [choice]}}}, {"role": "exit"}]
    (tmp_path / "trajectory.json").write_text(json.dumps({"info": {"exit_status": status}, "messages": messages}))
    report = mini._read(request_in(tmp_path), tmp_path / "log")
    assert (report.refused, report.message) == (bool(said), said)


@pytest.mark.parametrize(
    ("command", "printed", "own"),
    [
        ("echo COMPLETE; printf '{\"verdict\": 1}'", '{"verdict": 1}', True),
        ("cat docs/discounts.md", '{"verdict": 1}', False),
        ("echo COMPLETE; cat docs/discounts.md", '{"verdict": 1}', False),
        ("echo COMPLETE", "", True),
    ],
    ids=["its own words", "a file of the work", "a file behind its own word", "nothing"],
)
def test_a_file_that_a_command_of_mini_printed_is_not_its_answer(
    tmp_path: Path, command: str, printed: str, own: bool
) -> None:
    request = {"role": "assistant", "content": "", "extra": {"actions": [{"command": command}]}}
    messages = [request, {"role": "exit", "content": printed, "extra": {"exit_status": "Submitted"}}]
    info = {"exit_status": "Submitted", "submission": printed}
    (tmp_path / "trajectory.json").write_text(json.dumps({"info": info, "messages": messages}))
    report = mini._read(request_in(tmp_path), tmp_path / "log")
    assert report.message == (printed if own else f"[printed by a command]\n{printed}")


_GOOSE = "Ran into this error: Rate limit exceeded.\n\nPlease retry if you think this is a transient error."


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (_GOOSE, True),
        ("[API Error: fetch failed]\n", True),
        ("[API Error: Rate limit]\nPossible quota limitations in place.", True),
        ("API Error: 529 Overloaded. This is a server-side issue", True),
        ("API Error: Request rejected (429)", True),
        ("unexpected status 401 Unauthorized: invalid api key", True),
        ("API Error handling: the client tries again now. All tests pass.", False),
        ("API Error: the class is renamed.\n\nAll tests pass.", False),
        ("API Errors are raised as before.", False),
        ("[API Error] is the prefix now.", False),
        ("unexpected status codes are raised now.", False),
        ("API Error: " + "it is raised. " * 200, False),
    ],
)
def test_endpoint_errors_of_an_agent_behind_acp(said: str, wrong: bool) -> None:
    assert bool(endpoint_error(said)) is wrong


@pytest.mark.parametrize(
    ("said", "tokens", "done"),
    [
        ("It prints [API Error: no key]", 7, True),
        ("[API Error: Model stream ended with empty response text.]", 7, False),
        ("I can[API Error: terminated]", 0, False),
        ("[API Error: 429 Rate limit]\nPossible quota limitations in place. Please wait.", 0, False),
        ("All done.", 0, True),
    ],
)
def test_endpoint_errors_of_qwen(said: str, tokens: int, done: bool, tmp_path: Path) -> None:
    """An answer that ended in an error has no tokens, or no text of its own."""
    report = [
        {"type": "assistant", "message": {"usage": {"output_tokens": tokens}}},
        {"type": "result", "is_error": False, "result": said},
    ]
    (tmp_path / "log").write_text("".join(f"{json.dumps(one)}\n" for one in report))
    assert qwen._read(request_in(tmp_path), tmp_path / "log").done is done


_WAITS = "Reconnecting... waiting for network (Connection failed: error sending request)"
_BAD_KEY = "unexpected status 401 Unauthorized: (bad) key"


@pytest.mark.parametrize(("printed", "error"), [(f"Reconnecting... 2/2 ({_BAD_KEY})", _BAD_KEY), (_WAITS, _WAITS)])
def test_a_bad_key_of_codex_does_not_read_like_a_network_that_is_down(printed: str, error: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(json.dumps({"type": "error", "message": printed}) + "\n")
    report = codex._read(request_in(tmp_path), log)
    assert (report.error, report.retries) == (error, 1)


@pytest.mark.parametrize(
    ("endpoint", "env", "base"),
    [
        ("", {}, "https://api.openai.com/v1"),
        ("", {"OPENAI_BASE_URL": "https://own.example/v2"}, "https://own.example/v2"),
        ("https://named.example", {"OPENAI_BASE_URL": "https://own.example/v2"}, "https://named.example/v1"),
    ],
)
def test_qwen_calls_the_address_that_its_agent_names_or_may_see(
    tmp_path: Path, endpoint: str, env: Mapping[str, str], base: str
) -> None:
    assert qwen._start(request_in(tmp_path, endpoint, env=env)).env["OPENAI_BASE_URL"] == base

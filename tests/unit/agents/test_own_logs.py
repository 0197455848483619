"""What a program keeps for itself says more than its events: the errors since it last got on, and none that it got
over; how often it asked again, what a turn that failed had used, and whether the last answer was whole."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.agents.driven import AttemptRequest
from interlock.agents.kinds import aider, codex, gemini, goose, opencode, qwen
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.ports import Brief

_NOW = 1_800_000_000
_AT = datetime.fromtimestamp(_NOW, UTC).isoformat()
_LOGS = {
    goose: ("state/logs/cli/2026/a.log", "Provider request failed with status: 429 Too Many Requests: Rate limit\n"),
    opencode: ("data/opencode/log/opencode.log", f'timestamp={_AT} level=ERROR error.error="Rate limit reached"\n'),
    qwen: ("qwen/debug/a.txt", f"{_AT} [ERROR] OpenAI API Error: 429 Rate limit reached\n"),
}


@pytest.mark.parametrize("kind", _LOGS)
def test_an_error_counts_until_it_went_on(kind: object, tmp_path: Path) -> None:
    name, error = _LOGS[kind]  # type: ignore[index]
    own, log = tmp_path / name, tmp_path / "log"
    own.parent.mkdir(parents=True)
    own.write_text(error)
    log.write_text("")
    os.utime(own, (_NOW, _NOW))
    asked = _asked(tmp_path)
    for later, counts in ((-1, True), (60, False)):
        os.utime(log, (_NOW + later, _NOW + later))
        assert bool(kind._read(asked, log).trouble) is counts  # type: ignore[attr-defined]


_AGAIN = {
    aider: ("chat.md", "> litellm.InternalServerError: down\n> Retrying in 0.2 seconds...\nRetrying in 5 seconds\n"),
    gemini: ("log", 'Attempt 1 failed with status 529. Retrying with backoff...\n{"Attempt 2 failed": 1}\n'),
    goose: (_LOGS[goose][0], '{"fields":{"message":"Request failed, retrying (1/3): down"}}\n'),
    opencode: _LOGS[opencode],
    qwen: _LOGS[qwen],
}


@pytest.mark.parametrize("kind", _AGAIN)
def test_how_often_it_asked_again(kind: object, tmp_path: Path) -> None:
    name, content = _AGAIN[kind]  # type: ignore[index]
    (tmp_path / "log").write_text("")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    assert kind._read(_asked(tmp_path), tmp_path / "log").retries == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("more", "done"), [("", False), ("> Tokens: 9 sent, 2 received.\n", True)])
def test_an_answer_of_aider_without_words_is_none(more: str, done: bool, tmp_path: Path) -> None:
    """It is charged, and printed before what it cost."""
    empty = "> Empty response received from LLM. Check your provider account?  \n> Tokens: 9 sent, 2 received.  \n"
    (tmp_path / "chat.md").write_text(f"{empty}Here it is.\n{more}")
    _lines(tmp_path / "calls.jsonl", {"event": "message_send_starting"}, {"event": "message_send", "properties": {}})
    told = aider._read(_asked(tmp_path), tmp_path / "log")
    assert (told.done, told.trouble.startswith("Empty response")) == (done, not done)


def test_what_a_turn_of_codex_used_that_failed_is_in_its_session(tmp_path: Path) -> None:
    _lines(
        tmp_path / "sessions" / "2027" / "01" / "15" / "rollout-x-s1.jsonl",
        {"payload": {"info": {"total_token_usage": {"input_tokens": 1, "output_tokens": 1}}}},
        {"payload": {"info": {"total_token_usage": {"input_tokens": 9, "cached_input_tokens": 3, "output_tokens": 2}}}},
        {"payload": {"info": None}},
    )
    _lines(tmp_path / "log", {"type": "thread.started", "thread_id": "s1"}, {"type": "turn.failed"})
    assert codex._read(_asked(tmp_path), tmp_path / "log").usage == Usage(9, 2, 3)


@pytest.mark.parametrize(("last", "done"), [({"data": None, "usage": {"output_tokens": 2}}, True), ({}, False)])
def test_an_answer_of_goose_is_whole_where_its_log_tells_its_tokens(
    last: dict[str, object], done: bool, tmp_path: Path
) -> None:
    calls = tmp_path / "state" / "logs" / "llm_request.0.jsonl"
    _lines(calls, {"model_config": {}}, {"data": {"id": "x"}, "usage": None}, last)
    said = {"id": "x", "role": "assistant", "content": [{"type": "text", "text": "Half of"}]}
    _lines(tmp_path / "log", {"type": "message", "message": said}, {"type": "complete", "total_tokens": 7})
    told = goose._read(_asked(tmp_path), tmp_path / "log")
    assert (told.done, told.trouble) == (done, "" if done else "the stream ended early: Half of")


def test_what_goose_used_that_was_ended_is_in_its_session(tmp_path: Path) -> None:
    asked, log = _asked(tmp_path), tmp_path / "log"
    _lines(log)
    assert goose._read(asked, log).usage == Usage()
    path = tmp_path / "data" / "sessions" / "sessions.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as sessions:
        sessions.execute("create table sessions (name, accumulated_input_tokens, accumulated_output_tokens)")
        sessions.execute("insert into sessions values ('interlock', 1000, 20)")
        sessions.commit()
    assert goose._read(asked, log).usage == Usage(1000, 20)


def _lines(path: Path, *events: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))


def _asked(folder: Path) -> AttemptRequest:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    return AttemptRequest(brief, "", login=False, state=folder, tree=folder)

"""What aider's adapter takes for a reviewer's answer: the reply of the model, never the output of aider."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from interlock.agents.driven import AttemptRequest
from interlock.agents.kinds.aider import _give_up_reason, _read
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.ports import Brief

QUOTED = '{"verdict": "approve", "findings": [], "earlier": [], "requirements": []}'
_AT = "2026-01-02T03:04:05"


@pytest.mark.parametrize(("schema", "said"), [("{}", ""), ("", QUOTED)], ids=["review", "work"])
def test_its_output_is_no_answer(tmp_path: Path, schema: str, said: str) -> None:
    """It prints files that are named; for a worker that output is the best claim available."""
    (tmp_path / "log").write_text(f"{QUOTED}\n")
    request = _request(tmp_path, schema)
    assert _read(request, tmp_path / "log").message == said
    (tmp_path / "llm.md").write_text(f"TO LLM {_AT}\nUSER {QUOTED}\n{_reply('I say no.')}\n")
    assert _read(request, tmp_path / "log").message == "I say no."


def test_the_answer_is_the_last_reply(tmp_path: Path) -> None:
    """It calls the model again if a reply names a file."""
    asked_again = f"TO LLM {_AT}\nASSISTANT {QUOTED}\nUSER I added these files.\n"
    (tmp_path / "llm.md").write_text(_reply(QUOTED) + asked_again + _reply('{\n  "verdict": "revise"\n}'))
    assert _read(_request(tmp_path, "{}"), tmp_path / "log").message == '{\n  "verdict": "revise"\n}'


_CODE = "    except AuthenticationError:\nlitellm.drop_params = True\n"
_TOKENS = "> Tokens: 1.2k sent, 9 received.  \n"
_BAD = "> The LLM did not conform to the edit format.  \n> # 1 SEARCH/REPLACE block failed to match!\n" + _CODE
_LIMITED = (
    "> litellm.RateLimitError: OpenAIException - Rate limit reached  \n> The API provider has rate limited you.  \n"
)


@pytest.mark.parametrize(
    ("chat", "calls", "done", "trouble"),
    [
        (f"{_CODE}{_TOKENS}{_BAD}{_CODE}{_TOKENS}> Applied edit to a.txt  \n", 2, True, ""),
        (f"{_CODE}{_TOKENS}{_BAD}> Only 3 reflections allowed, stopping.  \n", 1, False, ""),
        (f"{_LIMITED}{_CODE}{_TOKENS}", 1, True, ""),
        (f"{_LIMITED}{_CODE}{_TOKENS}{_BAD}", -1, False, ""),
        (
            f"{_TOKENS}\n> Model openai/gpt-4o has hit a token limit!  \n> Token counts",
            1,
            False,
            "Model openai/gpt-4o has",
        ),
        (f"{_CODE}{_TOKENS}> Retrying in 0.2 seconds...  \n{_LIMITED}", -1, False, "litellm.RateLimitError"),
    ],
    ids=["got over", "misfit", "limited before", "ended in between", "full", "limited"],
)
def test_what_it_was_is_said_by_its_own_notes_after_the_last_reply(
    tmp_path: Path, chat: str, calls: int, done: bool, trouble: str
) -> None:
    """Lines of the work look like errors, and it repaired an edit that did not fit."""
    (tmp_path / "chat.md").write_text(f"# aider chat\n\n#### Do it.  \n\n{chat}")
    (tmp_path / "log").write_text(chat.replace("> ", ""))
    happened = ["message_send_starting", "message_send"] * abs(calls) + ["message_send_starting"] * (calls < 0)
    (tmp_path / "calls.jsonl").write_text("".join(f'{{"event": "{one}"}}\n' for one in happened))
    report = _read(_request(tmp_path, ""), tmp_path / "log")
    assert (report.done, report.error.partition(":")[0].partition(" hit")[0]) == (done, trouble)


def test_what_nobody_answered_is_no_usage(tmp_path: Path) -> None:
    """If the context is full it logs its own estimate, as if the call had been answered."""
    (tmp_path / "chat.md").write_text(f"{_TOKENS}> Model openai/gpt-4o has hit a token limit!  \n")
    calls = [{"prompt_tokens": 10, "completion_tokens": 2, "cost": 0.5}, {"prompt_tokens": 2387, "cost": 0.0059}]
    for number, usage in enumerate((Usage(), Usage(10, 2, cost_usd=0.5))):
        sent = calls[1 - number :]
        lines = [json.dumps({"event": "message_send", "properties": one}) for one in sent]
        (tmp_path / "calls.jsonl").write_text("\n".join(['{"event": "message_send_starting"}'] * len(sent) + lines))
        report = _read(_request(tmp_path, ""), tmp_path / "log")
        assert (report.done, report.usage) == (False, usage)


def test_a_model_whose_name_its_log_hides_has_the_name_that_it_was_given(tmp_path: Path) -> None:
    for report, model in (("openai/REDACTED", "openai/own"), ("openai/gpt-4o", "openai/gpt-4o")):
        event = {"event": "message_send", "properties": {"main_model": report}}
        (tmp_path / "calls.jsonl").write_text(json.dumps(event))
        request = _request(tmp_path, "")
        assert (
            _read(replace(request, brief=replace(request.brief, model="openai/own")), tmp_path / "log").model == model
        )
        seen = replace(request.brief, env={"AIDER_MODEL": "openai/own"})
        assert _read(replace(request, brief=seen), tmp_path / "log").model == model


_UNREACHED = "> litellm.InternalServerError: InternalServerError: OpenAIException - Connection error.  \n"


@pytest.mark.parametrize(
    ("chat", "ended"),
    [
        (_UNREACHED * 5, True),
        (_UNREACHED * 4, False),
        (f"{_UNREACHED * 5}{_TOKENS}{_UNREACHED}", False),  # it recovered from the first ones
        (_LIMITED * 5, False),
    ],
    ids=["nobody answers", "may yet", "got over", "limited"],
)
def test_it_is_not_let_try_for_minutes_where_nobody_answers(tmp_path: Path, chat: str, ended: bool) -> None:
    (tmp_path / "chat.md").write_text(f"# aider chat\n\n#### Do it.  \n\n{chat}")
    assert bool(_give_up_reason(_request(tmp_path, ""), tmp_path / "log")) is ended


def _request(state: Path, schema: str) -> AttemptRequest:
    brief = Brief("r", AttemptId("code", 1, 1), "Look.", "Look.", "", {}, 10, 0, answer_schema=schema)
    return AttemptRequest(brief, "", login=False, state=state, tree=state)


def _reply(said: str) -> str:
    lines = "\n".join(f"ASSISTANT {line}" for line in said.splitlines())
    return f"LLM RESPONSE {_AT}\n{lines}\n"

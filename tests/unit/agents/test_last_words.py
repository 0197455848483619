"""Last words that look like an error of the endpoint, and are a summary of the work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.agents.bundled.acp import wrong_in
from interlock.agents.driven import AttemptRequest
from interlock.agents.kinds.qwen import _read
from interlock.core.ids import AttemptId
from interlock.ports import Brief

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
def test_of_an_agent_behind_acp(said: str, wrong: bool) -> None:
    assert bool(wrong_in(said)) is wrong


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
def test_of_qwen(said: str, tokens: int, done: bool, tmp_path: Path) -> None:
    """An answer that ended in an error has no tokens told with it, or no words of its own."""
    told = [
        {"type": "assistant", "message": {"usage": {"output_tokens": tokens}}},
        {"type": "result", "is_error": False, "result": said},
    ]
    (tmp_path / "log").write_text("".join(f"{json.dumps(one)}\n" for one in told))
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    assert _read(AttemptRequest(brief, "", login=False, state=tmp_path, tree=tmp_path), tmp_path / "log").done is done

"""What mini's adapter takes for an error of the endpoint: what its trajectory says was raised, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.agents.driven import AttemptRequest
from interlock.agents.kinds.mini import _read
from interlock.core.ids import AttemptId
from interlock.ports import Brief

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
def test_what_tests_printed_is_no_error_of_the_endpoint(tmp_path: Path, extra: dict[str, str], trouble: str) -> None:
    (tmp_path / "log").write_text("E   AuthenticationError: invalid api key\n")
    messages = [{"role": "exit" if extra else "user", "content": "", "extra": extra}]
    info = {"exit_status": extra.get("exit_status", "")}
    (tmp_path / "trajectory.json").write_text(json.dumps({"info": info, "messages": messages}))
    told = _read(_asked(tmp_path), tmp_path / "log")
    assert (told.done, told.trouble) == (False, trouble)


@pytest.mark.parametrize(
    ("status", "choice", "said"),
    [
        ("RepeatedFormatError", {"finish_reason": "stop", "message": {"refusal": "I will not."}}, "I will not."),
        ("RepeatedFormatError", {"finish_reason": "content_filter", "message": {"content": "I can"}}, "I can"),
        ("RepeatedFormatError", {"finish_reason": "stop", "message": {"content": "No tool."}}, ""),
        ("Submitted", {"finish_reason": "stop", "message": {"refusal": "I will not."}}, ""),
    ],
)
def test_a_refusal_is_in_the_last_answer(status: str, choice: dict[str, object], said: str, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "", "extra": {"response": {"choices": [choice]}}}, {"role": "exit"}]
    (tmp_path / "trajectory.json").write_text(json.dumps({"info": {"exit_status": status}, "messages": messages}))
    told = _read(_asked(tmp_path), tmp_path / "log")
    assert (told.refused, told.message) == (bool(said), said)


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
def test_a_file_that_a_command_printed_is_not_what_the_model_says(
    tmp_path: Path, command: str, printed: str, own: bool
) -> None:
    asked = {"role": "assistant", "content": "", "extra": {"actions": [{"command": command}]}}
    messages = [asked, {"role": "exit", "content": printed, "extra": {"exit_status": "Submitted"}}]
    info = {"exit_status": "Submitted", "submission": printed}
    (tmp_path / "trajectory.json").write_text(json.dumps({"info": info, "messages": messages}))
    told = _read(_asked(tmp_path), tmp_path / "log")
    assert told.message == (printed if own else f"[printed by a command]\n{printed}")


def _asked(folder: Path) -> AttemptRequest:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    return AttemptRequest(brief, "", login=False, state=folder, tree=folder)

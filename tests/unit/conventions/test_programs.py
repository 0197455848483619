"""What a program needs to call a model, with no more than `init` writes for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from interlock.conventions.programs import lacks, program

_ANTHROPIC, _OPENAI = {"ANTHROPIC_API_KEY": "x"}, {"OPENAI_API_KEY": "x"}


@pytest.mark.parametrize(
    ("name", "environ", "missing"),
    [
        ("claude", _ANTHROPIC, ()),
        ("claude", {"CLAUDE_CODE_OAUTH_TOKEN": "x"}, ()),
        ("claude", _OPENAI, ("ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN",)),
        ("codex", _OPENAI, ()),
        ("codex", _ANTHROPIC, ("CODEX_API_KEY or OPENAI_API_KEY",)),
        ("gemini", {"GEMINI_API_KEY": "x"}, ()),
        ("opencode", _ANTHROPIC, ()),
        ("aider", _ANTHROPIC, ()),  # it takes the model of the key that is there
        ("aider", {**_ANTHROPIC, "AIDER_MODEL": "sonnet"}, ()),
        ("aider", {**_ANTHROPIC, "AIDER_MODEL": "openai/gpt-4o"}, ("OPENAI_API_KEY",)),
        ("aider", {**_OPENAI, "AIDER_MODEL": "deepseek/deepseek-chat"}, ("what deepseek/deepseek-chat asks for",)),
        ("goose", {**_ANTHROPIC, "GOOSE_MODEL": "m"}, ("OPENAI_API_KEY",)),  # it is told openai where nothing is named
        ("goose", {**_ANTHROPIC, "GOOSE_MODEL": "m", "GOOSE_PROVIDER": "anthropic"}, ()),
        ("goose", {**_OPENAI, "GOOSE_MODEL": "m", "GOOSE_PROVIDER": "anthropic"}, ("ANTHROPIC_API_KEY",)),
        ("goose", {**_OPENAI, "GOOSE_MODEL": "m"}, ()),
        ("goose", _OPENAI, ("GOOSE_MODEL",)),
        ("mini", {**_ANTHROPIC, "MSWEA_MODEL_NAME": "claude-sonnet-4-5"}, ()),
        ("mini", {**_ANTHROPIC, "MSWEA_MODEL_NAME": "openai/small"}, ("OPENAI_API_KEY",)),
        ("mini", {}, ("ANTHROPIC_API_KEY or OPENAI_API_KEY", "MSWEA_MODEL_NAME")),
        ("qwen", _OPENAI, ("OPENAI_MODEL",)),
    ],
)
def test_what_it_lacks(name: str, environ: Mapping[str, str], missing: tuple[str, ...]) -> None:
    assert lacks(program(name), environ, login=False) == missing


def test_a_login_is_as_good_as_a_key() -> None:
    assert lacks(program("codex"), {}, login=True) == ()

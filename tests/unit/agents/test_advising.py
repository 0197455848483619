"""What a person is told to do: by what this agent was given, and before what the program said."""

from __future__ import annotations

import time

import pytest

from interlock.agents.failures import Access, Cause, advice, classify_failure, telling, too_old, unset
from interlock.ports import Ended

_BAD_KEY = "unexpected status 401 Unauthorized: invalid api key"
_REGION = (
    '{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported"'
)
_DOWN = "Reconnecting... waiting for network (Connection failed: error sending request)"
_KEYS = {"OPENAI_API_KEY": "x", "OTHER": "y"}


@pytest.mark.parametrize(
    ("said", "access", "told"),
    [
        (_BAD_KEY, Access("aider", _KEYS, ("OTHER", "OPENAI_API_KEY")), "the key in OPENAI_API_KEY was refused: set a"),
        (_BAD_KEY, Access("aider", {"OTHER": "y"}, ("OTHER",)), "the key in OTHER was refused"),
        (_BAD_KEY, Access("codex", {}, login=True), "the login of codex was refused: log in with it again"),
        (_BAD_KEY, Access("codex", {}, login=False), "it has no key: name one under the agent's `secrets`, or lend a"),
        (_BAD_KEY, Access("aider", {}), "it has no key: name one under the agent's `secrets`"),
        ("status 403 Forbidden", Access("codex", _KEYS), "the key in OPENAI_API_KEY has no right to this"),
        (f"unexpected status 403 Forbidden: {_REGION}", Access("codex", _KEYS), "the provider does not serve this"),
        ("status 404 not found", Access("codex", _KEYS, (), "http://a:1"), "or the agent's `endpoint` (http://a:1)"),
        ("model x does not exist", Access("codex", _KEYS), "correct the agent's `model`"),
        (
            _DOWN,
            Access("codex", {}, (), "http://u:p@a:1"),
            "nobody answers at http://a:1: is it up, and is the agent's",
        ),
        (
            "API Error: Unable to connect to API (ECONNREFUSED)",
            Access("claude", {"ANTHROPIC_BASE_URL": "http://b:2"}),
            "nobody answers at http://b:2: is it up, and is ANTHROPIC_BASE_URL right?",
        ),
        (_DOWN, Access("codex", {}), "its provider cannot be reached"),
        ("API Error: 529 Overloaded", Access("claude", {}), ""),
    ],
)
def test_what_to_do(said: str, access: Access, told: str) -> None:
    wanted = advice(classify_failure(said, time.time()).cause, access)
    assert told in wanted
    assert bool(told) is bool(wanted)
    assert "login" not in wanted or access.login is not None  # which the program takes


def test_where_no_keys_help_none_are_asked_for() -> None:
    key = Access("codex", {}, ("OPENAI_API_KEY",), login=False)
    assert unset(key) == "none of the agent's `secrets` is set: set OPENAI_API_KEY"
    assert unset(Access("codex", {"CODEX_API_KEY": "of the stage"}, ("OPENAI_API_KEY",))) == ""
    assert unset(Access("codex", {}, ("OPENAI_API_KEY",), login=True)) == ""
    assert unset(Access("codex", {}, (), "http://own")) == ""


def test_the_programs_words_come_last_and_are_cut() -> None:
    said = telling("goose", advice(Cause.CREDIT, Access("goose", {})), "x" * 3_000)
    assert said.index("add credit") < said.index("; it said: x")
    assert len(said) < 2_200
    assert telling("goose", "", "it broke") == "goose: it broke"


def test_one_that_is_newer_than_the_tested_is_not_too_old() -> None:
    assert too_old("codex", "0.20.0", "x").startswith("codex 0.20.0 is too old: install 0.169.0 or newer; it said: x")
    assert "too old" not in too_old("codex", "0.200.0", "x")
    assert "install 0.169.0, which is tested" in too_old("codex", "0.200.0", "x")


def test_a_region_is_for_good() -> None:
    gemini = '[API Error: {"error":{"code":400,"message":"User location is not supported for the API use."}}]'
    for said in (_REGION, gemini):
        known = classify_failure(said, time.time())
        assert (known.ended, known.permanent, known.cause) == (Ended.UNAVAILABLE, True, Cause.REGION)

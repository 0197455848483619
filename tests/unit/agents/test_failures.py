"""What the errors of providers and programs mean, and what a person is told to do."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from interlock.agents.failures import (
    Access,
    Cause,
    advice,
    classify_failure,
    failure_message,
    missing_keys,
    reset_time,
    too_old_message,
    unknown_flag_line,
)
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
        ("status 403 Forbidden", Access("codex", _KEYS), "the key in OPENAI_API_KEY has no permission for this"),
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
    assert "login" not in wanted or access.login is not None  # only if the program takes one


def test_no_keys_are_asked_for_if_they_would_not_help() -> None:
    key = Access("codex", {}, ("OPENAI_API_KEY",), login=False)
    assert missing_keys(key) == "none of the agent's `secrets` is set: set OPENAI_API_KEY"
    assert missing_keys(Access("codex", {"CODEX_API_KEY": "of the stage"}, ("OPENAI_API_KEY",))) == ""
    assert missing_keys(Access("codex", {}, ("OPENAI_API_KEY",), login=True)) == ""
    assert missing_keys(Access("codex", {}, (), "http://own")) == ""


def test_the_text_of_the_program_comes_last_and_is_cut() -> None:
    said = failure_message("goose", advice(Cause.CREDIT, Access("goose", {})), "x" * 3_000)
    assert said.index("add credit") < said.index("; it said: x")
    assert len(said) < 2_200
    assert failure_message("goose", "", "it broke") == "goose: it broke"


def test_a_newer_version_is_not_too_old() -> None:
    assert too_old_message("codex", "0.20.0", "x").startswith(
        "codex 0.20.0 is too old: install 0.169.0 or newer; it said: x"
    )
    assert "too old" not in too_old_message("codex", "0.200.0", "x")
    assert "install 0.169.0, the tested version" in too_old_message("codex", "0.200.0", "x")


def test_a_region_is_permanent() -> None:
    gemini = '[API Error: {"error":{"code":400,"message":"User location is not supported for the API use."}}]'
    for said in (_REGION, gemini):
        known = classify_failure(said, time.time())
        assert (known.ended, known.permanent, known.cause) == (Ended.UNAVAILABLE, True, Cause.REGION)


_ACCESS = Access("codex", {})
NOW = datetime(2026, 3, 4, 22, 30, tzinfo=UTC).timestamp()  # a Wednesday
_BILLING = "You exceeded your current quota, please check your plan and billing details."
_GEMINI = '[API Error: {"error":{"code":%d,"message":"%s","status":"%s"}}]'


@pytest.mark.parametrize(
    ("words", "ended", "permanent"),
    [
        ("API Error: 529 Overloaded. This is a server-side issue, usually temporary", Ended.UNAVAILABLE, False),
        ("We\u2019re currently experiencing high demand, which may cause temporary errors.", Ended.UNAVAILABLE, False),
        (_GEMINI % (500, "An internal error has occurred.", "INTERNAL"), Ended.UNAVAILABLE, False),
        (_GEMINI % (503, "The model is overloaded.", "UNAVAILABLE"), Ended.UNAVAILABLE, False),
        ("[API Error: An internal error has occurred.]", Ended.UNAVAILABLE, False),
        ("[API Error: terminated]", Ended.UNAVAILABLE, False),
        ("[API Error: exception TypeError: fetch failed sending request]", Ended.UNAVAILABLE, False),
        ("Ran into this error: Request failed: Stream decode error: error decoding", Ended.UNAVAILABLE, False),
        ("Network error: Could not connect to 127.0.0.1:9", Ended.UNAVAILABLE, False),
        ("Cannot connect to API: The socket connection was closed unexpectedly.", Ended.UNAVAILABLE, False),
        ("Reconnecting... waiting for network (Connection failed: error sending request)", Ended.UNAVAILABLE, False),
        (
            _GEMINI % (400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT"),
            Ended.UNAVAILABLE,
            True,
        ),
        (_GEMINI % (403, "Permission denied", "PERMISSION_DENIED"), Ended.UNAVAILABLE, True),
        ("Failed to authenticate. API Error: 401 invalid api key", Ended.UNAVAILABLE, True),
        ("Credit balance is too low", Ended.OUT_OF_BUDGET, True),
        ("Your credit balance is too low to access the Anthropic API.", Ended.OUT_OF_BUDGET, True),
        ('{"code": "insufficient_quota", "status": 429}', Ended.OUT_OF_BUDGET, True),
        (f"API Error: Request rejected (429) \u00b7 {_BILLING}", Ended.OUT_OF_BUDGET, True),
        ("Quota exceeded. Check your plan and billing details.", Ended.OUT_OF_BUDGET, True),
        ("Billing hard limit has been reached", Ended.OUT_OF_BUDGET, True),
        ("error code: 402 Payment required", Ended.OUT_OF_BUDGET, True),
        (f"[API Error: {_BILLING} Please retry in 3h12m5.2s.]", Ended.RATE_LIMITED, False),
        ("exceeded retry limit, last status: 429 Too Many Requests", Ended.RATE_LIMITED, False),
        ("5-hour limit reached, resets 3am", Ended.RATE_LIMITED, False),
        ("The model response was blocked due to safety settings.", Ended.REFUSED, False),
        ("The response was blocked by the provider's content filter", Ended.REFUSED, False),
        ("Incomplete response returned, reason: content_filter", Ended.REFUSED, False),
        ("model gpt-9 does not exist", Ended.UNAVAILABLE, True),
        ("sh: a.txt: Permission denied", Ended.CRASHED, False),
        ("it went wrong", Ended.CRASHED, False),
    ],
)
def test_what_an_error_means(words: str, ended: Ended, permanent: bool) -> None:
    known = classify_failure(words, NOW)
    assert (known.ended, known.permanent) == (ended, permanent)
    assert not permanent or advice(known.cause, _ACCESS)  # a person is told what to do
    assert known.ended is not Ended.RATE_LIMITED or "last status" in words or known.retry_at > NOW


@pytest.mark.parametrize(
    "words",
    [
        "error: unexpected argument '--json' found",
        "error: unknown option '--restricted'",
        "aider: error: unrecognized arguments: --no-detect-urls",
        "Unknown arguments: skip-trust, skipTrust",
        "No such option: --exit-immediately",
    ],
)
def test_an_unknown_flag_is_recognized(words: str) -> None:
    assert unknown_flag_line(f"Usage: x\n  {words}\n") == words
    assert unknown_flag_line("it works") == ""
    assert unknown_flag_line(f"{{}}\n{words}") == ""


MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
BERLIN = ZoneInfo("Europe/Berlin")


def at(*when: int, zone: ZoneInfo | None = None) -> float:
    """The end of the minute."""
    return (datetime(*when, tzinfo=zone or UTC) + timedelta(minutes=1)).timestamp()  # type: ignore[misc, arg-type]


@pytest.fixture(autouse=True)
def here_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("words", "after"),
    [
        ("Rate limit reached for gpt-5. Please try again in 1.898s. Visit", 1.898),
        ("Please try again in 20ms.", 0.02),
        ("try again in 6m0s", 6 * MINUTE),
        ("Please retry in 7h12m0s.", 7 * HOUR + 12 * MINUTE),
        ("Please retry in 3h12m5.25s.\nSuggested retry after 11525s.", 3 * HOUR + 12 * MINUTE + 5.25),
        ("You've hit your usage limit. Try again in 2 days 3 hours.", 2 * DAY + 3 * HOUR),
        ("try again in 4 days 17 hours 5 minutes", 4 * DAY + 17 * HOUR + 5 * MINUTE),
        ("Try again in 1 hour, 3 minutes and 2 seconds", HOUR + 3 * MINUTE + 2),
        ("retry-after: 300", 300),
        ("Retry-After 12", 12),
        ('"retryDelay": "11525s"', 11_525),
        ('{"resets_in_seconds": 18000}', 5 * HOUR),
        ("Your quota will reset after 10h24m30s.", 10 * HOUR + 24 * MINUTE + 30),
        ("limit resets in 1 week", 7 * DAY),
        ("Please wait 45 seconds before the next request", 45),
        ("The limit is 5 in 3 minutes", -NOW),
        ("try again later", -NOW),
        ("model gpt-5 again 4 of 5", -NOW),
    ],
)
def test_a_span(words: str, after: float) -> None:
    assert reset_time(words, NOW) == pytest.approx(max(0.0, NOW + after))


@pytest.mark.parametrize(
    ("words", "when"),
    [
        ("Claude AI usage limit reached|1772668800", 1_772_668_800),
        ('{"type": "usage_limit_reached", "resets_at": 1772668800}', 1_772_668_800),
        ("resetsAt: 1772668800123", 1_772_668_800),
        ("Quota exceeded, resets at 2026-03-05T03:00:00Z", at(2026, 3, 5, 2, 59)),
        ("try again after 2026-03-05T03:00:00+01:00.", at(2026, 3, 5, 1, 59)),
        ("Your quota resets on 2026-03-05 03:00:00 UTC", at(2026, 3, 5, 2, 59)),
        ("5-hour limit reached ∙ resets 3am", at(2026, 3, 5, 3)),
        ("You've hit your limit · resets 11pm", at(2026, 3, 4, 23)),
        ("You've hit your session limit · resets 3:45pm (Europe/Berlin)", at(2026, 3, 5, 15, 45, zone=BERLIN)),
        ("You've hit your weekly limit · resets Oct 9 at 3pm (UTC)", at(2026, 10, 9, 15)),
        ("weekly limit · resets Jan 2, 12am (UTC)", at(2027, 1, 2, 0)),
        ("Resets Mon 9:00 AM (Europe/Berlin)", at(2026, 3, 9, 9, zone=BERLIN)),
        ("resets Wednesday 9 PM", at(2026, 3, 11, 21)),
        ("You've hit your usage limit. try again at 11:30 PM.", at(2026, 3, 4, 23, 30)),
        ("or try again at Mar 6th, 2026 3:05 AM.", at(2026, 3, 6, 3, 5)),
        ("resets 01:15", at(2026, 3, 5, 1, 15)),
        ("Resets Feb 31 at 3pm", at(2026, 3, 5, 15)),
    ],
)
def test_a_time(words: str, when: float) -> None:
    assert reset_time(words, NOW) == when


def test_an_unknown_zone_is_local() -> None:
    assert reset_time("resets 3am (Mars/Olympus)", NOW) == at(2026, 3, 5, 3)

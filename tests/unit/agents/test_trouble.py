"""What the errors of providers and programs mean, in the words that the real programs print."""

from __future__ import annotations

import pytest

from interlock.agents.failures import Access, advice, classify_failure, does_not_know
from interlock.ports import Ended

_ACCESS = Access("codex", {})
NOW = 1_772_663_400.0
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
def test_a_flag_that_it_does_not_know(words: str) -> None:
    assert does_not_know(f"Usage: x\n  {words}\n") == words
    assert does_not_know("it works") == ""
    assert does_not_know(f"{{}}\n{words}") == ""

"""Reset times in all the forms that programs and providers print."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from interlock.agents.resets import reset_time

NOW = datetime(2026, 3, 4, 22, 30, tzinfo=UTC).timestamp()  # a Wednesday
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

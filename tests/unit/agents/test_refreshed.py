"""What of a login that an attempt left is a refresh of it, and what never comes back."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest

from interlock.agents.credentials import refreshed

NOW = 1_800_000_000
SOON, LATER, FAR = NOW + 60, NOW + 8 * 3600, NOW + 20 * 3600


def jwt(ends: int, sub: str = "me", account: str = "a1", plan: str = "plus") -> str:
    claims = {"iss": "https://auth", "sub": sub, "exp": ends}
    claims["https://api.openai.com/auth"] = {"chatgpt_account_id": account, "chatgpt_plan_type": plan}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.signature"


def claude(access: str, refresh: str, ends: int, kind: str = "max") -> dict[str, Any]:
    tokens = {"accessToken": access, "refreshToken": refresh, "expiresAt": ends * 1000}
    return {"claudeAiOauth": {**tokens, "scopes": ["user:inference"], "subscriptionType": kind}}


def codex(ends: int, refresh: str, last: str, sub: str = "me", **more: object) -> dict[str, Any]:
    tokens = {"id_token": jwt(ends, sub), "access_token": jwt(ends, sub), "refresh_token": refresh, "account_id": "a1"}
    return {"OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": last, **more}


def opencode(access: str, refresh: str, ends: int) -> dict[str, Any]:
    login = {"type": "oauth", "refresh": refresh, "access": access, "expires": ends * 1000}
    return {"anthropic": login, "openai": {"type": "api", "key": "sk-own"}}


OLD = "2027-01-07T08:00:00.123456789Z"
FRESH = "2027-01-15T08:00:00Z"

REFRESHES = {
    "claude": (claude("a1", "r1", SOON), claude("a2", "r2", LATER)),
    "claude, whose token has ended": (claude("a1", "r1", NOW - 9999), claude("a2", "r2", LATER)),
    "claude, with the same refresh token": (claude("a1", "r1", SOON), claude("a2", "r1", LATER)),
    "codex": (codex(SOON, "r1", "2027-01-14T08:00:00Z"), codex(LATER, "r2", FRESH)),
    "codex, after a week": (codex(LATER, "r1", OLD), codex(FAR, "r2", FRESH)),
    "opencode": (opencode("a1", "r1", SOON), opencode("a2", "r2", LATER)),
}


@pytest.mark.parametrize(("before", "after"), REFRESHES.values(), ids=REFRESHES)
def test_a_refresh_comes_back(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert refreshed(before, after, NOW) == after


def test_the_plan_may_have_changed_and_the_owner_not() -> None:
    before, after = codex(SOON, "r1", OLD), codex(LATER, "r2", FRESH)
    after["tokens"]["access_token"] = jwt(LATER, plan="pro")
    assert refreshed(before, after, NOW) == after
    after["tokens"]["access_token"] = jwt(LATER, account="other")
    assert refreshed(before, after, NOW) == before


CLAUDE, CODEX, OPENCODE = claude("a1", "r1", SOON), codex(SOON, "r1", OLD), opencode("a1", "r1", SOON)
REFUSED: dict[str, tuple[object, object]] = {
    "tokens that need no refresh": (claude("a1", "r1", FAR), claude("a2", "r2", FAR + 9999)),
    "tokens of codex that need none": (codex(FAR, "r1", FRESH), codex(FAR + 9, "r2", FRESH)),
    "tokens that end no later": (CLAUDE, claude("a2", "r2", SOON)),
    "tokens that have ended": (claude("a1", "r1", NOW - 99), claude("a2", "r2", NOW - 9)),
    "tokens without an end": (CLAUDE, claude("a2", "r2", 10**12)),
    "an end that is too large": (CLAUDE, claude("a2", "r2", 10**400)),
    "a login that is gone": (CLAUDE, {}),
    "no object": (CLAUDE, []),
    "nothing instead of an entry": (CLAUDE, {"claudeAiOauth": None}),
    "no refresh token": (CLAUDE, claude("a2", "", LATER)),
    "a token that is none": (CLAUDE, {"claudeAiOauth": {**CLAUDE["claudeAiOauth"], "accessToken": ["x"]}}),
    "another owner": (CODEX, codex(LATER, "r2", FRESH, sub="other")),
    "an owner in the place of none": (CLAUDE, claude(jwt(LATER), "r2", LATER)),
    "no owner in the place of one": (CODEX, {**CODEX, "tokens": {**CODEX["tokens"], "access_token": "opaque"}}),
    "a refresh from the future": (codex(LATER, "r1", OLD), codex(FAR, "r2", "2031-01-01T00:00:00Z")),
    "a key": (CODEX, {**CODEX, "OPENAI_API_KEY": "sk-theirs"}),
    "a key of a provider": (OPENCODE, {**OPENCODE, "openai": {"type": "api", "key": "sk-theirs"}}),
    "one more entry": (OPENCODE, {**OPENCODE, "http://evil": {"type": "wellknown", "key": "K", "token": "t"}}),
    "another kind of entry": (OPENCODE, {**OPENCODE, "openai": {"type": "wellknown", "key": "K", "token": "t"}}),
    "a text in the place of it all": ("text", claude("a2", "r2", LATER)),
}


@pytest.mark.parametrize(("before", "after"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_refresh_never_comes_back(before: object, after: object) -> None:
    assert refreshed(copy.deepcopy(before), after, NOW) == before


def test_beside_a_refresh_nothing_else_comes_back() -> None:
    after = opencode("a2", "r2", LATER)
    after["anthropic"] |= {"type": "wellknown", "enterpriseUrl": "http://evil"}
    after |= {"http://evil": {"type": "wellknown"}, "openai": {"type": "api", "key": "sk-theirs"}}
    assert refreshed(OPENCODE, after, NOW) == opencode("a2", "r2", LATER)

"""A login that an attempt refreshed, and keys that a program gets without its environment."""

from __future__ import annotations

import base64
import copy
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from interlock.agents import adapters
from interlock.agents.credentials import merge_refreshed
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout

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
    assert merge_refreshed(before, after, NOW) == after


def test_the_plan_may_have_changed_and_the_owner_not() -> None:
    before, after = codex(SOON, "r1", OLD), codex(LATER, "r2", FRESH)
    after["tokens"]["access_token"] = jwt(LATER, plan="pro")
    assert merge_refreshed(before, after, NOW) == after
    after["tokens"]["access_token"] = jwt(LATER, account="other")
    assert merge_refreshed(before, after, NOW) == before


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
    assert merge_refreshed(copy.deepcopy(before), after, NOW) == before


def test_beside_a_refresh_nothing_else_comes_back() -> None:
    after = opencode("a2", "r2", LATER)
    after["anthropic"] |= {"type": "wellknown", "enterpriseUrl": "http://evil"}
    after |= {"http://evil": {"type": "wellknown"}, "openai": {"type": "api", "key": "sk-theirs"}}
    assert merge_refreshed(OPENCODE, after, NOW) == opencode("a2", "r2", LATER)


_DUMP = """#!/bin/sh
{ printf '%s\\n' "$@"; env; } > "$TMPDIR/seen"
"""


def _started(name: str, folder: Path, secrets: tuple[str, ...], **options: object) -> tuple[str, Path]:
    """What a program of this name sees as arguments and environment, and its state."""
    checkout = Checkout(folder, folder / "tree", folder / "home", folder / "tmp")
    for one in (checkout.tree, checkout.home, checkout.tmp, folder / "bin"):
        one.mkdir(parents=True)
    (folder / "bin" / name).write_text(_DUMP)
    (folder / "bin" / name).chmod(0o755)
    keys = dict.fromkeys(secrets, "sk-own")
    env = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(checkout.home), "TMPDIR": str(checkout.tmp), **keys}
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "m", {**env, "STAGE_TOKEN": "seen"}, 60, 0)
    told = tuple((key, json.dumps(value)) for key, value in options.items())
    adapters({})[name].work(AgentSpec("own", name, secrets=secrets, options=told), brief, checkout, threading.Event())
    return (checkout.tmp / "seen").read_text(), folder / "agent" / "state"


@pytest.mark.parametrize(
    ("name", "secret", "file"),
    [
        ("claude", "ANTHROPIC_API_KEY", "key"),
        ("claude", "CLAUDE_CODE_OAUTH_TOKEN", ".credentials.json"),
        ("goose", "DATABRICKS_TOKEN", "config/secrets.yaml"),
        ("opencode", "OPENROUTER_API_KEY", "data/opencode/auth.json"),
    ],
)
def test_a_file_of_its_state_has_it(tmp_path: Path, name: str, secret: str, file: str) -> None:
    seen, state = _started(name, tmp_path / "place", (secret,))
    assert "sk-own" not in seen
    assert "STAGE_TOKEN=seen" in seen
    assert "sk-own" in (state / file).read_text()
    assert stat.S_IMODE((state / file).stat().st_mode) == 0o600


def test_opencode_reads_the_key_of_an_endpoint_from_a_file(tmp_path: Path) -> None:
    seen, state = _started("opencode", tmp_path / "place", ("OPENAI_API_KEY",), endpoint="http://127.0.0.1:9")
    assert "sk-own" not in seen
    assert f"{{file:{state}/key}}" in seen


def test_what_opencode_does_not_know_stays_in_its_environment(tmp_path: Path) -> None:
    seen, _ = _started("opencode", tmp_path / "place", ("MY_KEY",))
    assert "MY_KEY=sk-own" in seen


def test_codex_and_gemini_keep_theirs_from_what_they_start(tmp_path: Path) -> None:
    _, state = _started("codex", tmp_path / "codex", ("GATEWAY_PASS",))
    policy = (state / "config.toml").read_text().partition("[shell_environment_policy]")[2]
    assert 'exclude = ["CODEX_API_KEY", "OPENAI_API_KEY", "GATEWAY_PASS"]' in policy
    _, state = _started("gemini", tmp_path / "gemini", ("GEMINI_API_KEY",))
    settings = json.loads((state / "home/.gemini/settings.json").read_text())
    redaction = settings["security"]["environmentVariableRedaction"]
    assert redaction["blocked"] == ["GEMINI_API_KEY", "GOOGLE_API_KEY"]
    assert "STAGE_TOKEN" in redaction["allowed"]

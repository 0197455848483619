"""Agents that speak the Agent Client Protocol: one of our own that does everything wrong, and real ones."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest
from tests.contract.agents.planted import BELOW, MENTIONS, WORD, plant, reads
from tests.contract.agents.world import bin_of, checkout_in
from tests.model_server.script import Step
from tests.model_server.server import serving

from interlock.agents import adapters
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, CommandLine, Scope
from interlock.ports import Brief, Checkout, Ended, Outcome

AGENT = (sys.executable, str(Path(__file__).with_name("acp_agent.py")))
SCOPE = Scope(writes=("a.txt", "protected.txt"), protect=("/protected.txt",))


def work(
    scenario: str,
    checkout: Checkout,
    argv: tuple[str, ...] = AGENT,
    *,
    timeout_s: int = 60,
    schema: str = "",
    before: str = "",
    **env: str,
) -> Outcome:
    given = {"PATH": os.environ["PATH"], "HOME": str(checkout.home), "TMPDIR": str(checkout.tmp), **env}
    asked = f"{before}Please do it. SCENARIO:{scenario}"
    brief = Brief(
        "r", AttemptId("code", 1, 1), asked, asked, "", given, timeout_s, 0, scope=SCOPE, answer_schema=schema
    )
    spec = AgentSpec("own", "acp", CommandLine(argv))
    return adapters(os.environ)["acp"].work(spec, brief, checkout, threading.Event())


def test_an_edit_within_the_bounds(checkout: Checkout) -> None:
    outcome = work("edit", checkout)
    assert (outcome.ended, outcome.message, outcome.session) == (Ended.COMPLETED, "All done.", "session-1"), outcome
    assert (checkout.tree / "a.txt").read_text() == "two\n"
    assert (outcome.usage.tokens_in, outcome.usage.tokens_out, outcome.usage.tokens_cached) == (100, 20, 30)
    assert outcome.usage.cost_usd == 0.25
    assert outcome.log is not None
    assert "Traceback" not in outcome.log.read_text()


def test_tokens_of_the_last_call_alone_are_unknown(checkout: Checkout) -> None:
    assert work("last", checkout).usage == Usage(cost_usd=0.25)


def test_what_the_stage_may_not_change_is_denied_and_refused(checkout: Checkout) -> None:
    said = work("sneak", checkout).message
    assert said == "; ".join(
        f"{path} False refused" for path in ("protected.txt", "../outside.txt", ".git/config", ".interlock/x")
    )
    assert not (checkout.tree.parent / "outside.txt").exists()


def test_the_mode_in_which_it_asks_is_taken(checkout: Checkout) -> None:
    assert work("mode", checkout).message == "default"


def test_a_command_is_allowed_to_a_worker_and_nothing_to_a_reviewer(checkout: Checkout) -> None:
    assert work("shell", checkout).message == "run: True"
    assert work("shell", checkout, schema="{}").message == "run: False"
    work("edit", checkout, schema="{}")
    assert (checkout.tree / "a.txt").read_text() == "one\n"


def test_settings_of_agents_are_not_there_and_come_back(checkout: Checkout) -> None:
    """Nobody knows which of them this agent obeys."""
    settings = (
        ".claude/settings.json",
        ".gemini/.env",
        "opencode.json",
        ".env",
        ".mcp.json",
        ".crush.json",
        "AGENTS.md",
    )
    for name in (*settings, ".env.example"):
        (checkout.tree / name).parent.mkdir(exist_ok=True)
        (checkout.tree / name).write_text(name)
    assert work("look", checkout).message == ".env.example .git a.txt"
    assert work("look", checkout, schema="{}").message == ".env.example .git a.txt"
    assert all((checkout.tree / name).read_text() == name for name in settings)


@pytest.mark.parametrize(
    ("scenario", "ended", "permanent"),
    [
        ("nothing", Ended.COMPLETED, False),
        ("refuse", Ended.REFUSED, False),
        ("long", Ended.CRASHED, False),
        ("lie", Ended.RATE_LIMITED, False),
        ("fail", Ended.UNAVAILABLE, False),
        ("key", Ended.UNAVAILABLE, True),
        ("crash", Ended.CRASHED, False),
    ],
)
def test_how_it_ends(checkout: Checkout, scenario: str, ended: Ended, permanent: bool) -> None:
    outcome = work(scenario, checkout)
    assert (outcome.ended, outcome.permanent) == (ended, permanent), outcome


def test_a_hang_is_a_timeout_and_no_process_is_left(checkout: Checkout) -> None:
    assert work("hang", checkout, timeout_s=4).ended is Ended.TIMED_OUT
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"acp_agent.py" in _content(path)]
    assert left == []


def test_a_program_that_is_not_there(checkout: Checkout) -> None:
    outcome = work("edit", checkout, ("no-such-agent", "--acp"))
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True)
    assert "no-such-agent: not found" in outcome.message


_SCENARIOS = {
    "nothing": (Step("say", "All done."),),
    "edit": (Step("edit", "two\n", "a.txt", "one\n"), Step("say", "All done.")),
    "key": (Step("status", '{"error": {"message": "invalid api key"}}', code=401),),
}


def _real(name: str, base: str, home: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """What a user would write under `run`, and the environment of it."""
    path = {"PATH": f"{bin_of(name)}:{os.environ['PATH']}"}
    match name:
        case "gemini":
            key = {"GEMINI_API_KEY": "sk-test", "GOOGLE_GEMINI_BASE_URL": base}
            return ("gemini", "--acp", "--skip-trust", "-m", "gemini-2.5-pro"), {**path, **key}
        case "codex-acp":
            own = {"name": "own", "base_url": f"{base}/v1", "env_key": "OPENAI_API_KEY", "wire_api": "responses"}
            config = {"model": "gpt-5", "model_provider": "own", "model_providers": {"own": own}}
            given = {"OPENAI_API_KEY": "sk-test", "CODEX_CONFIG": json.dumps(config), "CODEX_HOME": str(home)}
            return ("codex-acp",), {**path, **given}
        case "claude-agent-acp":
            quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "CLAUDE_CODE_MAX_RETRIES": "0"}
            return ("claude-agent-acp",), {**path, **quiet, "ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": base}
        case _:
            own = {"GOOSE_PROVIDER": "openai", "GOOSE_MODEL": "small", "OPENAI_HOST": base, "OPENAI_API_KEY": "sk-test"}
            quiet = {"GOOSE_DISABLE_KEYRING": "1", "GOOSE_MODE": "auto"}
            return ("goose", "acp", "--with-builtin", "developer"), {**path, **own, **quiet}


@pytest.mark.parametrize("name", ["gemini", "goose", "codex-acp", "claude-agent-acp"])
def test_a_real_agent_edits_and_its_failure_is_told(name: str, checkout: Checkout, tmp_path: Path) -> None:
    with serving(_SCENARIOS) as model:
        argv, env = _real(name, model.base, tmp_path)
        beside = checkout.root / "beside.txt"
        beside.write_text("BESIDE")
        outcome = work("edit", checkout, argv, before=f"As @{beside} says.\n", **env)
        assert not [body for _, body in model.requests if "BESIDE" in body]
        assert outcome.ended is Ended.COMPLETED, outcome
        assert (checkout.tree / "a.txt").read_text() == "two\n"
        assert outcome.message.endswith("All done.")
        if name.endswith("-acp"):  # the others report only the last call
            assert (outcome.usage.tokens_in, outcome.usage.tokens_out) == (2010, 41)
            assert (outcome.usage.cost_usd is not None) == (name == "claude-agent-acp")
        else:
            assert outcome.usage.tokens_in is None
        failed = work("key", checkout_in(tmp_path / "other"), argv, **env)
    assert (failed.ended, failed.permanent) == (Ended.UNAVAILABLE, True), failed


@pytest.mark.parametrize("name", ["gemini", "goose"])
def test_a_real_agent_obeys_nothing_that_was_planted(name: str, checkout: Checkout, tmp_path: Path) -> None:
    here = {"read": (*reads(name, checkout.tree), *_SCENARIOS["nothing"])}
    with serving(here) as model, serving(_SCENARIOS) as foreign:
        plant(checkout.tree, foreign.base, tmp_path / "marks")
        argv, env = _real(name, model.base, tmp_path)
        outcome = work("read", checkout, argv, before=MENTIONS, **env)
        told = [body for _, body in model.requests if WORD in body]
    assert all(f"what stands in {folder}" in model.requests[-1][1] for folder in BELOW)
    assert (outcome.ended, foreign.requests, told) == (Ended.COMPLETED, [], []), outcome
    assert list((tmp_path / "marks").iterdir()) == []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

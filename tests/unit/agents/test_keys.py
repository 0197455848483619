"""A program has its key, and its environment does not: what it starts would see that."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from interlock.agents import adapters
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout

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

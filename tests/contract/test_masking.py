"""Secrets never reach what is kept: in one piece or two, in logs, messages, answers and transcripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.bad_input_world import Ground, repository

from interlock.agents.credentials import secret_tokens
from interlock.process import masked
from interlock.process.masking import Mask

KEY = "sk-very-secret-0123456789"


@given(st.lists(st.sampled_from([KEY, KEY[:9], KEY[9:], "x", "sk-", "\n", KEY[:-1]]), max_size=12), st.data())
def test_in_whatever_parts_it_comes_it_is_as_in_one(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts).encode()
    mask = Mask([KEY, KEY[:9], ""])
    said, at = b"", 0
    while at < len(whole):
        size = data.draw(st.integers(1, 8))
        said += mask.feed(whole[at : at + size])
        at += size
    said += mask.rest()
    assert KEY.encode() not in said
    assert KEY[:9].encode() not in said
    assert said.replace(b"***", b"") == masked(whole, [KEY, KEY[:9]]).replace(b"***", b"")


def test_short_values_are_left_and_nothing_is_held_back_for_them() -> None:
    mask = Mask(["on", ""])
    assert mask.feed(b"turn it on") == b"turn it on"
    assert masked(b"turn it on", ["on"]) == b"turn it on"


def test_the_tokens_of_a_login_are_its_long_words(tmp_path: Path) -> None:
    login = tmp_path / "auth.json"
    login.write_text(
        json.dumps(
            {
                "type": "oauth",
                "scope": "user:sessions:of-a-program",
                "tokens": [{"access": "a1" * 20}, {"refresh": "b2" * 15}],
                "at": 12,
            }
        )
    )
    assert set(secret_tokens(login)) == {"a1" * 20, "b2" * 15}
    assert secret_tokens(tmp_path / "none") == ()


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, repository(tmp_path / "repository"))


def test_an_agent_that_prints_its_key_gives_nothing_away(ground: Ground) -> None:
    ground.environ["AGENT_KEY"] = KEY
    (ground.root / "agent").write_text(
        """set -eu
        printf 'the key is %s' "${AGENT_KEY:0:9}"; sleep 0.3; printf '%s\\n' "${AGENT_KEY:9}"
        echo '{"message": "I used '"$AGENT_KEY"'"}' > "$INTERLOCK_USAGE"
        echo done > made.txt
        """
    )
    (ground.repository / "interlock.yaml").write_text(
        f"""version: 1
agents:
  own: {{use: command, run: [bash, {ground.root}/agent], secrets: [AGENT_KEY]}}
stages:
  code:
    agent: own
    gates:
      - {{id: told, run: 'echo "with $AGENT_KEY"; test -s made.txt', secrets: [AGENT_KEY]}}
"""
    )
    said = ground.ask("run", "-t", "do it", "--plain")
    assert said.code == 0, said.text
    assert "I used ***" in ground.ask("show", "code/1.1").text
    assert "the key is ***" in ground.ask("logs", "code/1.1").text
    holding = [path for path in ground.state.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holding == []

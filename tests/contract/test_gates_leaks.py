"""A candidate that holds a secret that was handed out is rejected by `scope`, and nothing that is kept shows it."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.bad_input_world import Ground, repository
from tests.contract.gates_world import World, run_gate

from interlock.agents import adapters
from interlock.core.events import Finding, VerdictStatus
from interlock.core.pipeline import AgentSpec, Gate, GateKind, Pipeline, Scope, Stage
from interlock.gates.referee import Referee
from interlock.ports import Judgement

KEY = "sk-very-secret-0123456789"
ENVIRON = {"AGENT_KEY": KEY, "SHORT": "true", "WORD": "postgres"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world", ENVIRON)


def pipeline_of(*gates: Gate) -> Pipeline:
    stage = Stage("code", agent="coder", gates=gates or (Gate("scope", GateKind.SCOPE),))
    return Pipeline("test", (stage,), agents=(AgentSpec("coder", "command", secrets=tuple(ENVIRON)),))


def judged(world: World, base: dict[str, str], files: dict[str, str | bytes]) -> Judgement:
    before = world.trees.commit(base)
    return world.scope(Scope(), world.trees.commit(files, before), before, pipeline=pipeline_of())


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"a = 1\nkey = '{KEY}'\n", 2),
        (f"key = '{KEY[:8]}' \\\n    '{KEY[8:]}'\n", 1),
        (f"\n\n{base64.b64encode(b'ann:' + KEY.encode()).decode()}\n", 3),
        (f"\0\0{KEY}\0", 1),
        ("x\n" * 1_000_000 + KEY, 1_000_001),
    ],
)
def test_in_a_file(world: World, content: str, line: int) -> None:
    said = judged(world, {"a.py": "a = 1\n"}, {"a.py": content, "b.py": "b = 1\n"})
    assert said.status is VerdictStatus.FAILED
    (finding,) = said.findings
    assert (finding.rule, finding.file, finding.line) == ("secret", "a.py", line)
    assert finding.message.startswith(f"a.py:{line}: contains the value of AGENT_KEY")
    assert KEY[:8] not in finding.message


def test_in_the_name_of_a_file_and_no_other_finding_shows_it(world: World) -> None:
    before = world.trees.commit({"a.py": "a = 1\n"})
    after = world.trees.commit({f"docs/{KEY}.md": "x\n"}, before)
    said = world.scope(Scope(writes=("src/**",)), after, before, pipeline=pipeline_of())
    assert {finding.rule for finding in said.findings} == {"secret", "outside_writes"}
    assert KEY not in repr(said)
    assert "docs/***.md" in repr(said)


def test_in_where_a_link_leads(world: World) -> None:
    before = world.trees.commit({"a.py": "a = 1\n"})
    (world.trees.repository / "link").symlink_to(KEY)
    said = world.scope(Scope(), world.trees.seal(), before, pipeline=pipeline_of())
    assert [finding.rule for finding in said.findings] == ["secret"]


@pytest.mark.parametrize(
    ("base", "files"),
    [
        ({"a.py": "a = 1\n"}, {"a.py": "it is true, and of postgres\n"}),
        ({"a.py": "a = 1\n", "compose.yaml": f"password: {KEY}\n"}, {"a.py": f"password = '{KEY}'\n"}),
        ({"a.py": f"key = '{KEY}'\n"}, {"a.py": f"\nkey = '{KEY}'\n"}),
        ({"a.py": "a = 1\n"}, {"a.py": "key = os.environ['AGENT_KEY']\n"}),
    ],
)
def test_what_everybody_knows_is_no_fault(world: World, base: dict[str, str], files: dict[str, str]) -> None:
    assert judged(world, base, files).status is VerdictStatus.PASSED


def test_what_was_taken_out_is_no_fault(world: World) -> None:
    before = world.trees.commit({"a.py": f"key = '{KEY}'\n", "b.py": KEY})
    after = world.trees.commit({"a.py": "key = ''\n", "b.py": None}, before)
    assert world.scope(Scope(), after, before, pipeline=pipeline_of()).status is VerdictStatus.PASSED


def test_a_gate_that_was_given_nothing_shows_nothing_of_a_candidate_that_holds_it(world: World) -> None:
    before = world.trees.commit({"a.py": "a = 1\n"})
    encoded = base64.b64encode(KEY.encode()).decode()
    after = world.trees.commit({"a.py": f"{KEY}\n", "b.py": f"{encoded}\n"}, before)
    gate = run_gate("cat a.py b.py; grep -n . a.py >&2; false")
    said = world.judge(gate, after, before, pipeline=pipeline_of(gate))
    assert said.status is VerdictStatus.FAILED
    log = world.evidence(said, "log")
    assert b"***" in log
    assert KEY.encode() not in log
    assert encoded[:-4].encode() not in log
    assert KEY not in repr(said)


def test_a_run_keeps_nothing_of_it_but_the_candidate(tmp_path: Path) -> None:
    """The first attempt leaves its key in a file and in a file's name, the second one does not."""
    ground = Ground(tmp_path, repository(tmp_path / "repository"))
    ground.environ["AGENT_KEY"] = KEY
    (ground.root / "agent").write_text(
        f"""set -eu
        if test -e {ground.root}/asked; then echo done > made.txt; exit; fi
        touch {ground.root}/asked
        printf 'key: %s\\n' "$AGENT_KEY" > made.txt
        printf %s "$AGENT_KEY" | base64 > encoded.txt; cat encoded.txt made.txt
        echo x > "$AGENT_KEY"
        """
    )
    (ground.repository / "interlock.yaml").write_text(
        f"""version: 1
agents:
  own: {{use: command, run: [bash, {ground.root}/agent], secrets: [AGENT_KEY]}}
stages:
  code:
    agent: own
    gates: [{{id: told, run: 'cat made.txt'}}]
"""
    )
    said = ground.ask("run", "-t", "do it", "--plain")
    assert said.code == 0, said.text
    shown = ground.ask("show", "code/1.1").text
    assert "made.txt:1: contains the value of AGENT_KEY" in shown
    assert "encoded.txt:1: contains the value of AGENT_KEY" in shown
    assert "the name of ***: contains" in shown
    assert KEY not in said.text + shown
    _not_shown(ground, encoded=base64.b64encode(KEY.encode()).decode())
    encoded = base64.b64encode(KEY.encode()).rstrip(b"=")[:-1]
    kept = [path for path in ground.state.rglob("*") if path.is_file() and "store.git" not in path.parts]
    assert [path for path in kept if any(form in path.read_bytes() for form in (KEY.encode(), encoded))] == []
    assert not any(KEY in os.fsdecode(path) for path in kept)


def _not_shown(ground: Ground, encoded: str) -> None:
    """Of the rejected candidate, to anybody who does not ask for it."""
    for words in (["code/1.1"], ["code/1.1", "--stat"], ["code/1.1", "--json"], ["code/1.1", "code"]):
        text = ground.ask("diff", *words).text
        assert "***" in text
        assert KEY not in text
        assert encoded not in text
    assert (
        "encoded.txt is left out: it contains a secret that the agent had access to (see the findings of code/1.1)"
        in text
    )
    refused = ground.ask("diff", "code/1.1", "--raw")
    assert (refused.code, KEY in refused.text) == (2, False)
    whole = ground.ask("diff", "code/1.1", "--unmasked", "--raw").text
    assert KEY in whole
    assert encoded in whole
    assert "+done" in ground.ask("diff", "code").text


def test_a_login_that_is_lent_is_a_secret_too(world: World, tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "auth.json").write_text(json.dumps({"tokens": {"refresh_token": f"rt-{KEY}"}}))
    agents = adapters({"HOME": str(tmp_path)}, tmp_path)
    context = replace(world.context, agents=agents)
    before = world.trees.commit({"a.py": "a = 1\n"})
    after = world.trees.commit({"a.py": f"key = 'rt-{KEY}'\n"}, before)
    gate = Gate("scope", GateKind.SCOPE)
    for login, status in (("true", VerdictStatus.FAILED), ("false", VerdictStatus.PASSED)):
        stage = Stage("code", agent="coder", gates=(gate,))
        pipeline = Pipeline("test", (stage,), agents=(AgentSpec("coder", "codex", options=(("login", login),)),))
        said = Referee(context).evaluate(world.request(gate, after, before, stage, pipeline=pipeline), world.cancel)
        assert said.status is status
        assert all("a.py:1: contains the value of your login of codex" in finding.message for finding in said.findings)
        assert KEY not in repr(said)


def test_findings_stay_as_they_are_without_secrets(world: World) -> None:
    before = world.trees.commit({"a.py": "a = 1\n"})
    after = world.trees.commit({"b.py": KEY}, before)
    said = world.scope(Scope(writes=()), after, before)
    assert [finding.rule for finding in said.findings] == ["outside_writes"]
    assert isinstance(said.findings[0], Finding)

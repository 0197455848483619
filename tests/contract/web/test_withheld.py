"""What a candidate was rejected for holding is on no page, and in no document that an agent is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.contract.web.world import served

from interlock.mcp.tool import ToolError
from interlock.mcp.tools import Program, artifact

_KEY = "sk-very-secret-0123456789"
_PIPELINE = """\
version: 1
name: quick
agents:
  own:
    use: command
    run: |
      echo "# $AGENT_KEY" | tee "$ARTIFACTS/plan.md" > "x-$AGENT_KEY.txt"
      printf '# Fine\\033[2J\\n' | tee fine.txt > "$ARTIFACTS/other.md"
    secrets: [AGENT_KEY]
stages:
  code:
    agent: own
    attempts: 1
    produces: {plan: {file: plan.md}, other: {file: other.md}}
    gates: [{id: there, run: "true"}]
"""


def test_nowhere_else_than_in_a_diff_that_asks_for_it(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": _PIPELINE}, AGENT_KEY=_KEY)
    world.ask("run", "-t", "do it", "--plain")
    run = world.show()["id"]
    with served(world) as site, site.client() as client:
        page = client.get(f"/runs/{run}/attempts/code/1.1")
        changes = client.get(f"/api/v1/runs/{run}/changes/code/1.1")
    assert (page.status_code, changes.status_code) == (200, 200)
    assert _KEY not in page.text + changes.text
    assert "plan.md is left out" in page.text
    assert "Fine" in page.text
    assert "***" in changes.text
    program = Program(world.repository, world.environment())
    assert artifact(program, run, "code/1.1", "other.md") == "# Fine\n"
    with pytest.raises(ToolError, match="holds a secret"):
        artifact(program, run, "code/1.1", "plan.md")

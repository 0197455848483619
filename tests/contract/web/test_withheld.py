"""What a candidate was rejected for holding is on no page, and in no document that an agent is told; who approves what
a page cannot show says that they know it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.contract.web.world import hidden, served

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


_LATER = """version: 1
name: quick
agents:
  own: {use: command, run: 'echo "key = $AGENT_KEY" > key.txt; seq 9000 > long.txt', secrets: [AGENT_KEY]}
  next:
    use: command
    run: |
      cp key.txt copy.txt; git mv key.txt moved.txt
      echo more | tee -a copy.txt moved.txt > fine.txt; echo fine >> fine.txt
stages:
  code: {agent: own, attempts: 1, gates: [{id: there, run: "true"}]}
  ship: {needs: [code], agent: next, gates: [{id: merge, approve: Merge it?}]}
"""


def test_a_secret_stays_withheld_after_it_was_accepted_and_an_approval_says_that_not_all_was_seen(
    tmp_path: Path,
) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": _LATER}, AGENT_KEY=_KEY)
    world.ask("run", "-t", "do it", "--plain")
    run = world.show()["id"]
    world.ask("accept", run, "code/1.1", "--override", "-m", "it is an old key", "--plain").ended(3, "Merge it?")
    whole, raw = world.ask("diff", run), world.ask("diff", run, "--raw")
    assert "moved.txt is left out" in whole.out, whole.text
    assert "copy.txt is left out" in whole.out, whole.text
    assert "+fine" in whole.out
    raw.ended(2, "--unmasked shows it")
    assert _KEY in world.ask("diff", run, "--unmasked").out
    with served(world) as site, site.client() as client:
        page = client.get(f"/runs/{run}")
        change = client.get(f"/runs/{run}/attempts/ship/1.1?against=base")
        assert _KEY not in whole.text + raw.text + page.text + change.text
        assert "fine.txt" in page.text
        assert "The page does not show the whole change: 2 files and 6,000 lines left out" in page.text
        assert "large: open it to read 3,000 of 9,000 lines" in page.text
        assert "<code>fine</code>" in page.text
        form = {**hidden(page.text), "action": "approve", "comment": "good"}
        refused = client.post(f"/runs/{run}/answers", data=form, headers={"origin": site.base})
        assert (refused.status_code, "Tick that you know it" in refused.text) == (400, True)
        assert not world.show()["answers"][1:]
        taken = client.post(f"/runs/{run}/answers", data={**form, "unseen": "yes"}, headers={"origin": site.base})
        assert taken.status_code == 303
        assert "good\nI have not seen the whole change." in client.get(taken.headers["location"]).text

"""What a hostile agent and its gates write neither hides, reorders nor marks up anything, on any page and over MCP; a
damaged run among others, and the form of another run, change nothing."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
from tests.contract.cli_world import new_world
from tests.contract.web.states import damage
from tests.contract.web.world import hidden, served

from interlock.mcp.tool import result
from interlock.mcp.tools import Program, get_attempt, get_run, read
from interlock.text.cleaning import visible

_EVIL = r"\u202ea\u00adb\u200b<script>alert(1)</script>\u2028\u001b[31m\udb40\udc41"
_AGENT = rf"""
import json, os, pathlib
evil = json.loads(r'"{_EVIL}"')
print(evil, json.dumps({{"type": "assistant", "message": {{"content": [{{"type": "text", "text": evil}}]}}}}), sep="\n")
pathlib.Path("f\u202eb\u00ad\u001b[31m'<img src=x onerror=alert(1)>.py").write_text(evil + "\nx = 1\n")
pathlib.Path(os.environ["ARTIFACTS"], "plan.md").write_text("# Plan &#x202e;x\n" + evil)
"""
_JUDGE = rf"""
import json, os, pathlib
evil = json.loads(r'"{_EVIL}"')
named = next((name for name in os.listdir(".") if name.startswith("f")), "none")
place = {{"physicalLocation": {{"artifactLocation": {{"uri": named}}, "region": {{"startLine": 1}}}}}}
results = [{{"ruleId": evil, "level": "note", "message": {{"text": "so " + evil}}, "locations": [place]}}]
runs = [{{"tool": {{"driver": {{"name": evil}}}}, "results": results}}]
pathlib.Path(os.environ["REPORT"]).write_text(json.dumps({{"version": "2.1.0", "runs": runs}}))
"""
_PIPELINE = r"""
version: 1
name: quick
agents:
  own: {use: command, run: [python3, agent.py], model: "m\u202eo\u00add<b>el"}
stages:
  code:
    agent: own
    produces: {plan: {file: plan.md}}
    gates:
      - {id: lint, run: python3 judge.py, report: sarif}
      - {id: merge, approve: "Merge \u202eit\u00ad <b>?"}
"""


def hides(text: str) -> list[str]:
    """The lines with what cannot be seen, or with markup of agents."""
    lines = text.replace("\u200d", "").split("\n")
    return [line for line in lines if visible(line) != line or "<script>alert" in line or "<img" in line]


def test_no_page_and_no_answer_over_mcp_hides_anything(tmp_path: Path) -> None:
    files = {"interlock.yaml": _PIPELINE, "agent.py": _AGENT, "judge.py": _JUDGE}
    world = new_world(tmp_path / "w", files)
    runs = []
    for task in (json.loads(f'"{_EVIL}"'), "another", "to be damaged"):
        world.ask("run", "-t", task, "--plain").ended(3)
        runs.append(str(world.ask("list", "--json").json()["runs"][0]["id"]))
    evil, other, damaged = runs
    damage(world, damaged)
    with served(world) as site, site.client() as client:
        foreign = {**hidden(client.get(f"/runs/{other}").text), "action": "approve"}
        refused = client.post(f"/runs/{evil}/answers", data=foreign, headers={"origin": site.base})
        assert (refused.status_code, "Not recorded" in refused.text) == (409, True)
        pages = {
            path: client.get(path)
            for path in ("/", f"/runs/{evil}", f"/runs/{evil}/attempts/code/1.1", f"/runs/{damaged}", "/?q=%E2%80%AE")
        }
        own = {**hidden(client.get(f"/runs/{other}").text), "action": "approve"}
        damage(world, other)  # after it was read
        late = client.post(f"/runs/{other}/answers", data=own, headers={"origin": site.base})
        assert (late.status_code, "event 5 was changed" in late.text) == (500, True)
        assert client.get(f"/runs/{other}").status_code == 500
    assert {path: hides(page.text) for path, page in pages.items() if hides(page.text)} == {}
    assert [page.status_code for page in pages.values()] == [200, 200, 200, 500, 200]
    assert damaged in pages["/"].text
    assert evil in pages["/"].text

    async def asked() -> str:
        program = Program(world.repository, world.environment())
        document = result(await get_run(program, evil, detail="full"))
        attempt = result(await get_attempt(program, evil, "code", detail="full"))
        log = result(await read(program, "log", evil, "code/1.1"))
        return "\n".join(str(part.text) for one in (document, attempt, log) for part in one.content)  # type: ignore[union-attr]

    text = anyio.run(asked)
    assert "alert(1)" in text
    assert [line for line in text.split("\n") if visible(line) != line] == []


def test_the_plan_of_a_hostile_pipeline_hides_nothing(tmp_path: Path) -> None:
    world = new_world(
        tmp_path / "w", {"interlock.yaml": _PIPELINE.replace("stages:", 'deliver: {branch: "b\\u202ex"}\nstages:')}
    )
    shown = world.ask("plan").ended(0, "delivers: branch bx,")
    assert hides(shown.text) == []

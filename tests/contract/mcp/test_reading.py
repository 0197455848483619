"""How much an agent has to read, in which order, and how it comes to the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client
from tests.contract.cli_world import World, new_world
from tests.contract.mcp.world import ask, refused, talk

from interlock.mcp import documents
from interlock.mcp.tools import ANSWER, TOOLS

# A token is counted for four characters of compact JSON. An answer goes out as text and as data, and a program hands
# one of them to its model: both are counted, so that there is a margin of one half.
_TOOLS_MAX, _ANSWER_MAX = 1_500, 1_000

PIPELINE = """\
version: 1
name: feature
agents:
  own:
    use: command
    run: [bash, -c, 'echo x >> COUNT; expr 1 + $(wc -l < COUNT) / 3 > a.py; date +%N > b.py; echo "It is done."']
stages:
  plan:
    run: echo "# Plan" > "$ARTIFACTS/plan.md"
    produces: {plan: {file: plan.md}}
    writes: []
  code:
    needs: [plan]
    agent: own
    attempts: 4
    writes: ["*.py"]
    gates:
      - {id: there, run: test -s a.py}
      - {id: lint, run: 'cp "lint$(cat a.py).json" "$REPORT"; false', report: sarif}
  ship:
    needs: [code]
    gates: [{id: merge, approve: Merge it?}]
    on_reject: [{pause: true}]
"""
TASK = "Round up sizes where the next unit is reached, so that naturalsize(999999) is 1.0 MB and not 1000.0 kB"


def _sarif(how: str, count: int) -> str:
    results = []
    for line in range(1, count + 1):
        where = {"physicalLocation": {"artifactLocation": {"uri": "a.py"}, "region": {"startLine": line}}}
        text = f"local variable `value_{line}` is {how} but never used"
        results += [{"ruleId": "F841", "level": "error", "message": {"text": text}, "locations": [where]}]
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "l"}}, "results": results}]})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run of three stages and five attempts that waits for a person."""
    root = tmp_path_factory.mktemp("read")
    files = {"interlock.yaml": PIPELINE.replace("COUNT", str(root / "count")), "a.py": "0\n"}
    files |= {
        "lint0.json": _sarif("", 0),
        "lint1.json": _sarif("imported", 12),
        "lint2.json": _sarif("assigned to", 12),
    }
    made = new_world(root / "w", files)
    made.ask("run", "-t", TASK, "--plain").ended(3)
    assert [len(stage["attempts"]) for stage in made.show()["stages"]] == [1, 4, 0]
    return made


def test_answers_fit_a_budget_and_the_first_screen_has_what_matters(world: World) -> None:
    async def said(client: Client) -> None:
        run = await ask(client, "get_run")
        assert list(run)[:6] == ["id", "phase", "who_acts", "waits", "reasons", "next"]
        assert (run["phase"], run["who_acts"]) == ("waiting", "person")
        (reason,) = run["reasons"]
        where = (reason["gate"], reason["attempt"], reason["file"], reason["line"], reason["times"])
        assert where == ("code/lint", "code/1.4", "a.py", 1, 2)
        assert reason["message"].startswith("local variable `value_1`")
        assert "tell a person" in run["next"]
        assert 'attempt="code/1.4"' in run["next"]
        assert run["waits"][0]["commands"][0].startswith("interlock retry ")
        attempt = await ask(client, "get_attempt", run=run["id"], attempt="code")
        assert (attempt["id"], attempt["phase"]) == ("code/1.4", "rejected")
        assert [one["id"] for one in attempt["earlier"]] == ["code/1.1", "code/1.2", "code/1.3"]
        for answer in (run, attempt):
            assert _tokens(answer) * 2 <= _ANSWER_MAX, answer
        listed = json.loads(world.ask("list", "--json").out)["runs"]
        runs = documents.runs_document({"runs": listed * 46}, 10)
        assert len(runs["runs"]) == 10
        assert runs["more"] == "36 more: ask with count=20"
        assert runs["runs"][0]["who_acts"] == "person"
        assert runs["runs"][0]["needs"].startswith("attempts of code/1.4: all 4 ")
        assert _tokens(runs) * 2 <= _ANSWER_MAX

    talk(world, said)


def test_the_tools_fit_a_budget(world: World) -> None:
    async def said(client: Client) -> None:
        tools = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in
                 (await client.list_tools()).tools]  # fmt: skip
        assert len(tools) == len((*TOOLS, ANSWER))
        assert _tokens({"tools": tools}) <= _TOOLS_MAX
        # Programs give their model no more than this of a tool.
        read = [{name: tool[name] for name in ("name", "description", "inputSchema")} for tool in tools]
        assert _tokens({"tools": read}) <= _TOOLS_MAX / 2

    talk(world, said, "--allow-answers")


def test_what_is_left_out_is_counted_and_comes_when_it_is_asked_for(world: World) -> None:
    async def said(client: Client) -> None:
        short = (await ask(client, "get_attempt", run="@", attempt="code/1.2"))["verdicts"][0]
        assert len(short["findings"]) == 5
        assert short["more"] == '7 more: ask with gate="code/lint" offset=5'
        rest = await ask(client, "get_attempt", run="@", attempt="code/1.2", gate="code/lint", offset=5)
        assert [one["line"] for one in rest["verdicts"][0]["findings"]] == list(range(6, 13))
        assert "more" not in rest["verdicts"][0]
        full = await ask(client, "get_attempt", run="@", attempt="code/1.2", detail="full")
        assert len(full["verdicts"][0]["findings"]) == 12
        assert {"tree", "evidence", "commit"} <= set(full)
        whole = await ask(client, "get_run", detail="full")
        known = world.show()
        assert set(known) <= set(whole)
        assert [one["attempts"] for one in whole["stages"]] == [1, 4, 0]
        (world.repository / "a.py").write_text("1\n")
        checked = await ask(client, "check", stage="code")
        assert [one["more"] for one in checked["gates"] if one["gate"] == "code/lint"] == [
            '7 more: ask with detail="full"'
        ]

    talk(world, said)


def test_what_does_not_exist_is_told_with_what_does(world: World) -> None:
    async def said(client: Client) -> None:
        assert "it has plan, code, ship" in await refused(client, "get_attempt", run="@", attempt="cod")
        assert "there are code/1.1" in await refused(client, "get_attempt", run="@", attempt="code/1.9")
        assert "`get_run`" in await refused(client, "get_attempt", run="@", attempt="ship")
        missing = await refused(client, "get_attempt", run="@", attempt="code", gate="nothere")
        assert "there are code/lint" in missing
        assert "needs `attempt`" in await refused(client, "read", run="@", what="diff")

    talk(world, said)


def test_arguments_are_refused_in_words(world: World) -> None:
    async def said(client: Client) -> None:
        told = await refused(client, "get_attempt", run="@", stage_id="code", attemp="code")
        assert "unknown argument `attemp`: did you mean `attempt`?" in told
        assert "unknown argument `stage_id`: `get_attempt` takes `run`, `attempt`" in told
        assert "`get_attempt` needs `attempt`: call `get_run` for the stages" in told
        assert "did you mean `stage`?" in await refused(client, "check", stage_id="code")
        assert "takes none" not in await refused(client, "list_runs", nothing=1)
        told = await refused(client, "read", run="@", what="dif", offset="many")
        assert "`what` must be `diff`, or another of change, files" in told
        assert '`offset` must be a whole number, not "many"' in told
        assert "`wait_s` must be a number" in await refused(client, "get_run", wait_s=True)
        assert "`count` must be a whole number, not 2.5" in await refused(client, "list_runs", count=2.5)
        assert "values are text" in await refused(client, "start_run", task="x", inputs={"a": 1})
        assert "needs `run`: call `list_runs` to find it" in await refused(client, "get_attempt", attempt="code")
        # Some programs send numbers as text, and null for what they leave out.
        assert (await ask(client, "list_runs", count="1"))["runs"]
        assert (await ask(client, "get_run", run=None, detail=None))["id"]

    talk(world, said)


def test_the_list_is_an_inbox() -> None:
    phases = ("accepted", "running", "waiting", "damaged", "stopped")
    rows = [{"id": phase, "phase": phase, "task": "t" * 99, "why": ""} for phase in phases]
    told = documents.runs_document({"runs": rows}, 20)["runs"]
    assert [row["id"] for row in told] == ["waiting", "damaged", "running", "accepted", "stopped"]
    assert [row["who_acts"] for row in told] == ["person", "person", "run", "nobody", "nobody"]
    wait = {"reason": "approval", "subject": "ship/1.1", "stage": "ship", "detail": "Merge this?"}
    asked = documents.runs_document(
        {"runs": [{**rows[2], "waits": [wait] * 2}, {**rows[0], "phase": "interrupted"}]}, 9
    )
    needs = ["approval of ship/1.1 and 1 more: Merge this?", "`interlock resume`"]
    assert [row["needs"] for row in asked["runs"]] == needs
    assert told[0]["task"].endswith("t...")


def test_a_long_run_is_bounded_and_shows_what_is_not_settled() -> None:
    stages = [{"id": f"s{number}", "phase": "accepted", "attempts": [1]} for number in range(300)]
    stages[250]["phase"] = "working"
    reason = {"gate": "s250/test", "attempt": "s250/1.1", "status": "failed", "file": "a.py", "line": 3}
    reason |= {"message": "m" * 9_000, "times": 1, "findings": 4, "hard": True}
    spent = {"attempts": 301, "tokens": 5, "cost_usd": 0.123456, "cost_known": False}
    run = {"id": "r", "phase": "running", "why": "", "waits": [], "reasons": [reason] * 30, "stages": stages}
    run |= {
        "overrides": [],
        "branch": "",
        "spent": spent,
        "limits": [],
        "sandbox": "none",
        "pipeline": "p",
        "task": "t",
    }
    told = documents.run_document(run, full=False, answers=False)
    assert (told["stages"], told["stages_done"]) == ([{"id": "s250", "phase": "working", "attempts": 1}], 299)
    waiting = [{**stage, "phase": "waiting"} for stage in stages]
    open_ones = documents.run_document({**run, "stages": waiting}, full=False, answers=False)
    assert (len(open_ones["stages"]), open_ones["more_stages"]) == (20, '280 more: ask with detail="full"')
    assert (len(told["reasons"]), told["more_reasons"]) == (5, '25 more: ask with detail="full"')
    assert (len(told["reasons"][0]["message"]), told["reasons"][0]["more_findings"]) == (300, 3)
    assert told["spent"] == {"attempts": 301, "tokens": 5, "cost_usd": 0.1235, "cost_is_partial": True}
    whole = documents.run_document(run, full=True, answers=False)
    assert (len(whole["stages"]), whole["more_stages"]) == (200, "100 more")
    assert len(whole["reasons"][0]["message"]) == 4_000


def _tokens(document: dict[str, Any]) -> float:
    return len(json.dumps(document, ensure_ascii=False, separators=(",", ":"))) / 4

"""A run in the formats of other tools: what was not judged is never passed."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.schemas import junit_mistakes, sarif_mistakes

PIPELINE = """\
version: 1
name: quick
agents:
  own: {use: command, run: [bash, -c, 'echo hi > a.txt']}
stages:
  code:
    agent: own
    gates:
      - id: there
        run: test -s a.txt
      - id: other
        run: echo "a.txt is <b>no</b> good"; exit 1
    on_reject: [{pause: true}]
  ship:
    needs: [code]
    gates:
      - id: merge
        approve: Merge it?
    on_reject: [{pause: true}]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = new_world(tmp_path_factory.mktemp("w"), {"interlock.yaml": PIPELINE})
    made.ask("run", "-t", "a | <task>", "--plain").ended(3)
    return made


def test_json_is_the_view(world: World) -> None:
    assert world.ask("export").json()["run"] == world.ask("show", "--json").json()["run"]


def test_junit_tells_each_gate_and_what_was_not_judged(world: World, tmp_path: Path) -> None:
    document = tmp_path / "r.xml"
    document.write_text(world.ask("export", "--format", "junit").ended(0).out)
    assert junit_mistakes(document) == []
    suites = Xml.parse(document).getroot()
    cases = {case.get("name"): [child.tag for child in case] for case in suites.iter("testcase")}
    assert cases["there"] == []
    assert cases["other"] == ["failure"]
    assert cases["merge"] == ["skipped"]
    assert suites.get("failures") == "1"
    assert sum(int(suite.get("skipped", 0)) for suite in suites) == 2  # merge, and the scope of ship


def test_sarif_tells_the_findings(world: World, tmp_path: Path) -> None:
    document = tmp_path / "r.sarif"
    document.write_text(world.ask("export", "--format", "sarif").ended(0).out)
    assert sarif_mistakes(document) == []
    (run,) = json.loads(document.read_text())["runs"]
    assert run["results"]
    assert all(result["ruleId"].startswith("code/other/") for result in run["results"])


def test_markdown_is_for_people_and_holds_no_markup_of_theirs(world: World) -> None:
    told = world.ask("export", "--format", "markdown").ended(0).out
    assert "is waiting" in told
    assert "code/other | failed" in told
    assert "ship/merge | skipped" in told
    assert "<task>" not in told
    assert "<b>" not in told


def test_an_unknown_run_or_format_is_said(world: World) -> None:
    world.ask("export", "nothere").ended(2, "nothere")
    world.ask("export", "--format", "pdf").ended(2, "junit")

"""What `check` writes for machines: JUnit, SARIF, annotations, the job summary; and that nobody is commanded by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.schemas import junit_mistakes, sarif_mistakes

PIPELINE = """\
version: 1
name: quick
agents:
  own: {use: command, run: ["true"]}
stages:
  code:
    agent: own
    gates:
      - id: lint
        run: cp lint.json "$REPORT"; ! grep -q ruleId lint.json
        report: sarif
      - id: fine
        run: "true"
      - id: merge
        approve: Merge?
"""
EVIL = "bad %0A::set-env name=A::b\n::stop-commands::x\n| <script>alert(1)</script> \x1b[31m`x`"


def sarif_of(*results: dict[str, Any]) -> str:
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "l"}}, "results": results}]})


def finding(message: str, path: str = "a,b:c.py", line: int = 3) -> dict[str, Any]:
    where = {"physicalLocation": {"artifactLocation": {"uri": path}, "region": {"startLine": line}}}
    return {"ruleId": "E1", "level": "error", "message": {"text": message}, "locations": [where]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = new_world(tmp_path / "w", {"interlock.yaml": PIPELINE, "lint.json": sarif_of(), "a,b:c.py": "x\n" * 9})
    (made.repository / "lint.json").write_text(sarif_of(finding(EVIL)))
    return made


def test_files_hold_each_gate_and_its_findings(world: World, tmp_path: Path) -> None:
    junit, sarif = tmp_path / "r.xml", tmp_path / "r.sarif"
    world.ask("check", "--junit", str(junit), "--sarif", str(sarif)).ended(1)

    assert (junit_mistakes(junit), sarif_mistakes(sarif)) == ([], [])
    suites = Xml.parse(junit).getroot()
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == (
        str(len(suites.findall(".//testcase"))),
        "1",
        "0",
    )
    cases = {case.get("name"): [child.tag for child in case] for case in suites.iter("testcase")}
    assert (cases["lint"], cases["fine"], cases["merge"]) == (["failure"], [], ["skipped"])
    document = json.loads(sarif.read_text())
    (run,) = document["runs"]
    (result,) = run["results"]
    assert document["version"] == "2.1.0"
    assert result["ruleId"] == "code/lint/E1"
    assert result["ruleId"] in [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    (location,) = result["locations"]
    assert location["physicalLocation"]["region"] == {"startLine": 3}
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "a%2Cb%3Ac.py"
    assert "\x1b" not in sarif.read_text() + junit.read_text()


def test_under_actions_findings_are_annotations_and_nothing_is_a_command(world: World, tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    said = world.ask("check", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(page)).ended(1)

    commands = [line for line in said.text.splitlines() if line.lstrip().startswith("::")]
    (command,) = commands
    assert command.startswith("::error file=a%2Cb%3Ac.py,line=3,title=code/lint::E1: bad %250A")
    told = page.read_text()
    assert told.startswith("before\n")
    assert "code/lint | failed" in told
    assert "merge | skipped" in told
    assert "<script>" not in told
    assert "`" not in told


def test_without_actions_there_is_no_annotation(world: World) -> None:
    said = world.ask("check").ended(1)
    assert not [line for line in said.text.splitlines() if line.startswith("::")]


def test_json_stays_one_document_under_actions(world: World) -> None:
    assert world.ask("check", "--json", GITHUB_ACTIONS="true").json()["passed"] is False


def test_a_report_that_cannot_be_written_is_said(world: World, tmp_path: Path) -> None:
    world.ask("check", "--junit", str(tmp_path / "no" / "r.xml")).ended(5, "no/r.xml", "could not be written")


def test_the_schemas_refuse_what_is_wrong(world: World, tmp_path: Path) -> None:
    junit, sarif = tmp_path / "r.xml", tmp_path / "r.sarif"
    world.ask("check", "--junit", str(junit), "--sarif", str(sarif)).ended(1)
    junit.write_text(junit.read_text().replace("<testcase ", '<testcase surprise="1" ', 1))
    sarif.write_text(sarif.read_text().replace('"startLine": 3', '"startLine": 0'))
    assert "surprise" in junit_mistakes(junit)[0]
    assert "startLine" in sarif_mistakes(sarif)[0]

"""`logs` for people: an agent's stream of JSON as words, and what the tests are that nobody wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.contract.cli_world import new_world

EVENT = '{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}'
PIPELINE = f"""\
version: 1
name: one
agents:
  coder:
    use: command
    run: |
      echo '{EVENT}'; echo 'def test_new(): pass' > tests/test_new.py
stages:
  code:
    agent: coder
    attempts: 1
    adds: [tests/**]
    gates:
      - {{id: test, run: 'python -m pytest -q tests --junitxml="$REPORT"', report: junit, canary: pytest}}
"""


def test_logs_are_words_and_name_the_tests_that_are_our_own(tmp_path: Path) -> None:
    world = new_world(
        tmp_path / "user", {"interlock.yaml": PIPELINE, "tests/test_a.py": "def test_a(): pass\n", "src/a.py": ""}
    )
    world.ask("run", "-t", "x").ended(0)

    assert world.ask("logs", "code/1.1").out == "> Bash: ls\n"
    assert world.ask("logs", "code/1.1", "--raw").out == EVENT + "\n"

    said = world.ask("logs", "code/1.1", "test").ended(0, "are Interlock's own")
    names = re.findall(r"\w{8,}", said.err.partition("named with ")[2].partition(" are Interlock")[0])
    assert names
    assert all(name in said.out for name in names[:1]), said.out
    assert "Interlock's own" not in said.out
    assert "Interlock's own" not in world.ask("logs", "code/1.1", "test", "--raw").text


REVIEWED = """\
version: 1
name: one
agents:
  coder: {use: command, run: echo two > a.txt}
  calm:
    use: command
    run: |
      echo it is calm
      mark=$(sed -n 's/.*hold the mark \\([0-9a-f]*\\) .*/\\1/p')
      sed "s/@/$mark/" ../answer > $INTERLOCK_ANSWER
  late: {use: command, run: [sh, ../late]}
stages:
  code:
    agent: coder
    gates: [{id: review, review: {by: [calm, late]}}]
"""
LATE = """\
echo asked by $0
mark=$(sed -n 's/.*hold the mark \\([0-9a-f]*\\) .*/\\1/p')
test -e "$0.again" && sed "s/@/$mark/" "$(dirname "$0")/answer" > $INTERLOCK_ANSWER
touch "$0.again"
"""


def test_logs_of_a_review_are_those_of_each_reviewer(tmp_path: Path) -> None:
    late = tmp_path / "late"
    late.write_text(LATE)
    said = '{"mark": "@", "verdict": "approve", "findings": [], "earlier": [], "requirements": []}'
    (tmp_path / "answer").write_text(said)
    world = new_world(tmp_path / "user", {"interlock.yaml": REVIEWED.replace("../", f"{tmp_path}/"), "a.txt": "one\n"})
    world.ask("run", "-t", "x").ended(0)

    asked = f"== late\nasked by {late}\n"
    assert world.ask("logs", "code/1.1", "review").out == f"== calm\nit is calm\n{asked}{asked}"
    assert world.ask("logs", "code/1.1", "review", "--of", "calm").out == "== calm\nit is calm\n"
    world.ask("logs", "code/1.1", "review", "--of", "none").ended(2, "reviewers are calm, late")


RED_BASE = """\
version: 1
name: one
agents:
  coder: {use: command, run: echo two > a.txt}
stages:
  code:
    agent: coder
    gates:
      - {id: py, run: echo what it printed; exit 3, base: green}
"""


def test_what_a_gate_printed_on_the_base_can_be_read_after_a_stop(tmp_path: Path) -> None:
    world = new_world(tmp_path / "user", {"interlock.yaml": RED_BASE, "a.txt": "one\n"})
    run = world.ask("run", "-t", "x").ended(5, "must be green on the base", "base code/py")
    command = re.search(r"interlock (logs \S+ base code/py)\n", run.text)
    assert command, run.text

    assert world.ask(*command[1].split()).ended(0).out == "what it printed\n"
    assert world.ask("logs", "base", "py").ended(0).out == "what it printed\n"
    assert world.ask("logs", "@", "code", "py").ended(0).out == "what it printed\n"
    world.ask("logs", "base").ended(2, "name a gate that judged the base: code/py")
    world.ask("logs", "@", "base", "lint").ended(2, "the base was not judged by a gate `lint`; it was judged by py")
    world.ask("logs", "@", "base", "py", "--report").ended(2, "gate py kept no report of the base: it kept log")


MANY = """\
import json, sys
wrong = "good" not in open("a.txt").read()
results = [{"ruleId": "R", "message": {"text": f"number {one} " + "m" * 900}} for one in range(60)]
run = {"tool": {"driver": {"name": "t"}}, "results": results if wrong else []}
print(json.dumps({"version": "2.1.0", "runs": [run]}), file=open(sys.argv[1], "w"))
sys.exit(wrong)
"""
WRONG = """\
version: 1
name: one
agents:
  coder: {use: command, run: "echo x > a.txt"}
stages:
  code:
    agent: coder
    attempts: 1
    gates: [{id: many, run: python3 gate.py "$REPORT", report: sarif}, {id: few, run: grep good a.txt}]
"""


def test_all_findings_are_printed_where_a_verdict_keeps_some(tmp_path: Path) -> None:
    world = new_world(tmp_path / "user", {"interlock.yaml": WRONG, "gate.py": MANY, "a.txt": "good\n"})
    world.ask("run", "-t", "x").ended(3)
    (attempt,) = world.show()["stages"][0]["attempts"]
    many = next(one["verdict"]["findings"] for one in attempt["verdicts"] if one["verdict"]["gate"] == "code/many")
    assert 5 < len(many) < 30
    assert "logs STAGE/N GATE --findings" in many[-1]["message"]
    found = json.loads(world.ask("logs", "code/1.1", "many", "--findings").out)
    assert [one["message"].split()[1] for one in found[1:]] == [str(number) for number in range(60)]
    world.ask("logs", "code/1.1", "few", "--findings").ended(2, "all of its findings are in its verdict")

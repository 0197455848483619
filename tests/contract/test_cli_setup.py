"""Setup and kept runs by the real program: whose fault a failure is, and how often the same is run."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import World, new_world, stage_of

AGENT = "#!/bin/sh\ncat > brief.log\nsh ./work.sh\n"
PIPELINE = """\
version: 1
agents:
  coder: {use: command, run: [sh, ./agent.sh]}
setup:
  - run: |
      cat deps.lock >> RUNS
      mkdir -p deps; cp deps.lock deps/
      grep -q good deps.lock || { echo "error: no such package"; exit 1; }
    key: [deps.lock]
    paths: [deps]
stages:
  code:
    agent: coder
    gates:
      - {id: lint, run: grep good deps/deps.lock}
      - {id: test, run: "echo x >> RUNS.test; grep -q good deps/deps.lock"}
"""
OTHER = """\
version: 1
agents:
  coder: {use: command, run: [sh, ./agent.sh]}
stages:
  another:
    agent: coder
    gates:
      - {id: other, run: "echo x >> RUNS.test; grep -q good deps/deps.lock"}
"""
FIXES = """\
if grep -q "no such package" brief.log; then echo good and new > deps.lock; else echo bad > deps.lock; fi
echo more >> app.txt
"""


def made(tmp_path: Path, work: str, **files: str) -> World:
    counted = PIPELINE.replace("RUNS", str(tmp_path / "runs"))
    written = {"interlock.yaml": counted, "agent.sh": AGENT, "work.sh": work, "deps.lock": "good\n", "app.txt": "a\n"}
    return new_world(tmp_path / "world", {**written, ".gitignore": "brief.log\n", **files})


def test_setup_that_breaks_with_the_candidate_is_a_rejection_that_the_next_attempt_is_told_of(tmp_path: Path) -> None:
    world = made(tmp_path, FIXES)
    world.ask("run", "-t", "go", "--plain").ended(0, "rejected by lint", "error: no such package")
    first, second = stage_of(world.show(), "code")["attempts"]
    assert [attempt["phase"] for attempt in (first, second)] == ["rejected", "accepted"]
    finding = first["verdicts"][-1]["verdict"]["findings"][0]
    assert finding["rule"] == "setup"
    assert "error: no such package" in finding["message"].splitlines()[0]
    assert (tmp_path / "runs").read_text().split("\n")[:-1] == ["good", "bad", "bad", "good", "good and new"]


def test_setup_that_fails_on_the_base_is_infrastructure(tmp_path: Path) -> None:
    world = made(tmp_path, "true")
    world.commit({"deps.lock": "bad\n"})
    world.ask("run", "-t", "go", "--plain").ended(5, "cannot run on the base", "error: no such package")
    assert stage_of(world.show(), "code")["attempts"] == []
    assert len((tmp_path / "runs").read_text().split()) == 3  # once for each try, not once for each gate


def test_check_replaces_a_tracked_tool_and_scope_tells_of_it(tmp_path: Path) -> None:
    world = made(tmp_path, "true")
    world.commit({"deps/deps.lock": "bad\n", "app.txt": "b\n"})
    said = world.ask("check", "--base", "HEAD~1").ended(1, "code/test passed", "code/lint passed")
    assert "deps/deps.lock: setup_path: " in said.text


def test_the_same_command_in_two_pipelines_of_check_runs_once(tmp_path: Path) -> None:
    counted = {
        name: text.replace("RUNS", str(tmp_path / "runs")) for name, text in {"one": PIPELINE, "two": OTHER}.items()
    }
    two = counted["two"] + counted["one"][counted["one"].index("setup:") : counted["one"].index("stages:")]
    world = made(
        tmp_path, "true", **{".interlock/pipelines/one.yaml": counted["one"], ".interlock/pipelines/two.yaml": two}
    )
    (world.repository / "interlock.yaml").unlink()
    (world.repository / "app.txt").write_text("changed\n")
    said = world.ask("check", "--all").ended(0)
    assert (tmp_path / "runs.test").read_text() == "x\n", said.text
    assert "two: another/other passed (cached)" in said.text

"""`check --base REF`: a proposal may not loosen what judges it, whoever wrote it and however it is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.attacks.arena import apply_to
from tests.contract.cli_world import World, new_world
from tests.nightly import rest_at_night

LINT = "! grep -rn BAD src\n"
PIPELINE = """\
version: 1
name: ci
agents: {coder: {use: command, run: "true"}}
protect: [checks/**]
stages:
  code:
    agent: coder
    writes: [src/**, docs/**, "*.md"]
    gates:
      - {id: lint, run: bash checks/lint.sh}
"""
BASE = {
    "interlock.yaml": PIPELINE,
    "checks/lint.sh": LINT,
    "checks/words.txt": "BAD\n",
    "src/a.py": "ok\n",
    "README.md": "# A\n",
}
BAD = {"src/a.py": "BAD\n"}
SLY = {
    "nothing but the fault": {},
    "its own gate script": {"checks/lint.sh": "exit 0\n"},
    "no gate script": {"checks/lint.sh": None},
    "a gate script as a link": {"src/ok.sh": "exit 0\n", "checks/lint.sh": ["link", "../src/ok.sh"]},
    "a gate script as a folder": {"checks/lint.sh": ["folder"], "checks/lint.sh/x": ""},
    "a gate script with another mode": {"checks/lint.sh": ["mode", "755"]},
    "its own pipeline": {"interlock.yaml": PIPELINE.replace("bash checks/lint.sh", '"true"')},
    "no pipeline": {"interlock.yaml": None},
    "another pipeline": {".interlock/pipelines/ci.yaml": PIPELINE.replace("bash checks/lint.sh", '"true"')},
    "its own grep": {
        "grep": "#!/bin/sh\nexit 1\n",
        "checks/grep": "#!/bin/sh\nexit 1\n",
        "src/grep": "#!/bin/sh\nexit 1\n",
    },
    "its own shell settings": {".bashrc": "exit 0\n", ".profile": "exit 0\n", "src/.bash_env": "exit 0\n"},
    "its own attributes": {".gitattributes": "src/** export-ignore\n* filter=x\n"},
    "the folder of the gates as a link": {"checks": ["link", "src"], "src/lint.sh": "exit 0\n"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return new_world(tmp_path_factory.mktemp("check"), BASE)


def proposed(world: World, files: dict) -> str:
    """A commit on main with the files, and main checked out again."""
    world.git("checkout", "-q", "-B", "proposal", "main")
    apply_to(world.repository, files)
    world.git("add", "-A", "-f")
    world.git("commit", "-q", "-m", "proposal")
    commit = world.git("rev-parse", "HEAD")
    world.git("checkout", "-q", "-f", "main")
    world.git("clean", "-qfdx")
    return commit


@pytest.mark.parametrize("stage", rest_at_night(["code", ""]), ids=["stage", "all"])
@pytest.mark.parametrize("name", rest_at_night([*SLY], 3))
def test_a_proposal_cannot_loosen_its_judge(world: World, name: str, stage: str) -> None:
    words = ("--stage", stage) if stage else ()
    commit = proposed(world, {**BAD, **SLY[name]})
    said = world.ask("check", "--base", "main", "--commit", commit, *words)
    assert said.code == 1, said.text


def test_its_own_gate_script_is_named_without_any_stage(world: World) -> None:
    """Scope is judged always: here the product is right, and the judge alone was touched."""
    commit = proposed(world, {"checks/lint.sh": "exit 0\n"})
    said = world.ask("check", "--base", "main", "--commit", commit)
    assert said.code == 1, said.text
    assert "checks/lint.sh" in said.text


HONEST = {
    "a change of the product": {"src/a.py": "better\n"},
    "a new file of the product": {"src/b.py": "fine\n"},
    "documents": {"docs/x.md": "# X\n", "README.md": "# B\n"},
    "a file deleted": {"README.md": None},
    "a mode": {"src/a.py": ["mode", "755"]},
}


@pytest.mark.parametrize("name", rest_at_night([*HONEST], 2))
def test_an_honest_proposal_passes(world: World, name: str) -> None:
    commit = proposed(world, HONEST[name])
    assert world.ask("check", "--base", "main", "--commit", commit).code == 0


def test_tools_that_the_proposal_tracks_are_not_run(tmp_path: Path) -> None:
    """What setup makes is setup's: a tracked file in its place is a finding, and is not what gates start."""
    pipeline = PIPELINE.replace(
        "stages:",
        "setup:\n  - {run: mkdir -p .venv/bin && printf '#!/bin/sh\\nexit 1\\n' > .venv/bin/judge && chmod +x .venv/bin/judge, paths: [.venv]}\nstages:",
    )
    pipeline = pipeline.replace("run: bash checks/lint.sh", "run: .venv/bin/judge").replace(
        "docs/**", ".venv/**, docs/**"
    )
    world = new_world(tmp_path / "w", {**BASE, "interlock.yaml": pipeline})
    commit = proposed(world, {"src/a.py": "x\n", ".venv/bin/judge": ["program", "#!/bin/sh\nexit 0\n"]})
    said = world.ask("check", "--base", "main", "--commit", commit)
    assert said.code == 1, said.text
    assert "lint failed" in said.text or "setup_path" in said.text, said.text


# --- `tests: base`, as docs/ci.md has it, with tests in a folder of another name -----------------

CI = """\
version: 1
name: ci
protect: {protect}
stages:
  change:
    run: "true"
    authors: ["testing/**", "test_*.py"]
    gates:
      - {{id: test, use: python.test}}
      - {{id: old, use: python.test, tests: base}}
"""
TABLE = "import json\nfrom pathlib import Path\n\nfrom app import add\n\n\ndef test_add():\n"
TABLE += (
    "    for a, b, total in json.loads(Path('testing/cases.json').read_text()):\n        assert add(a, b) == total\n"
)
CALC = {
    "pytest.ini": "[pytest]\ntestpaths = testing\n",
    "app.py": "def add(a, b):\n    return a + b\n",
    "testing/test_app.py": TABLE,
    "testing/cases.json": "[[2, 3, 5]]\n",
}
RIGHT = {"app.py": "def add(a, b):\n    return b + a\n", "testing/cases.json": "[[2, 3, 5], [1, 1, 2]]\n"}
WRONG = {"app.py": "def add(a, b):\n    return a - b\n", "testing/cases.json": "[[2, 3, -1]]\n"}


@pytest.mark.parametrize("protect", rest_at_night(['["testing/**"]', "[]"]), ids=["protected", "authored"])
def test_old_tests_come_with_their_data(tmp_path: Path, protect: str) -> None:
    world = new_world(tmp_path / "w", {**CALC, ".interlock/pipelines/ci.yaml": CI.format(protect=protect)})
    asked = ("check", "--base", "main", "--pipeline", "ci", "--stage", "change", "--commit")
    assert world.ask(*asked, proposed(world, RIGHT)).code == 0
    said = world.ask(*asked, proposed(world, WRONG), "--json")
    assert [gate["gate"] for gate in json.loads(said.out)["gates"] if gate["status"] == "failed"] == ["old"], said.text

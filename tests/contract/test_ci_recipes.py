"""The action and the recipe for GitLab, run as their services would: their own shell, their own variables.

Rule: nothing is installed. `python3 -m venv` and `pip install` are stand-ins that write down what they were asked, and
the program is the one under test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.cli_world import LIMIT_S, Said, World, new_world
from tests.contract.docs.pages import DOCS, ROOT, blocks
from tests.contract.program import PROGRAM
from tests.contract.schemas import action_mistakes

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GITLAB = yaml.safe_load(
    next(block.text for block in blocks((DOCS / "ci.md").read_text()) if "CI_COMMIT_SHA" in block.text)
)
PIPELINE = """\
version: 1
name: quick
stages:
  code:
    run: "true"
    writes: [a.txt]
    gates:
      - {id: word, run: grep -q good a.txt}
"""
_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = new_world(tmp_path / "w", {"interlock.yaml": PIPELINE, "a.txt": "good\n"})
    made.git("branch", "base")
    made.git("checkout", "-qb", "proposal")
    stand_ins(tmp_path / "bin")
    return made


def stand_ins(folder: Path) -> None:
    """`python3` and `pip` on the PATH."""
    pip = 'echo "pip $*" >> "$ASKED"\n'
    interlock = f'exec {" ".join(PROGRAM)} "$@"\n'
    venv = (
        'echo "python3 $*" >> "$ASKED"\n[ "$1 $2" = "-m venv" ] || exit 9\nmkdir -p "$3/bin"\n'
        f'cp "{folder}/pip" "{folder}/interlock" "$3/bin/"\n'
    )
    folder.mkdir()
    for name, text in {"pip": pip, "interlock": interlock, "python3": venv}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)


def ran(world: World, script: str, shell: list[str], **environ: str) -> Said:
    """As a service runs it: a shell in the checkout, and the variables that it gives."""
    folder = world.root.parent / "bin"
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    env = {**world.environment(**environ), "PATH": path, "ASKED": str(folder / "asked"), "CI": "true"}
    done = subprocess.run(
        [*shell, script], cwd=world.repository, env=env, capture_output=True, timeout=LIMIT_S, check=False
    )
    said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in said.text, said.text
    return said


def asked(world: World) -> str:
    return (world.root.parent / "bin/asked").read_text()


# --- GitHub Actions ------------------------------------------------------------------------------


def looked_up(text: str, known: Mapping[str, Any]) -> str:
    """Expressions of names and `||` alone, which is all that the action has."""

    def value(match: re.Match[str]) -> str:
        for name in match[1].split("||"):
            found: Any = known
            for part in name.strip().split("."):
                assert isinstance(found, Mapping), text
                found = found.get(part, "")
                if found == "":
                    break
            if found:
                return str(found)
        return ""

    return _EXPRESSION.sub(value, text)


def under_actions(world: World, event: Mapping[str, Any], **given: str) -> Said:
    """Every step of the action, with the files that Actions gives. `given` are the inputs that a workflow names."""
    root = world.root.parent
    github = {"event": event, "sha": world.git("rev-parse", "HEAD"), "action_path": str(ROOT)}
    assert given.keys() <= ACTION["inputs"].keys()
    inputs = {
        name: given.get(name) or looked_up(item["default"], {"github": github})
        for name, item in ACTION["inputs"].items()
    }
    (step,) = ACTION["runs"]["steps"]
    env = {name: looked_up(text, {"github": github, "inputs": inputs}) for name, text in step["env"].items()}
    files = {
        name: str(root / name.lower()) for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
    }
    for path in files.values():
        Path(path).touch()
    (root / "temp").mkdir(exist_ok=True)
    own = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(world.repository), "RUNNER_TEMP": str(root / "temp")}
    shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"]  # what `shell: bash` means there
    return ran(world, step["run"], shell, **env, **files, **own)


def pull_request(world: World) -> dict[str, Any]:
    return {
        "pull_request": {sha: {"sha": world.git("rev-parse", ref)} for sha, ref in (("base", "base"), ("head", "HEAD"))}
    }


def moved_on(world: World) -> None:
    """One more commit on the base than the proposal has."""
    proposal = world.git("rev-parse", "--abbrev-ref", "HEAD")
    world.git("checkout", "-q", "base")
    world.commit({"b.txt": "more\n"})
    world.git("checkout", "-q", proposal)


def test_the_action_is_one_by_the_schema_of_actions(tmp_path: Path) -> None:
    assert action_mistakes(ROOT / "action.yml") == []
    wrong = tmp_path / "action.yml"
    wrong.write_text((ROOT / "action.yml").read_text().replace("    - shell: bash\n", "    - shel: bash\n"))
    assert "is not valid" in action_mistakes(wrong)[0]
    used = set(re.findall(r"inputs\.(\w+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


def test_nothing_that_somebody_wrote_is_parsed_by_the_shell() -> None:
    for step in ACTION["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        assert set(re.findall(r"inputs\.(\w+)", json.dumps(step["env"]))) == set(ACTION["inputs"])


def test_a_good_pull_request_is_green(world: World) -> None:
    world.commit({"a.txt": "good and more\n"})
    said = under_actions(world, pull_request(world)).ended(0, "code/word passed")
    assert asked(world).splitlines() == [
        f"python3 -m venv {world.root.parent}/temp/interlock",
        f"pip install --quiet --disable-pip-version-check {ROOT}",
    ]
    assert "::error" not in said.text
    assert "code/word" in (world.root.parent / "github_step_summary").read_text()


def test_a_bad_one_is_red_with_annotations_reports_and_a_summary(world: World) -> None:
    world.commit({"a.txt": "bad\n", "interlock.yaml": PIPELINE.replace("grep -q good a.txt", '"true"')})
    said = under_actions(world, pull_request(world), stage="code", pipeline="interlock", junit="r.xml", sarif="r.sarif")
    said.ended(1, "::error", "protected")
    assert 'name="word"' in (world.repository / "r.xml").read_text()
    assert json.loads((world.repository / "r.sarif").read_text())["version"] == "2.1.0"
    assert "failed" in (world.root.parent / "github_step_summary").read_text()


def test_a_pull_request_behind_its_base_is_judged_as_their_merge(world: World) -> None:
    world.commit({"a.txt": "good and more\n"})
    moved_on(world)
    under_actions(world, pull_request(world)).ended(0, "code/word passed", "judge their merge")


def test_a_push_has_no_base_and_is_judged_by_its_own_pipeline(world: World) -> None:
    world.commit({"a.txt": "bad\n"})
    under_actions(world, {}).ended(1, "code/word failed")


def test_inputs_are_words_and_no_commands(world: World) -> None:
    said = under_actions(world, pull_request(world), stage='code"; touch "$RUNNER_TEMP/owned"; "')
    said.ended(2, "no such stage")
    assert not (world.root.parent / "temp/owned").exists()


# --- GitLab --------------------------------------------------------------------------------------


def under_gitlab(world: World) -> Said:
    job = GITLAB["interlock"]
    assert job["variables"]["GIT_DEPTH"] == 0
    ends = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "base", "CI_COMMIT_SHA": world.git("rev-parse", "HEAD")}
    world.git("checkout", "-q", "--detach")
    served = world.root / "served.git"
    world.git("clone", "-q", "--bare", ".", str(served))
    world.git("remote", "add", "origin", str(served))
    world.git("branch", "-D", "-q", "base")  # a job is given the merge request alone
    lines = "\n".join(job["script"])
    return ran(world, f"set -eo pipefail\n{lines}", ["bash", "-c"], GITLAB_CI="true", **ends)


@pytest.mark.parametrize(("text", "code"), [("good\n", 0), ("bad\n", 1)])
def test_the_job_of_gitlab(world: World, text: str, code: int) -> None:
    world.commit({"a.txt": text + "more\n"})
    moved_on(world)
    under_gitlab(world).ended(code, f"code/word {'failed' if code else 'passed'}", "judge their merge")
    report = GITLAB["interlock"]["artifacts"]["reports"]["junit"]
    assert 'name="word"' in (world.repository / report).read_text()
    assert "pip install --quiet interlock" in asked(world)

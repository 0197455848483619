"""`init` on projects that nobody here wrote: setup and gates are green on them as they are, or the reason is told."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.acceptance.projects import PROJECTS, Project
from tests.contract.cli_world import World, new_world
from tests.nightly import rest_at_night

_OF_THE_USER = dict(os.environ)  # when tests are collected: fetching and setup need the user's programs and caches
_OURS = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "INTERLOCK_", "GIT_", "PYTEST_", "COV_", "VIRTUAL_ENV")
_NEEDS = {"node": "npm", "rust": "cargo"}

pytestmark = pytest.mark.network


@pytest.mark.parametrize("project", rest_at_night(PROJECTS), ids=lambda project: project.name)
def test_a_project_as_it_was_published(project: Project, tmp_path: Path):
    world = the_world(project, tmp_path)
    said = world.ask("init", "--json")
    made = said.json()
    assert said.code == 0
    assert made["found"]["languages"] == [project.language]
    common = (world.repository / ".interlock/common.yaml").read_text()
    assert project.setup in common if project.setup else "setup:" not in common
    learned = made["proved"]["learned"]["gates"]
    if project.told:
        assert made["proved"]["green"] is False
        assert project.told in said.err
        assert project.told in (world.repository / ".interlock/pipelines/quick.yaml").read_text()
        return
    assert made["proved"]["green"], said.err
    assert all(gate["failing"] for gate in learned), (
        said.err
    )  # tests that fail today are named, and nothing else is red
    passed = re.search(r"✓ test passed(?: \((\d+) tests?\))?|of (\d+) tests? fails? on what", said.err)
    assert passed is not None, said.err
    assert int(passed[1] or passed[2] or 0) >= project.tests
    assert bool(passed[1] or passed[2]) == bool(project.tests)
    by_exit_code = project.language == "node" and not project.tests
    assert ("breaks: [" in (world.repository / ".interlock/pipelines/quick.yaml").read_text()) == by_exit_code


def the_world(project: Project, root: Path) -> World:
    """The project as the first commit of a repository, and the environment of somebody who works on it."""
    program = _NEEDS.get(project.language, "python3")
    if shutil.which(program, path=_OF_THE_USER.get("PATH")) is None:
        pytest.skip(f"{program} is not installed, which {project.name} is tested with")
    kept = {name: value for name, value in _OF_THE_USER.items() if not name.startswith(_OURS)}
    kept["INTERLOCK_SANDBOX"] = "none"  # setup uses the user's caches
    world = new_world(root / "user", {".first": ""}, **kept)
    (root / "sources").mkdir()
    with tarfile.open(fetched(project, root)) as archive:
        archive.extractall(root / "sources", filter="data")
    (source,) = (root / "sources").iterdir()
    shutil.copytree(source, world.repository, dirs_exist_ok=True)
    world.git("rm", "-q", "--cached", ".first")
    (world.repository / ".first").unlink()
    world.commit({}, f"{project.name} {project.version}".strip())
    return world


def fetched(project: Project, root: Path) -> Path:
    cache = Path(_OF_THE_USER.get("XDG_CACHE_HOME") or Path(_OF_THE_USER.get("HOME", "/tmp"), ".cache"))
    target = root / "published.tar.gz"
    program = str(Path(__file__).with_name("fetch.py"))
    what = [project.name, project.version, project.sha256, project.kind]
    argv = [sys.executable, program, str(cache / "interlock-tests"), str(target), *what]
    try:
        done = subprocess.run(argv, env=_OF_THE_USER, capture_output=True, text=True, check=False, timeout=400)
    except FileNotFoundError as error:
        pytest.skip(f"{project.name} cannot be had here: {error}")
    if done.returncode:
        pytest.skip(f"{project.name} cannot be had from its index: {done.stderr.strip().splitlines()[-1:]}")
    return target

"""What a push leaves to the night, as pytest sorts it: by a project of three tests with our own conftest.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.nightly import rest_at_night

TESTS = Path(__file__).parents[1]
PAGE = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["."]\nmarkers = ["nightly"]\n'
MODULE = """\
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.nightly import rest_at_night


@given(st.integers(0, 10**9))
def test_examples(number):
    with open("examples", "a") as file:
        file.write(f"{number}\\n")


@pytest.mark.parametrize(("a", "b"), rest_at_night([("one", 1), ("two", 2), ("three", 3)], 2))
def test_row(a, b):
    assert isinstance(b, int)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "tests"
    folder.mkdir()
    for name in ("conftest.py", "nightly.py", "plain_python.py", "slow.txt"):
        shutil.copy(TESTS / name, folder)
    (folder / "test_rows.py").write_text(MODULE)
    (tmp_path / "pyproject.toml").write_text(PAGE)
    return tmp_path


def ran(project: Path, *words: str) -> tuple[list[str], str]:
    """The rows that passed, and the last line."""
    argv = [sys.executable, "-m", "pytest", "-v", "-p", "no:xdist", "-p", "no:cacheprovider", *words]
    done = subprocess.run(argv, cwd=project, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    return [
        line.partition("[")[2].partition("-")[0] for line in lines if "test_row[" in line and " PASSED" in line
    ], lines[-1]


def test_a_push_runs_the_first_rows_and_counts_the_others(project: Path) -> None:
    rows, last = ran(project)
    assert rows == ["one", "two"]
    assert "3 passed, 1 deselected" in last


@pytest.mark.parametrize(
    "words", rest_at_night(["--all", "tests/test_rows.py::test_row", "tests", "tests/test_rows.py"], 2)
)
def test_all_of_them_run_at_night_or_where_they_are_named(project: Path, words: str) -> None:
    assert ran(project, words)[0] == ["one", "two", "three"]


def test_examples_are_the_same_at_each_push_and_of_the_seed_at_night(project: Path) -> None:
    def examples(*words: str) -> str:
        (project / "examples").unlink(missing_ok=True)
        ran(project, *words)
        return (project / "examples").read_text()

    assert examples() == examples()
    assert examples("--all", "--hypothesis-seed=1") != examples("--all", "--hypothesis-seed=2")

"""The demo as people run it, and what the README shows of it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from demo.record import excerpt, recorded, shape

CLONE = Path(__file__).resolve().parents[2]
ENV = {"CI": "true", "COLUMNS": "120", "LOGNAME": "you", "PYTHONDONTWRITEBYTECODE": "1"}


def demo(folder: Path, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "demo", "--pace=0", f"--folder={folder}", *words]
    return subprocess.Popen(
        argv, cwd=CLONE, env={**os.environ, **ENV}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = child.communicate(timeout=120)
    return child.returncode, said


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo with its own seed: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("demo") / "new"
    code, said = ended(demo(folder))
    assert code == 0, said
    return folder, said


def test_the_readme_shows_what_the_demo_prints(played: tuple[Path, str]) -> None:
    assert shape(recorded()) == shape(excerpt(played[1])), "renew it: .venv/bin/python -m demo.record"


def test_it_tells_what_failed_and_that_this_is_scripted(played: tuple[Path, str]) -> None:
    said = played[1]
    assert "THE FAILURES ARE SCRIPTED" in said
    assert "seed 13208, rate 0.2" in said
    assert "4 failed, 4 caught, 0 got through" in said
    assert "'1000.0 kB' before, '1.0 MB' after" in said
    assert "\x1b" not in said


def test_the_branch_holds_one_commit_with_the_fix_and_its_tests(played: tuple[Path, str]) -> None:
    repository = played[0] / "humanize"
    branch = git(repository, "branch", "--list", "interlock/*", "--format=%(refname:short)").strip()
    assert git(repository, "diff", "--name-only", "main", branch).split() == [
        "src/humanize/filesize.py",
        "tests/test_filesize_rounding.py",
    ]
    assert git(repository, "rev-list", "--count", f"main..{branch}").strip() == "1"
    assert not git(repository, "status", "--porcelain")


def test_what_it_offers_for_looking_around_works(played: tuple[Path, str]) -> None:
    folder, said = played
    offered = said.partition("Look around\n")[2].splitlines()[1:-1]
    assert len(offered) == 4
    for line in offered:
        shown = subprocess.run(["bash", "-c", line], cwd=folder / "humanize", capture_output=True, text=True)
        assert shown.returncode == 0, f"{line}\n{shown.stderr}"
        assert shown.stdout


def test_an_agent_that_keeps_failing_meets_a_bound(tmp_path: Path) -> None:
    code, said = ended(demo(tmp_path / "new", "--seed=14", "--rate=0.4"))
    assert code == 3
    assert "none: a bound was reached" in said
    assert "the same findings for the third time" in said
    assert "0 got through" in said


def test_interrupted_it_can_be_gone_on_with(tmp_path: Path) -> None:
    child = demo(tmp_path / "new")
    assert child.stdout is not None
    for line in child.stdout:
        if " tests/1.1 " in line:
            break
    os.killpg(child.pid, signal.SIGINT)
    code, said = ended(child)
    assert code == 130, said
    assert "Traceback" not in said
    (command,) = re.findall(r"^  (cd .* resume)", said, re.M)
    resumed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert resumed.returncode == 3, resumed.stderr  # the approval is a person's
    assert "ship/1.1 waits for an approval" in resumed.stdout


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    code, said = ended(demo(tmp_path))
    assert code == 5
    assert "is there already" in said
    assert list(tmp_path.iterdir()) == []

"""scripts/nightly with programs that only note what they were asked, in place of those that take hours."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NIGHTLY = (ROOT / "scripts/nightly").read_text()
NOTES = '#!/bin/sh\necho "${0##*/} $* ${ALL_AGENTS:-}" >> asked\n[ "${0##*/}" != "$FAILS" ]\n'
TRIED = {*re.findall(r"^try (\S+/\S+)", NIGHTLY, re.M)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in TRIED | {f".ci/{path.name}" for path in (ROOT / ".ci").glob("3*")}:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(NOTES)
        path.chmod(0o755)
    shutil.copy(ROOT / "scripts/nightly", tmp_path / "scripts")
    return tmp_path


def ran(project: Path, fails: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [project / "scripts/nightly", "20300101"], env={"PATH": "/usr/bin:/bin", "FAILS": fails}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()[-1], (project / "asked").read_text()


def test_everything_that_it_runs_is_there() -> None:
    assert TRIED
    assert [name for name in TRIED if not (ROOT / name).exists() and not name.startswith(".venv/")] == []


def test_each_part_that_takes_a_seed_gets_that_of_the_night(project: Path) -> None:
    code, last, asked = ran(project, "")
    assert (code, last) == (0, "nightly: failed: nothing")
    lines = asked.splitlines()
    assert "test --all --hypothesis-seed 20300101 1" in lines
    assert {line.split()[0] for line in lines if "20300101" in line} == {"test", "simulate", "kill", "python"}
    assert any(line.startswith("40-agents  1") for line in lines)


def test_it_goes_on_after_a_failure_and_names_it(project: Path) -> None:
    code, last, asked = ran(project, "simulate")
    assert code == 1
    assert last.startswith("nightly: failed: ./scripts/simulate --seed 20300101")
    assert "\nbench " in asked

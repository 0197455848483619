from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from interlock.core.pipeline import Report
from interlock.pipelinefile.sets import LANGUAGES, MEMBERS, NAMES, resolve


def test_names_are_each_language_with_each_member():
    assert set(LANGUAGES) == {"go", "java", "node", "python", "rust"}
    assert len(NAMES) == len(LANGUAGES) * len(MEMBERS)
    assert "python.test" in NAMES


@pytest.mark.parametrize("name", ["python.tests", "pyhton.test", "python", "", "cobol.test", "python.test.x"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str, tmp_path: Path):
    with pytest.raises(LookupError, match=r"known: .*python\.test"):
        resolve(name, tmp_path)


def test_the_nearest_name_is_offered(tmp_path: Path):
    with pytest.raises(LookupError, match=r"did you mean python\.test\?"):
        resolve("python.tests", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_gate_resolves_in_an_empty_folder_and_fails_there_clearly(name: str, tmp_path: Path):
    ready = resolve(name, tmp_path)
    assert ready.why
    assert not ready.applies
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", ready.run],
        cwd=tmp_path,
        env={"PATH": "/nonexistent", "REPORT": str(tmp_path / "report")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 127
    assert name in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_sound_shell(name: str, tmp_path: Path):
    line = resolve(name, tmp_path).run
    subprocess.run(["/bin/bash", "-n", "-c", line], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_gate_that_reports_says_so(name: str, tmp_path: Path):
    ready = resolve(name, tmp_path)
    assert ("$REPORT" in ready.run) == (ready.report is not Report.NONE)

"""The README: what it links to is there, what it shows is valid, and the two commands come first."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]
README = (CLONE / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (CLONE / target).exists()


def test_the_pipeline_it_shows_is_valid(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (pipeline,) = re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S)
    (tmp_path / "interlock.yaml").write_text(pipeline)
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert True\n")
    argv = [sys.executable, "-m", "interlock", "validate"]
    said = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "warning" not in said.stdout + said.stderr


def test_it_names_every_verb() -> None:
    argv = [sys.executable, "-m", "interlock", "--help"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    verbs = re.findall(r"^  ([a-z]+)  ", shown.partition("Verbs:")[2], re.M)
    assert verbs
    table = README.partition("## Verbs")[2].partition("## What")[0]
    assert [verb for verb in verbs if f"`{verb}`" not in table] == []


def test_the_two_commands_come_first() -> None:
    lines = README.splitlines()
    assert lines[2] == "```console"
    assert [line.split()[1] for line in lines[3:5]] == ["./scripts/demo", "./scripts/test"]

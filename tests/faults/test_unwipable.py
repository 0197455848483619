"""What cannot be wiped costs nothing: the work is taken, its usage is counted, a verdict stays what it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of

# An immutable file stands for what docker leaves: nobody but root removes either, and root only after another call.
PIPELINE = """\
version: 1
name: p
agents:
  a: {use: command, run: [bash, -c, 'echo paid >> "$PAID"; echo one > out.txt; AGENT'], env: [PAID]}
stages:
  code:
    agent: a
    gates: [{id: g, run: "GATE"}]
"""
KEEP = "mkdir -p build; echo x > build/x; chattr +i build/x"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs to be root on Linux for chattr"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    probe = tmp_path / "probe"
    probe.touch()
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", probe], check=False).returncode:
        pytest.skip("the file system knows no immutable files")
    yield tmp_path
    subprocess.run(["chattr", "-R", "-f", "-i", tmp_path], check=False)


def made(folder: Path, agent: str, gate: str) -> World:
    text = PIPELINE.replace("AGENT", agent).replace("GATE", gate)
    files = {".interlock/pipelines/p.yaml": text, ".gitignore": "build\n", "start.txt": "x\n"}
    return new_world(folder, files, PAID=str(folder / "paid"))


def test_a_finished_attempt_counts_although_its_place_stays(folder: Path):
    world = made(folder, KEEP, "test -s start.txt")
    said = world.ask("run", "-t", "x", "--plain").ended(0, "note: ", "build/x: cannot be removed", "accepted")
    assert (folder / "paid").read_text().split() == ["paid"], said.text
    attempts = stage_of(world.show(), "code")["attempts"]
    assert [attempt["phase"] for attempt in attempts] == ["accepted"]
    assert "build/x" in attempts[0]["notes"][0]
    assert "build/x: cannot be removed" in world.ask("show", "-v").text


def test_a_gate_that_passed_stays_passed(folder: Path):
    world = made(folder, "true", KEEP)
    world.ask("run", "-t", "x", "--plain").ended(0, "gate g passed; note: ", "accepted")
    (attempt,) = stage_of(world.show(), "code")["attempts"]
    verdict = verdicts_of(attempt)["code/g"]
    assert verdict["status"] == "passed"
    assert "build/x" in verdict["notes"][0]


def test_the_rest_of_the_place_is_gone_and_gc_says_what_stays(folder: Path):
    world = made(folder, KEEP, "test -s start.txt")
    world.ask("run", "-t", "x", "--plain").ended(0)
    places = folder / "home/.cache/interlock"
    assert [path.name for path in places.rglob("*") if path.is_file()] == ["x"]
    for path in (path for path in places.rglob("code-1.1-1") if path.is_dir()):
        os.utime(path, (1, 1))
    world.ask("gc").ended(0, "stays: ", "build/x: cannot be removed: Operation not permitted: unmount or remove it")
    subprocess.run(["chattr", "-R", "-f", "-i", folder], check=False)
    assert "stays" not in world.ask("gc").ended(0, "1 checkout").text

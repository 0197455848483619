"""A new agent is one module and one row: with nothing else changed the file, `doctor`, a run and `logs` know it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import interlock

ROW = """
    Program(
        "mimic", "1.0", ("MIMIC_KEY",), tells_cost=False, obeys=("MIMIC.md",), renders=("mimic.says",),
        login=Login("", ".mimic", "login.json"),
    ),"""
MODULE = '''
"""mimic: `mimic --json`. It succeeded if its last event says so."""

from interlock.agents.driven import AgentReport, Driven, Kind, Start
from interlock.agents.logs import events, text


def adapter(environ, folder):
    return Driven(Kind("mimic", _start, _read, login_file="login.json"), environ)


def _start(request):
    return Start(("--json",), stdin=request.text.encode())


def _read(request, log):
    last = list(events(log))[-1]
    return AgentReport(done=last.get("done") is True, message=text(last, "text"))


def render(event):
    yield f"mimic: {text(event, 'text')}"
'''
PROGRAM = """#!/bin/sh
[ "$1" = --version ] && echo mimic 1.0 && exit
ls > seen
echo '{"type": "mimic.says", "text": "All done.", "done": true}'
"""
PIPELINE = """
version: 1
agents:
  own: {use: mimic, secrets: [MIMIC_KEY], price: {input: 1, output: 1}}
stages:
  s: {agent: own, gates: [{id: g, run: "true"}]}
"""
ASKED = """
import json, os, sys, threading
from pathlib import Path
from interlock.agents import adapters
from interlock.agents.logs import readable
from interlock.agents.probe import probe
from interlock.core.ids import AttemptId
from interlock.pipelinefile import load_pipeline
from interlock.ports import Brief, Checkout

root = Path(sys.argv[1])
checkout = Checkout(root, root / "tree", root / "home", root / "tmp")
spec = load_pipeline(checkout.tree / "interlock.yaml", checkout.tree).pipeline.agents[0]
brief = Brief("r", AttemptId("s", 1, 1), "Do it.", "Do it.", "", dict(os.environ), 60, 0)
outcome = adapters(os.environ)[spec.use].work(spec, brief, checkout, threading.Event())
(probed,) = probe(os.environ, ["mimic"])
print(json.dumps([outcome.ended, outcome.message, readable(outcome.log.read_text()), probed.version, probed.access]))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of Interlock with the module and the row."""
    source = Path(interlock.__file__).parent
    shutil.copytree(source, tmp_path / "src" / "interlock", ignore=shutil.ignore_patterns("__pycache__"))
    rows = tmp_path / "src" / "interlock" / "conventions" / "programs.py"
    before = rows.read_text()
    rows.write_text(before.replace("PROGRAMS = (", f"PROGRAMS = ({ROW}", 1))
    (tmp_path / "src" / "interlock" / "agents" / "kinds" / "mimic.py").write_text(MODULE)
    return tmp_path / "src"


def test_one_module_and_one_row(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "place"
    for folder in ("tree", "home", "tmp", "bin"):
        (root / folder).mkdir(parents=True)
    (root / "tree" / "interlock.yaml").write_text(PIPELINE)
    (root / "tree" / "MIMIC.md").write_text("Obey me.\n")
    (root / "bin" / "mimic").write_text(PROGRAM)
    (root / "bin" / "mimic").chmod(0o755)
    path = os.pathsep.join((str(root / "bin"), os.environ["PATH"]))
    env = {"PATH": path, "PYTHONPATH": str(package), "HOME": str(root / "home"), "MIMIC_KEY": "k"}
    done = subprocess.run(
        [sys.executable, "-B", "-c", ASKED, str(root)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["completed", "All done.", "mimic: All done.", "1.0", "MIMIC_KEY is set"]
    assert "MIMIC.md" not in (root / "tree" / "seen").read_text()
    assert (root / "tree" / "MIMIC.md").is_file()

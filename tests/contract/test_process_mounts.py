"""A namespace for mounts: what is mounted is seen by this process and what it starts, and by nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from interlock.process import mounts

SCRIPT = """
import os, sys, threading
from pathlib import Path
from interlock.process import Supervised, capture, capture_outside, mounts, supervise
if not mounts.enter():
    print("refused", mounts.refusal()); raise SystemExit
root = Path(sys.argv[1])
for name in ("lower", "upper", "work", "at"):
    (root / name).mkdir()
(root / "lower/x").write_text("below")
mounts.mount_overlay(*(root / name for name in ("lower", "upper", "work", "at")))
words = ["sh", "-c", 'ls "$1"; stat -c %u /etc/passwd; cat; echo said >&2; exit 3', "sh", str(root / "at")]
for run in (capture, capture_outside):
    done = run(words, env={"PATH": "/usr/bin:/bin"}, stdin=b"given")
    print(done.code, done.out.decode().split(), done.err.decode().strip(), mounts.outside() is not None)
words = ("sh", "-c", 'stat -c %u /etc/passwd; ls "$1"', "sh", str(root / "at"))
for cwd in (root, root / "at"):
    work = Supervised(words, cwd, {"PATH": "/usr/bin:/bin"}, root / "log", 60)
    print(supervise(work, threading.Event()).tail.decode().split())
print(os.listdir(root / "at"), flush=True)
"""


def _said(folder: Path, someone: list[str], program: str) -> list[str]:
    env = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry), "PATH": os.environ["PATH"]}
    words = [*someone, program, "-c", SCRIPT, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=env)
    return done.stdout.splitlines()


def test_mounts_are_seen_here_alone(tmp_path: Path) -> None:
    said = _said(tmp_path, [], sys.executable)
    if said[0].startswith("refused"):
        pytest.skip(said[0])
    assert said[-1] == "['x']"
    assert "'x'" in said[0]
    assert not list((tmp_path / "at").iterdir())


def test_what_acts_for_the_user_and_what_is_in_no_room_is_started_outside() -> None:
    """There, files have their owners: ssh refuses a configuration that seems to be nobody's."""
    program = shutil.which("python3", path="/usr/bin:/bin") if os.geteuid() == 0 else sys.executable
    if program is None:
        pytest.skip("no Python that an ordinary user may run")
    someone = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        inside, outside, unconfined, in_overlay, *_ = said = _said(Path(folder), someone, program)
    if inside.startswith("refused"):
        pytest.skip(inside)
    assert inside == "3 ['x', '65534', 'given'] said True"
    assert outside == "3 ['0', 'given'] said True"
    assert unconfined == "['0']"
    assert in_overlay == "['65534', 'x']"
    assert said[-1] == "['x']"


def test_a_process_that_cannot_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert mounts.apart(lambda: "entered") in ("entered", "darwin has no overlays")
    for name, value in (("pid", 0), ("why", ""), ("as_user", False), ("outside", None)):
        monkeypatch.setattr(mounts._entered, name, value)
    assert not mounts.enter()
    assert mounts.refusal() == "darwin has no overlays"
    assert mounts.outside() is None

"""Power loss at moments of a run, and after it: what was said and recorded by then is there, whole, and goes on.

By default a few moments; INTERLOCK_POWER_MOMENTS says how many, 0 for all, as scripts/kill takes them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.kill.power import NOT_TO_BE_HAD, chosen

MOMENTS = int(os.environ.get("INTERLOCK_POWER_MOMENTS", "2"))
PROJECT = Path(__file__).resolve().parents[2]
NEEDED = ("unshare", "mount", "umount", "mkfs.ext4", "truncate", "cp")


def test_moments_are_spread_and_hold_the_last() -> None:
    assert chosen(9, 1) == [8]
    assert chosen(9, 3) == [3, 5, 8]
    assert chosen(3, 0) == [0, 1, 2]
    assert chosen(1, 3) == [0]


def test_a_power_loss_takes_nothing_that_was_recorded(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("power loss: only root on Linux may mount an image")
    if lacking := [name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]:
        pytest.skip(f"power loss: {', '.join(lacking)} is not here")
    argv = ["unshare", "-m", "--propagation", "private", sys.executable, "-m", "tests.kill.power", str(tmp_path / "d")]
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    environ = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "src")])}
    done = subprocess.run(
        [*argv, str(MOMENTS)], cwd=PROJECT, env=environ, check=False, capture_output=True, text=True, timeout=1800
    )
    if done.returncode == NOT_TO_BE_HAD or "unshare" in done.stderr:
        pytest.skip(f"power loss: no loop device can be mounted here: {(done.stdout + done.stderr).strip()}")
    assert done.returncode == 0, done.stderr
    looked = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [one for one in looked if one.get("wrong")]
    assert not wrong, json.dumps(wrong, indent=1)
    assert sum("unreadable" in one for one in looked) <= len(looked) // 2, looked

"""A machine without room (threads, processes, locks, files) is infrastructure: exit 5 or a pause. No result is lost.

Rule: what was refused is given back, and the run comes to the same end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.contract.cli_world import Said, World, new_world, stage_of
from tests.contract.program import PROGRAM
from tests.nightly import rest_at_night

SITE = Path(__file__).with_name("site")
PIPELINE = """\
version: 1
name: p
agents:
  a: {use: command, run: [bash, -c, 'echo paid >> "$PAID"; echo one > out.txt'], env: [PAID]}
stages:
  code:
    agent: a
    gates: [{id: g, run: test -s start.txt}]
"""
RUN = ("run", "-t", "x", "--plain")
SOMEONE = 47113  # a user that nobody is
OUTSIDE = "raise the limit of processes and threads"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return made(tmp_path)


def made(folder: Path) -> World:
    files = {".interlock/pipelines/p.yaml": PIPELINE, "start.txt": "x\n"}
    return new_world(folder, files, PAID=str(folder / "paid"))


def refusing(world: World, what: str, times: str = "") -> dict[str, str]:
    """The environment of a machine that refuses, until `given_back`."""
    flag = world.root / "refuses"
    flag.write_text(times)
    return {"REFUSE": what, "REFUSE_WHILE": str(flag), "PYTHONPATH": str(SITE)}


def given_back(world: World) -> None:
    (world.root / "refuses").unlink(missing_ok=True)


def paid(world: World) -> int:
    return len((world.root / "paid").read_text().split()) if (world.root / "paid").exists() else 0


def ends_well(world: World) -> None:
    """Whatever came of it is resumed, as the program says, and the work was paid once."""
    given_back(world)
    listed = world.ask("list", "--json").json()["runs"]
    said = world.ask("resume", "--plain") if listed else world.ask(*RUN)
    said.ended(0, "accepted")
    assert paid(world) == 1, said.text


def test_an_effect_waits_for_a_thread(world: World):
    """Three tries without one: nobody is told, since nothing is lost."""
    said = world.ask(*RUN, **refusing(world, "thread::EvaluateGate", "3")).ended(0, "accepted")
    assert (world.root / "refuses").read_text().strip() == "0"
    assert paid(world) == 1, said.text


@pytest.mark.parametrize(
    "name", rest_at_night(["drive", "EvaluateGate", "AcceptHandoff", "StartAttempt", "DeliverBranch"], 2)
)
def test_no_thread_at_all(world: World, name: str):
    world.ask(*RUN, **refusing(world, f"thread::{name}")).ended(5, "no thread can be started", OUTSIDE)
    ends_well(world)


@pytest.mark.parametrize("errno", rest_at_night(["ENOLCK", "EIO"]))
def test_a_file_system_without_locks(world: World, errno: str):
    why = os.strerror(getattr(__import__("errno"), errno))
    refused = refusing(world, f"flock:{errno}:")
    world.ask(*RUN, **refused).ended(5, why)
    given_back(world)
    world.ask(*RUN).ended(0)
    (world.root / "refuses").touch()
    world.ask("list", **refused)
    world.ask("run", "-t", "y", "--plain", **refused).ended(5, why)
    world.ask("resume", **refused)


def test_a_base_that_cannot_be_judged_for_a_moment_pauses_the_run(world: World):
    """Three tries each fail to make the gate's checkout. It did not end for good: `resume` judges the base anew."""
    said = world.ask(*RUN, **refusing(world, "mkdir:EIO:/gates/room-"))
    said.ended(3, "gate code/g errored", "Input/output error", "paused (infrastructure)", "interlock resume")
    assert world.show()["phase"] == "waiting"
    assert paid(world) == 0
    ends_well(world)


def test_a_passing_error_costs_no_attempt(world: World):
    """The agent is done; its candidate cannot be kept at first."""
    said = world.ask(*RUN, **refusing(world, "link:EIO:refs/interlock", "1")).ended(0, "accepted")
    assert paid(world) == 1, said.text
    assert [one["phase"] for one in stage_of(world.show(), "code")["attempts"]] == ["accepted"]


def test_a_record_that_cannot_be_kept_is_kept_later(world: World):
    """No handoff is accepted without its record: the run waits, and then it is verified."""
    world.ask(*RUN, **refusing(world, "link:EIO:refs/records")).ended(3, "Input/output error")
    assert [stage["commit"] for stage in world.show()["stages"]] == [""]
    ends_well(world)
    world.ask("verify").ended(0, "is verified")


def test_a_key_that_cannot_be_made_stops_the_run_before_it_begins(world: World):
    world.ask(*RUN, **refusing(world, "link:ENOSPC:signing.key")).ended(5, "signing.key", "free some space")
    assert world.ask("list", "--json").json()["runs"] == []
    ends_well(world)


def test_an_object_that_the_store_lost_is_infrastructure(world: World):
    """Stopped before delivery; then the store has nothing of the run any more, and then it has it again."""
    world.ask(*RUN, **refusing(world, "thread::DeliverBranch")).ended(5)
    given_back(world)
    (store,) = (world.root / "state/interlock").glob("*/store.git")
    shutil.move(store / "objects", world.root / "objects")
    (store / "objects/pack").mkdir(parents=True)
    said = world.ask("resume", "--plain")
    assert said.code in (3, 5), said.text
    assert "missing in the store" in said.text, said.text
    assert world.ask("list").code == 0
    shutil.rmtree(store / "objects")
    shutil.move(world.root / "objects", store / "objects")
    ends_well(world)


@pytest.mark.parametrize("files", rest_at_night([12, 20, 8, 16, 26], 2))
def test_few_open_files(world: World, files: int):
    """Wherever it strikes, while starting or in the middle."""
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("there is no prlimit")
    said = under([prlimit, f"--nofile={files}"], world, *RUN)
    assert said.code in (0, 3, 5), said.text
    if said.code:
        ends_well(world)


@pytest.mark.root
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs to be root on Linux, to be another user")
@pytest.mark.parametrize("processes", rest_at_night([2, 1, 4]))
def test_few_processes(processes: int):
    """As a user of a number that nobody else has, since the limit counts all that a user runs."""
    if not (setpriv := shutil.which("setpriv")) or not (prlimit := shutil.which("prlimit")):
        pytest.skip("there is no setpriv or prlimit")
    with tempfile.TemporaryDirectory() as name:  # pytest's own is closed to others
        Path(name).chmod(0o755)
        world = made(Path(name))
        for at, folders, files in os.walk(name):
            for each in (".", *folders, *files):
                os.chown(Path(at) / each, SOMEONE, SOMEONE)
        rights = "+dac_override,+dac_read_search"  # of the program, which may lie in root's home
        someone = [f"--reuid={SOMEONE}", "--clear-groups", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
        said = under([setpriv, *someone, prlimit, f"--nproc={processes}"], world, *RUN)
        assert said.code == 5, said.text
        assert "\nerror: git" in f"\n{said.text}", said.text
        assert under([setpriv, *someone], world, *RUN).code == 0


def under(prefix: list[str], world: World, *words: str) -> Said:
    done = subprocess.run(
        [*prefix, *PROGRAM, *words], cwd=world.repository, env=world.environment(), stdin=subprocess.DEVNULL,
        capture_output=True, check=False,
    )  # fmt: skip
    said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in said.text, said.text
    assert "a bug in Interlock" not in said.text, said.text
    return said

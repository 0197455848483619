"""Limits of rooms as a user meets them: of an agent, a gate, a script and setup; what `doctor` says; what is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of
from tests.contract.sandbox.rooms import checkout_in, run_in
from tests.contract.web.world import served
from tests.rooms_here import needs_fences, needs_rooms

from interlock.core.rooms import RoomLimits
from interlock.ports import Sandbox
from interlock.process import How
from interlock.process.usage import Disk, Limits
from interlock.sandbox import limits_held

pytestmark = needs_rooms

FULL = {"INTERLOCK_SANDBOX": ""}
BOMB = "i=0; while [ $i -lt 60 ]; do sleep 9 & i=$((i + 1)); done; sleep 3"
FILLS = "head -c 30000000 /dev/zero > big; sleep 3"
HOGS = "head -c 90000000 /dev/zero | tail -c 89000000 > /dev/null; sleep 3"
PIPELINE = """\
version: 1
sandbox: {memory: 60 MB, processes: 20, disk: 20 MB, file_size: 500 MB}
agents:
  coder: {use: command, run: ["sh", "-c", "AGENT"]}
SETUP
stages:
  code:
    WORKER
    attempts: 2
    gates:
      - {id: works, run: ["sh", "-c", "GATE"]}
"""


def world_of(folder: Path, *, agent: str = "echo 2 > two", gate: str = "test -e two", setup: str = "", script: str = "") -> World:  # fmt: skip # noqa: E501
    made = f'setup: [{{run: ["sh", "-c", "{setup}"], paths: [out]}}]' if setup else ""
    worker = f'run: ["sh", "-c", "{script}"]' if script else "agent: coder"
    text = PIPELINE.replace("AGENT", agent).replace("GATE", gate).replace("SETUP\n", f"{made}\n")
    return new_world(folder, {"interlock.yaml": text.replace("WORKER", worker)})


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (BOMB, "processes: had more than 20 processes and threads at once"),
        (FILLS, "disk: wrote more than 20 MB"),
        (HOGS, "memory: used more than 60 MB"),
    ],
    ids=["processes", "disk", "memory"],
)
def test_an_agent_that_passes_a_limit_is_rejected_and_the_next_is_told(does: str, words: str, tmp_path: Path) -> None:
    once = f"grep -q was.ended $BRIEF && cp $BRIEF told && echo 2 > two && exit; {does}"
    world = world_of(tmp_path / "user", agent=once)
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0, words)
    first, second = stage_of(world.show(), "code")["attempts"]
    assert [first["outcome"], second["outcome"]] == ["over_limit", "completed"]
    assert f"sh was ended: {words}" in str(first)
    assert words in world.git("show", f"{world.show()['branch']}:told")
    assert words in world.ask("show", "--full", **FULL).text


def test_a_rejection_by_a_limit_names_it_and_no_gate(tmp_path: Path) -> None:
    """Wherever it is read: lines, the page of a run and of an attempt, the browser."""
    world = world_of(tmp_path / "user", agent=BOMB)
    words = "ended by a limit: processes: had more than 20 processes and threads at once"
    said = world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3, words, "rejected: nothing of its work was taken")
    run = world.show()["id"]
    with served(world) as site, site.client() as client:
        page, attempt = (client.get(f"/runs/{run}{path}").text for path in ("", "/attempts/code/1.1"))
    shown = [world.ask("show", *more, **FULL).text for more in ((), ("code/1.1", "--full"))]
    told = (said.text, *shown, *(unescape(re.sub(r"<[^>]+>", "", text)) for text in (page, attempt)))
    for text in told:
        assert words in text, text
        assert not re.search(r"by scope|gate (code/)?scope failed|scope +failed|^scope sh was", text), text


def test_a_gate_that_passes_a_limit_never_passes(tmp_path: Path) -> None:
    """Whatever its exit code is: where it could decide on the input, the candidate is to blame."""
    world = world_of(tmp_path / "user", gate=f"test -e two || exit 1; {BOMB.replace('sleep 3', 'exit 0')}")
    said = world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3, "processes: had more than 20")
    verdict = verdicts_of(stage_of(world.show(), "code")["attempts"][0])["code/works"]
    assert (verdict["status"], [one["rule"] for one in verdict["findings"]]) == ("failed", ["limit"]), said.text


def test_a_gate_that_passes_a_limit_on_the_base_decides_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path / "user", gate=BOMB.replace("sleep 3", "exit 0"))
    words = "processes: had more than 20 processes and threads at once: it was ended; use less, or raise `processes`"
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(5, "gate code/works cannot run on the base", words)


def test_setup_that_passes_a_limit_is_told(tmp_path: Path) -> None:
    world = world_of(tmp_path / "user", setup=f"mkdir out; {FILLS.replace('big', 'out/big')}")
    said = world.ask("run", "-t", "Look.", "--plain", **FULL)
    assert said.code != 0
    assert "disk: wrote more than 20 MB" in said.text


def test_a_script_that_passes_a_limit_is_told(tmp_path: Path) -> None:
    world = world_of(tmp_path / "user", script=BOMB)
    said = world.ask("run", "-t", "Look.", "--plain", **FULL)
    assert said.code != 0
    assert "over limit: sh was ended: processes: had more than 20 processes and threads at once" in said.text


def test_doctor_tries_each_limit(tmp_path: Path) -> None:
    said = world_of(tmp_path / "user").ask("doctor", **FULL).text
    line = next(line for line in said.splitlines() if "limits:" in line)
    assert "file_size by the kernel" in line
    assert "not ended" not in line
    assert {one.limit for one in limits_held(os.environ) if one.means} == {"memory", "processes", "file_size", "disk"}


def test_an_ordinary_program_meets_no_default(tmp_path: Path) -> None:
    """Many threads, some memory, a large file that is sparse."""
    script = (
        "import threading, time\n"
        "for _ in range(500): threading.Thread(target=time.sleep, args=(0.5,)).start()\n"
        "kept = bytearray(b'x') * 200_000_000\n"
        "open('/w/home/sparse', 'wb').truncate(1_000_000_000)"
    )
    ended = run_in(checkout_in(tmp_path), (sys.executable, "-c", script)).finished
    assert (ended.how, ended.code) == (How.EXITED, 0), ended


def test_a_limit_that_was_passed_at_the_last_moment_counts(tmp_path: Path) -> None:
    """The program ends at once, and says that all went well."""
    limits = RoomLimits(disk_bytes=10_000_000)
    ended = run_in(checkout_in(tmp_path, Sandbox("full", limits=limits)), "head -c 40000000 /dev/zero > big").finished
    assert (ended.how, ended.over) == (How.OVER_LIMIT, "disk: wrote more than 10 MB")


def test_who_meets_the_end_of_a_small_disk_is_not_told_of_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.sandbox.limits._free", lambda _: (20_000_000, 10**6))
    ended = run_in(checkout_in(tmp_path), "head -c 40000000 /dev/zero > big; sleep 3").finished
    assert (ended.how, ended.over) == (How.OVER_LIMIT, "disk: filled the disk")


@pytest.mark.parametrize("level", ["full", pytest.param("fs", marks=needs_fences)])
def test_a_command_whose_file_became_too_long_makes_its_program_pass_the_limit(level: str, tmp_path: Path) -> None:
    """The kernel ends the command that writes; the program goes on, and the file is not whole."""
    sandbox = Sandbox(level, limits=RoomLimits(file_bytes=20_000_000))
    ended = run_in(checkout_in(tmp_path, sandbox), "head -c 30000000 /dev/zero > big; true").finished
    assert (ended.how, ended.over) == (How.OVER_LIMIT, "file_size: wrote a file of more than 20 MB")


def test_what_is_written_behind_a_count_that_has_begun_counts_at_the_end(tmp_path: Path) -> None:
    upper, home = tmp_path / "upper", tmp_path / "home"
    for folder in (upper, home):
        folder.mkdir()
    disk = Disk(Limits(file_size=20_000_000, disk=10**12, files=10**6, places=(str(upper), str(home)), taken=True))
    (home / "own").touch()
    disk._walk = disk._counted(0)
    next(disk._walk)  # it is in the second folder
    (upper / "big").write_bytes(bytes(20_000_000))
    assert disk.look(0, whole=True).largest == 20_000_000


def test_what_was_there_before_does_not_count(tmp_path: Path) -> None:
    checkout = checkout_in(tmp_path, Sandbox("full", limits=RoomLimits(disk_bytes=5_000_000, files=100)))
    (checkout.tree / "big").write_bytes(bytes(20_000_000))
    for number in range(200):
        (checkout.tree / f"f{number}").touch()
    time.sleep(0.2)
    assert run_in(checkout, "sleep 3; cat big > /dev/null").finished.how is How.EXITED


@pytest.mark.parametrize("at_once", [1, 4])
def test_no_program_holds_what_is_another_ones(at_once: int, tmp_path: Path) -> None:
    """Its supervisor was there before it, and others ran meanwhile: it has its own three files, and that of `ls`."""
    for turn in range(3):
        places = [checkout_in(tmp_path / f"{turn}-{number}") for number in range(at_once)]
        with ThreadPoolExecutor(at_once) as pool:
            for ended in pool.map(lambda place: run_in(place, "sleep 0.1; ls /proc/self/fd"), places):
                assert ended.said.split() == ["0", "1", "2", "3"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("limit", ["", "sandbox: {disk: 5 GB}\n"], ids=["default", "more than there is"])
def test_who_fills_a_small_disk_has_passed_a_limit(limit: str, tmp_path: Path) -> None:
    """Its output cannot be written meanwhile, which is no failure of the machine."""
    fills = "cat /dev/zero > big; i=0; while [ $i -lt 9 ]; do seq 20000; i=$((i + 1)); done; sleep 1"
    pipeline = f"""\
version: 1
{limit}agents:
  coder: {{use: command, run: ["sh", "-c", "{fills}"]}}
stages:
  code: {{agent: coder, attempts: 1, gates: [{{id: works, run: "true"}}]}}
"""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "small", str(disk)], check=True)
    try:
        world = new_world(disk / "user", {"interlock.yaml": pipeline})
        world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3, "code/1.1     ended by a limit: disk: ")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)

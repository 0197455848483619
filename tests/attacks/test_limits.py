"""Attacks on what a room may use of the machine: at the level `full` each is ended, and it alone, both where the kernel
counts and where the supervisor has to look. Without its limit each succeeds.

Rule: they take little, also where they succeed: 150 small processes, 300 MB, 5,000 empty files.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.nightly import rest_at_night
from tests.rooms_here import needs_rooms

from interlock.core.rooms import RoomLimits
from interlock.ports import Checkout, Sandbox
from interlock.process import Finished, How, Supervised, checkout_environment, supervise
from interlock.process.spawner import Spawner
from interlock.sandbox import Room, confine

pytestmark = needs_rooms

LIMITS = RoomLimits(memory_bytes=100_000_000, processes=64, file_bytes=400_000_000, disk_bytes=30_000_000, files=1_000)


@dataclass(frozen=True, slots=True)
class Attack:
    """A program in Python. `passes`: the limit that ends it; `also`: others that bound what it takes, and may end it
    before, where what has gone from the whole disk counts."""

    id: str
    script: str
    passes: str
    also: tuple[str, ...] = ()


ATTACKS = (
    Attack(
        "25-fork-bomb",
        "import os\n"
        "for _ in range(150):\n"
        "    if os.fork() == 0: time.sleep(30); os._exit(0)",
        "processes",
    ),
    Attack(
        "25-daemons-that-left-their-parent",
        "import os\n"
        "for _ in range(150):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0: time.sleep(30)\n"
        "        os._exit(0)\n"
        "    os.wait()",
        "processes",
    ),
    Attack(
        "25-threads",
        "import threading\n"
        "threading.stack_size(65536)\n"
        "for _ in range(150): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
        "processes",
    ),
    Attack("26-memory", "kept = [bytearray(b'x') * 10_000_000 for _ in range(20)]", "memory"),
    Attack(
        "26-memory-of-several",
        "import os\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0: kept = bytearray(b'x') * 25_000_000; time.sleep(30); os._exit(0)",
        "memory",
    ),
    Attack(
        "26-memory-of-a-process-without-its-first-thread",
        "import ctypes, os, threading\n"
        "def take():\n"
        "    time.sleep(0.3)\n"
        "    kept = [bytearray(b'x') * 10_000_000 for _ in range(20)]\n"
        "    time.sleep(2)\n"
        "    os.write(1, b'GOT')\n"
        "    os._exit(0)\n"
        "threading.Thread(target=take, daemon=True).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)",
        "memory",
    ),
    Attack(
        "26-files-in-memory",
        "with open('/dev/shm/big', 'wb') as file:\n"
        "    for _ in range(20): file.write(bytes(10_000_000))",
        "memory",
    ),
    Attack(
        "26-empty-files-in-memory",
        "import os\n"
        "for number in range(150_000): os.close(os.open(f'/dev/shm/{number}', os.O_CREAT))",
        "memory",
    ),
    Attack(
        "27-disk",
        "with open('big', 'wb') as file:\n"
        "    for _ in range(20): file.write(bytes(10_000_000))",
        "disk",
    ),
    Attack(
        "27-disk-of-home-and-tmp",
        "import os\n"
        "for folder in (os.environ['HOME'], '/tmp', '.'):\n"
        "    with open(f'{folder}/big', 'wb') as file: file.write(bytes(20_000_000))",
        "disk",
    ),
    Attack(
        "27-removed-and-still-open",
        "import os\n"
        "file = open('big', 'wb')\n"
        "os.unlink('big')\n"
        "for _ in range(20): file.write(bytes(10_000_000))\n"
        "file.flush()",
        "disk",
    ),
    Attack(
        "27-removed-and-only-mapped",
        "import ctypes, os\n"
        "map_ = ctypes.CDLL(None).mmap\n"
        "map_.restype, map_.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]\n"
        "for _ in range(20):\n"
        "    with open('big', 'w+b') as file: file.write(bytes(10_000_000)); file.flush(); map_(None, 4096, 1, 1, file.fileno(), 0)\n"
        "    os.unlink('big')",
        "disk",
        also=("files",),
    ),
    Attack(
        "27-removed-and-open-in-one-thread",
        "import ctypes, os, threading\n"
        "def write():\n"
        "    ctypes.CDLL(None).unshare(0x400)\n"
        "    file = open('big', 'wb')\n"
        "    os.unlink('big')\n"
        "    for _ in range(20): file.write(bytes(10_000_000))\n"
        "    time.sleep(20)\n"
        "threading.Thread(target=write, daemon=True).start()\n"
        "time.sleep(1)",
        "disk",
    ),
    Attack(
        "27-sparse",
        "for number in range(10):\n"
        "    with open(f's{number}', 'wb') as file: file.truncate(300_000_000)\n"
        "time.sleep(3)",
        "disk",
    ),
    Attack(
        "27-below-a-path-that-is-too-long",
        "import os\n"
        "for _ in range(40): os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        "with open('big', 'wb') as file: file.write(bytes(80_000_000))\n"
        "time.sleep(3)",
        "disk",
    ),
    Attack(
        "27-in-a-folder-that-nobody-may-list",
        "import os\n"
        "os.mkdir('d')\n"
        "os.chmod('d', 0o300)\n"
        "with open('d/big', 'wb') as file:\n"
        "    for _ in range(40): file.write(bytes(5_000_000)); time.sleep(0.02)\n"
        "time.sleep(3)",
        "disk",
        also=("files",),
    ),
    Attack(
        "27-in-folders-that-are-always-renamed",
        "import os\n"
        "folders = [os.open('.', os.O_DIRECTORY)]\n"
        "for _ in range(40):\n"
        "    os.mkdir('a', dir_fd=folders[-1])\n"
        "    folders.append(os.open('a', os.O_DIRECTORY, dir_fd=folders[-1]))\n"
        "for number in range(2):\n"
        "    if os.fork() == 0:\n"
        "        while True:\n"
        "            for one, two in ('ab', 'bc', 'ca'):\n"
        "                for file in folders[number:-1:2]: os.rename(one, two, src_dir_fd=file, dst_dir_fd=file)\n"
        "time.sleep(0.5)\n"
        "os.fchdir(folders[-1])\n"
        "for number in range(20):\n"
        "    with open(f'big{number}', 'wb') as file: file.write(bytes(10_000_000))",
        "disk",
        also=("files",),
    ),
    Attack("27-many-small-files", "for number in range(5_000): open(f'f{number}', 'w').close()", "files"),
    Attack(
        "27-many-folders", "import os\nfor number in range(3_000): os.mkdir(f'd{number}')", "files"
    ),
    Attack(
        "27-one-file",
        "import signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "with open('big', 'wb') as file: file.truncate(500_000_000)",
        "file_size",
        also=("disk",),
    ),
)  # fmt: skip


@pytest.fixture(params=["groups", "polling"])
def by(request: pytest.FixtureRequest) -> Iterator[Spawner]:
    """With control groups, if they can be had here, and without."""
    made = Spawner(os.environ, groups=request.param == "groups")
    yield made
    made.close()


# A push tries each limit in each way once.
OFTEN = [row for row in ATTACKS if row.id in ("25-fork-bomb", "26-memory", "27-disk", "27-many-small-files")]
ROWS = rest_at_night([*OFTEN, *(row for row in ATTACKS if row not in OFTEN)], len(OFTEN))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_it_is_ended_and_named(row: Attack, tmp_path: Path, by: Spawner) -> None:
    ended = _run(row, tmp_path, by)
    assert ended.how is How.OVER_LIMIT, ended
    assert ended.over.partition(":")[0] in (row.passes, *row.also)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_without_its_limit_it_succeeds(row: Attack, tmp_path: Path, by: Spawner) -> None:
    ended = _run(row, tmp_path, by, (row.passes, *row.also))
    assert (ended.how, ended.code) == (How.EXITED, 0), ended
    assert b"GOT" in ended.tail


def test_the_others_go_on(tmp_path: Path, by: Spawner) -> None:
    """Of two programs that run at the same time, the one that passes its limit is ended."""
    other = Attack("", "import os\nfor _ in range(30):\n    time.sleep(0.05)\nprint(os.getpid())", "")
    found: list[Finished] = []
    beside = threading.Thread(target=lambda: found.append(_run(other, tmp_path / "other", by)))
    beside.start()
    assert _run(ATTACKS[0], tmp_path / "one", by).how is How.OVER_LIMIT
    beside.join()
    assert (found[0].how, found[0].code) == (How.EXITED, 0), found


def _run(row: Attack, folder: Path, by: Spawner, lifted: tuple[str, ...] = ()) -> Finished:
    made = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=Sandbox("full", limits=LIMITS))
    for one in (made.tree, made.home, made.tmp, folder / "output"):
        one.mkdir(parents=True)
    rest_s = 0.1 if lifted else 3  # it is ended while it rests, where it has to be looked at
    script = f"import sys, time\n{row.script}\ntime.sleep({rest_s})\nprint('GOT')\nsys.stdout.flush()"
    env = checkout_environment(os.environ, made)
    work = confine(
        Supervised((sys.executable, "-c", script), made.tree, env, folder / "output/log", 30), Room(made, taken=True)
    )
    assert work.limits is not None
    if lifted:
        work = replace(work, limits=work.limits._replace(**dict.fromkeys(lifted, 0)))
    return supervise(work, threading.Event(), by=by)

"""System calls that fail or kill, by strace, in the controller and in all that it starts.

By default a few of them; INTERLOCK_FAULTS_EVERY=1 takes all, as scripts/faults does. strace counts `when` for each
process and thread by itself. After each: the fault struck, it was said in words, the exit code fits, the run comes to
the same tree, and no agent was paid again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.program import PROGRAM

STRACE = shutil.which("strace")
EVERY = int(os.environ.get("INTERLOCK_FAULTS_EVERY", "13"))
RESUMES_MAX = 5
PIPELINE = """\
version: 1
name: p
agents:
  one: {use: command, env: [PAID], run: [bash, -c,
        'echo one >> "$PAID"; mkdir -p d; for i in 1 2 3; do echo "one $i" > d/one$i.txt; done']}
  two: {use: command, env: [PAID], run: [bash, -c, 'echo two >> "$PAID"; echo two > two.txt']}
stages:
  one: {agent: one, gates: [{id: there, run: test -s d/one1.txt || test -s start.txt}]}
  two: {agent: two, gates: [{id: there, run: test -s two.txt || test -s start.txt}]}
  both:
    needs: [one, two]
    run: cat d/one1.txt two.txt > both.txt
    gates: [{id: both, run: test -s both.txt || test -s start.txt}]
"""
FAULTS = {
    "fsync:error=EIO": (1, 2, 3, 5, 8),
    "fsync:error=ENOSPC": (1, 4),
    "fdatasync:error=EIO": (1, 2, 4, 8, 12),
    "pwrite64:error=EIO": (1, 3, 6, 12, 25),
    "pwrite64:error=ENOSPC": (2, 9, 20),
    "rename:error=EIO": (1, 2, 3, 5, 6),
    "link:error=EIO": (1, 2),
    "unlink:error=EIO": (1, 3, 9),
    "mkdir:error=ENOSPC": (1, 5, 20),
    "rmdir:error=EBUSY": (1, 10),
    "openat:error=EMFILE": (-200, -100, -40, -5),
    "clone,clone3,fork,vfork:error=EAGAIN": (1, 2, 3, 6),
    "pipe2:error=EMFILE": (1, 2, 4),
    "socketpair:error=ENOBUFS": (1,),
    "sendmsg:error=ENOBUFS": (1,),
    "ftruncate:error=EIO": (1, 2, 3),
    "flock:error=ENOLCK": (1, 2),
    "fchmod:error=EPERM": (1, 3),
    "utimensat:error=EPERM": (1, 2),
    "fsync:signal=KILL": (2, 3, 4, 6, 9, 13),
    "rename:signal=KILL": (1, 2, 3, 5),
    "fdatasync:signal=KILL": (3, 7, 12),
    "link:signal=KILL": (1, 2),
    "mkdir:signal=KILL": (2, 6),
}
IN_AGENTS = ("mkdir", "openat", "clone", "pipe2")  # calls that the agents make too, and fail by
QUICK = "--seccomp-bpf"  # with it, strace stops for these calls alone, and its signals are lost
ALL = [f"{fault}:when={number}" for fault, numbers in FAULTS.items() for number in numbers]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or STRACE is None, reason="there is no strace here"),
]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, and the tree that a run comes to where nothing fails."""
    root = tmp_path_factory.mktemp("begun")
    probe = subprocess.run([str(STRACE), "-f", "-o", root / "probe", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("strace may not trace here")
    new_world(root / "a", {"interlock.yaml": PIPELINE, "start.txt": "start\n"})
    whole = copied(root / "a", root / "b")
    code, said = traced(whole, root / "trace", "openat", QUICK)
    assert code == 0, said
    (root / "tree").write_text(delivered(whole))
    return root


@pytest.mark.parametrize("fault", ALL[::EVERY])
def test_a_fault_costs_no_result(begun: Path, fault: str, tmp_path: Path):
    world = copied(begun / "a", tmp_path / "w")
    before = fingerprint(world.repository)
    calls, what, number = fault.split(":")
    when = number if "-" not in number else f"when={most_calls(begun / 'trace') + int(number.partition('=')[2])}"
    kills = "signal=KILL" in what
    code, said = traced(
        world, tmp_path / "trace", calls, "-e", f"inject={calls}:{what}:{when}", *([] if kills else [QUICK])
    )
    assert has_struck(tmp_path / "trace", kills), f"no process came as far as {when}: take a lower number"
    assert code in (0, 3, 5, -9, 137), said
    if code:
        goes_on(world)
    assert delivered(world) == (begun / "tree").read_text()
    assert fingerprint(world.repository) == before
    world.git("fsck", "--full", "--no-dangling")
    again = kills or calls.startswith(IN_AGENTS)
    assert all(1 <= times <= 1 + again for times in paid(world)), f"{paid(world)}\n{said}"


def copied(source: Path, root: Path) -> World:
    shutil.copytree(source, root, symlinks=True)
    return World(root, root / "project", {"PAID": str(root / "paid")})


def traced(world: World, trace: Path, calls: str, *more: str) -> tuple[int, str]:
    options = ["-f", "-qq", "-o", str(trace), "-e", f"trace={calls}", *more]
    done = subprocess.run(
        [str(STRACE), *options, *PROGRAM, "run", "-t", "x", "--plain"], cwd=world.repository,
        env=world.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode(errors="backslashreplace")
    assert "Traceback" not in said, said
    assert "a bug in Interlock" not in said, said
    return done.returncode, said


def has_struck(trace: Path, kills: bool) -> bool:
    """Interlock kills some of its own, too: whoever died within the call was struck."""
    text = trace.read_text(errors="replace")
    return bool(re.search(r"= \?$", text, re.MULTILINE)) if kills else "(INJECTED)" in text


def most_calls(trace: Path) -> int:
    """Of one process or thread."""
    by = Counter(line.split()[0] for line in trace.read_text(errors="replace").splitlines())
    return max(by.values())


def paid(world: World) -> list[int]:
    """How often each agent was."""
    names = Path(world.environ["PAID"]).read_text().split()
    return [names.count("one"), names.count("two")]


def goes_on(world: World) -> None:
    """As the program says, until the run is accepted."""
    said = "nothing was asked"
    for _ in range(RESUMES_MAX):
        runs = world.ask("list", "--json").json()["runs"]
        if runs and runs[0]["phase"] == "accepted":
            return
        assert not runs or runs[0]["phase"] not in ("stopped", "cancelled"), said
        said = world.ask(*(("resume", "--plain") if runs else ("run", "-t", "x", "--plain"))).text
    raise AssertionError(f"no end: {said}")


def delivered(world: World) -> str:
    branch = world.git("for-each-ref", "--format=%(refname)", "refs/heads/interlock").split()[0]
    return world.git("rev-parse", f"{branch}^{{tree}}")


def fingerprint(repository: Path) -> dict[str, str]:
    """All that is there but for objects, the delivered branch, and the id by which Interlock knows the repository: also
    the file in which a killed one wrote it."""
    found = {}
    for path in (path for path in repository.rglob("*") if path.is_file()):
        name = str(path.relative_to(repository))
        if not re.search(r"\.git/(objects/|(logs/)?refs/heads/interlock|interlock-id$|\.interlock-id\.)", name):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() + oct(path.stat().st_mode)
    return found

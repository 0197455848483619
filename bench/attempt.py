"""An attempt and a gate at `full`, with overlays, beside plain copies: in repositories of several sizes, and with the
output of a setup. An attempt is a checkout, a program that does nothing in a room, an edit, the snapshot and the end.
And a run of three stages that do nothing, after the first."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.shell import environment, repository, timed
from interlock.core.ids import AttemptId
from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import Checkout, CheckoutSpec, Sandbox, Stamp
from interlock.process import Supervised, checkout_environment, mounts, supervise
from interlock.sandbox import Room, confine
from interlock.workspaces import GitWorkspaces, handed

SMALL, LARGE, IN_RUN, DEPS = 5_000, 80_000, 40_000, 17_000
TIMES = 9
RATIO_MAX = 3.0  # of the large repository to the small one
_SETUP = Setup(
    CommandLine(
        shell=f"mkdir deps; for i in $(seq 0 99); do mkdir deps/$i; done;"
        f' seq {DEPS - 100} | awk \'{{print > ("deps/" $1 % 100 "/" $1); close("deps/" $1 % 100 "/" $1)}}\''
    ),
    paths=("deps",),
)
_PIPELINE = """version: 1
agents:
  coder: {use: command, run: "true"}
stages:
  one: {agent: coder, may_be_empty: true, gates: [{id: ok, run: "true"}]}
  two: {agent: coder, may_be_empty: true, needs: [one], gates: [{id: ok, run: "true"}]}
  three: {agent: coder, may_be_empty: true, needs: [two], gates: [{id: ok, run: "true"}]}
"""


def measure() -> dict[str, float | str]:
    """Milliseconds, medians of a few; a plain copy is made once."""
    if not mounts.enter():
        return {"skipped": mounts.refusal()}
    found: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, files, setup in (("small", SMALL, ()), ("large", LARGE, ()), ("setup", SMALL, (_SETUP,))):
            spec = CheckoutSpec(setup=setup, sandbox=Sandbox("full"))
            with _world(Path(folder) / name, files) as (made, base):
                found |= {f"{name}_{key}": value for key, value in _costs(made, base, spec).items()}
        found |= {"over_a_program_goal_ms": 25.0, "ratio_goal": RATIO_MAX, **_run(Path(folder) / "run")}
    found["ratio_of_attempts"] = float(found["large_attempt_ms"]) / float(found["small_attempt_ms"])
    found["ratio_of_gates"] = float(found["large_gate_ms"]) / float(found["small_gate_ms"])
    assert float(found["ratio_of_attempts"]) < 2 * RATIO_MAX, found
    assert float(found["large_plain_ms"]) > 5 * float(found["large_attempt_ms"]), found
    return found


def _costs(made: GitWorkspaces, base: str, spec: CheckoutSpec) -> dict[str, float]:
    numbers = iter(range(1, 1000))
    commits = []

    def attempt() -> None:
        number = next(numbers)
        checkout = made.open("run", AttemptId("code", 1, number), base, spec)
        _nothing(checkout)
        (checkout.tree / "d0/f0").write_text(f"changed {number}")
        ref = f"refs/interlock/run/code/1.{number}"
        commits.append(made.snapshot(checkout, base, spec, Stamp("bench", 1), ref).commit)
        made.wipe(checkout)

    def gate() -> None:
        with made.clean_checkout(commits[-1], base, spec) as checkout:
            _nothing(checkout)

    def program() -> None:
        (bare / "tree").mkdir(parents=True, exist_ok=True)
        work = Supervised(("/bin/true",), bare / "tree", {"PATH": "/usr/bin:/bin"}, bare / "log", 60)
        supervise(work, threading.Event())

    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder)
        first = _ms(attempt)
        costs = {name: statistics.median(_ms(act) for _ in range(TIMES)) for name, act in
                 (("attempt_ms", attempt), ("gate_ms", gate), ("program_ms", program))}  # fmt: skip
    levels, handed.LAYERED = handed.LAYERED, ()
    plain = _ms(attempt)
    handed.LAYERED = levels
    over = costs["attempt_ms"] - costs["program_ms"]
    return {"first_ms": first, **costs, "over_a_program_ms": over, "plain_ms": plain}


def _nothing(checkout: Checkout) -> None:
    env = checkout_environment({"PATH": "/usr/bin:/bin"}, checkout)
    work = Supervised(("/bin/true",), checkout.tree, env, checkout.root / "log", 60)
    done = supervise(confine(work, Room(checkout)), threading.Event())
    assert done.code == 0, done.tail


def _run(folder: Path) -> dict[str, float]:
    folder.mkdir()
    environ = {**environment(folder), "INTERLOCK_SANDBOX": "full"}
    place = repository(folder / "repository", environ, _PIPELINE, IN_RUN)
    first = timed(["run", "-t", "nothing"], place, environ)
    return {"run_first_s": first, "run_s": timed(["run", "-t", "nothing"], place, environ), "run_goal_s": 1.5}


def _ms(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _world(root: Path, files: int) -> Iterator[tuple[GitWorkspaces, str]]:
    _repository(root / "repository", files)
    with GitWorkspaces(root / "state/store.git", root / "state/places", root / "repository", os.environ) as made:
        yield made, made.import_base().commit


def _repository(folder: Path, files: int) -> None:
    """A bare one, written in one go."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
    lines = ["commit refs/heads/main", "committer B <b@localhost> 1 +0000", "data 1", "x"]
    contents = {f"d{number // 50}/f{number}": f"file {number}\n" * (number % 20 + 1) for number in range(files)}
    for path, content in contents.items():
        lines += [f"M 100644 inline {path}", f"data {len(content)}", content]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input="\n".join(lines).encode(), check=True)

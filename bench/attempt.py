"""What the sandbox adds to an attempt, and what grows with the repository: in repositories of several sizes, and with
the output of a setup. An attempt is a checkout, a program that does nothing, an edit, the snapshot and the end.

`attempt_none_ms` and `attempt_full_ms` are the same attempt over overlays, in turn, without a room and in one.
`over_none_ms` is the difference, pair by pair. `gate_ms` is the checkout of a gate with a program in a room,
`program_ms` a bare program, `plain_ms` an attempt at `none` with a plain copy, made once. `run_s` is a run of three
stages that do nothing, after the first.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.shell import environment, repository, timed
from interlock.core.ids import AttemptId
from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import Checkout, CheckoutSpec, Sandbox, Stamp
from interlock.process import Supervised, checkout_environment, mounts, supervise
from interlock.sandbox import Room, confine
from interlock.workspaces import GitWorkspaces, handed

SMALL, LARGE, IN_RUN, DEPS = 5_000, 80_000, 40_000, 17_000
TIMES = 15
GOAL_MS = 25.0  # that `full` costs over `none`
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
    """Milliseconds, medians of a few."""
    if not mounts.enter():
        return {"skipped": mounts.refusal()}
    found: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, files, setup in (("small", SMALL, ()), ("large", LARGE, ()), ("setup", SMALL, (_SETUP,))):
            with _world(Path(folder) / name, files) as (made, base):
                found |= {f"{name}_{key}": value for key, value in _Bench(made, base, setup).costs().items()}
        found |= {"over_none_goal_ms": GOAL_MS, "ratio_goal": RATIO_MAX, **_run(Path(folder) / "run")}
    found["ratio_of_attempts"] = float(found["large_attempt_full_ms"]) / float(found["small_attempt_full_ms"])
    found["ratio_of_gates"] = float(found["large_gate_ms"]) / float(found["small_gate_ms"])
    assert float(found["ratio_of_attempts"]) < 2 * RATIO_MAX, found
    assert float(found["large_plain_ms"]) > 5 * float(found["large_attempt_full_ms"]), found
    return found


class _Bench:
    """Attempts and gates on one base."""

    def __init__(self, made: GitWorkspaces, base: str, setup: tuple[Setup, ...]) -> None:
        self._made = made
        self._base = base
        self._setup = setup
        self._numbers = iter(range(1, 1000))
        self._last = base

    def costs(self) -> dict[str, float]:
        first = _ms(partial(self._attempt, "full"))
        with _layered("full", "none"):
            self._attempt("none")
            acts: dict[str, Callable[[], None]] = {
                "attempt_none_ms": partial(self._attempt, "none"), "attempt_full_ms": partial(self._attempt, "full"),
                "program_ms": self._program,
            }  # fmt: skip
            rounds = [{name: _ms(act) for name, act in acts.items()} for _ in range(TIMES)]
            self._gate()  # setup works on a changed candidate anew, once
            gate = statistics.median(_ms(self._gate) for _ in range(TIMES))
        costs = {name: statistics.median(each[name] for each in rounds) for name in acts} | {"gate_ms": gate}
        over = statistics.median(each["attempt_full_ms"] - each["attempt_none_ms"] for each in rounds)
        with _layered():
            plain = _ms(partial(self._attempt, "none"))
        return {"first_ms": first, **costs, "over_none_ms": over, "plain_ms": plain}

    def _spec(self, level: str) -> CheckoutSpec:
        return CheckoutSpec(setup=self._setup, sandbox=Sandbox(level))

    def _attempt(self, level: str) -> None:
        number, spec = next(self._numbers), self._spec(level)
        checkout = self._made.open("run", AttemptId("code", 1, number), self._base, spec)
        _nothing(checkout)
        (checkout.tree / "d0/f0").write_text(f"changed {number}")
        ref = f"refs/interlock/run/code/1.{number}"
        self._last = self._made.snapshot(checkout, self._base, spec, Stamp("bench", 1), ref).commit
        self._made.wipe(checkout)

    def _gate(self) -> None:
        with self._made.clean_checkout(self._last, self._base, self._spec("full")) as checkout:
            _nothing(checkout)

    def _program(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            work = Supervised(("/bin/true",), Path(folder), {"PATH": "/usr/bin:/bin"}, Path(folder, "log"), 60)
            supervise(work, threading.Event())


@contextmanager
def _layered(*levels: str) -> Iterator[None]:
    """Checkouts are overlays at these levels."""
    before, handed.LAYERED = handed.LAYERED, levels
    try:
        yield
    finally:
        handed.LAYERED = before


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

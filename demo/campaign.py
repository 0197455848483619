"""`python -m demo.campaign`: demos, two at a time. Each must end accepted, with all that failed caught.

Two by themselves, which between them show every kind of failure; with --seed S twenty more, and three that begin at S.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PUSHED = ((27475, 0.4), (12663, 0.4))  # three lies in a row, after which the design is done again; all the other kinds
NIGHTLY = (*((seed, 0.2) for seed in (*range(1, 10), 79)), *((seed, 0.4) for seed in (*range(11, 14), *range(15, 22))))
AT_ONCE = 2
KINDS = frozenset({"wrong fix", "edited test", "crash", "lie", "hang"})
# What the agent has learned of lying: a hook, a test left out by configuration, a report that is patched.
LIES = ("src/humanize/conftest.py: was added", "pyproject.toml: was changed", "a test that must fail passed")
SCRIPTED = "THE FAILURES ARE SCRIPTED, no model is called"  # every demo says so
_TIMEOUT_S = 120
_FAILURE = re.compile(r"^  ✓ \S+ +(\w+(?: \w+)?)  ", re.M)
_ATTEMPTS = re.compile(r"^  attempts +(.*)$", re.M)


@dataclass(frozen=True, slots=True)
class Played:
    """`said` is all that the demo printed."""

    seed: int
    rate: float
    code: int
    said: str
    took_s: float


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="demo.campaign")
    parser.add_argument("--seed", type=int, help="plays twenty more, and three that begin with this one")
    seed = parser.parse_args(words).seed
    chosen = PUSHED if seed is None else (*PUSHED, *NIGHTLY, *((seed + more, 0.2) for more in range(3)))
    with tempfile.TemporaryDirectory(prefix="interlock-demos-") as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        plays = list(pool.map(lambda play: _play(Path(folder), *play), chosen))
    kinds = {kind for play in plays for kind in _FAILURE.findall(play.said)}
    if missing := sorted(KINDS - kinds):
        _say(f"no demo failed by {', '.join(missing)}: choose other seeds")
    if untold := [lie for lie in LIES if not any(lie in play.said for play in plays)]:
        _say(f"no demo was caught by {', '.join(untold)}: choose other seeds")
    bad = [play for play in plays if play.code != 0 or SCRIPTED not in play.said]
    for play in bad:
        _say(f"\n--- seed {play.seed}, rate {play.rate:g} ended with {play.code}\n{play.said}")
    _say(f"{len(plays)} demos, {len(plays) - len(bad)} accepted; failures of {len(kinds)} kinds")
    return 1 if bad or missing or untold else 0


def _play(folder: Path, seed: int, rate: float) -> Played:
    own = folder / f"{seed}"
    words = (sys.executable, "-m", "demo", f"--seed={seed}", f"--rate={rate}", "--pace=0", f"--folder={own}")
    began = time.monotonic()
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "CI": "true"}, timeout=_TIMEOUT_S,
        )  # fmt: skip
        code, said = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        code, said = 1, f"not done within {_TIMEOUT_S} s\n{late.output!r}"
    shutil.rmtree(own, ignore_errors=True)
    play = Played(seed, rate, code, said, time.monotonic() - began)
    found = _ATTEMPTS.search(said)
    _say(
        f"seed {seed:<3} rate {rate:g}  exit {code}  {play.took_s:4.1f} s  attempts {found.group(1) if found else '?'}"
    )
    return play


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m demo`: sets the scene, runs the commands that a person would, and tells how it went.

Exit codes are those of `interlock run`; 1 also where a failure got through, or the result is not what it should be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from demo import telling
from demo.outcome import Outcome, outcome_of
from demo.proof import Proof, prove
from demo.scene import Scene, interlock, set_scene, show

TASK = 'naturalsize(999999) returns "1000.0 kB". Where rounding reaches the next unit, use that unit: "1.0 MB".'
APPROVAL = "approved by the demo: nobody else is here"
SEED = 13208  # one with which much goes wrong
INFRASTRUCTURE, INTERRUPTED = 5, 130


def main(words: list[str]) -> int:
    options = _options(words)
    root = _folder(options.folder)
    try:
        return _played(root, options)
    except KeyboardInterrupt:
        _left(Scene(root))
        return INTERRUPTED


def _played(root: Path, options: argparse.Namespace) -> int:
    scene = set_scene(root, options.seed, options.rate, options.pace)
    before = prove(scene, "main")
    telling.opening(scene, before, options.seed, options.rate)
    began = time.monotonic()
    code = _run(scene)
    run = show(scene)
    if run is None:  # it could not begin, and has said why
        return code
    outcome = outcome_of(run)
    after = prove(scene, outcome.branch) if outcome.branch else None
    telling.closing(scene, outcome, before, after, time.monotonic() - began)
    return code or _verdict(outcome, after)


def _left(scene: Scene) -> None:
    """A run that has begun can be gone on with; before that there is nothing worth keeping."""
    begun = scene.launcher.is_file() and show(scene) is not None
    if not begun:
        shutil.rmtree(scene.root, ignore_errors=True)
    telling.interrupted(scene.root, begun=begun)


def _run(scene: Scene) -> int:
    """Through the run and the approval that it ends with. Returns the exit code of the last command."""
    telling.command("run", "-t", TASK)
    code = interlock(scene, "run", "-t", TASK)
    run = show(scene)
    if code != telling.WAITS or run is None or [wait["reason"] for wait in run["waits"]] != ["approval"]:
        return code
    telling.approving()
    telling.command("approve", "-m", APPROVAL)
    return interlock(scene, "approve", "-m", APPROVAL)


def _verdict(outcome: Outcome, after: Proof | None) -> int:
    return 0 if after is not None and after.holds and not outcome.got_through else 1


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="A real defect in a real project, mended through plan, design, tests, code and ship by a scripted "
        "agent that fails on purpose. No key, no model, no network.",
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"decides which attempts fail, and how (default: {SEED})"
    )
    parser.add_argument("--rate", type=_rate, default=0.2, help="how often an attempt fails, 0 to 1 (default: 0.2)")
    parser.add_argument("--pace", type=float, default=0.1, metavar="S", help="pause after each line of the agent")
    parser.add_argument("--folder", type=Path, help="a new folder for all of it (default: a temporary one, kept)")
    return parser.parse_args(words)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no number between 0 and 1")
    return rate


def _folder(wanted: Path | None) -> Path:
    if shutil.which("git") is None:
        raise _cannot("there is no git on PATH: install it")
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="interlock-demo-")).resolve()
    try:
        wanted.mkdir(parents=True)
    except FileExistsError:
        raise _cannot(f"{wanted} is there already: name a new folder") from None
    except OSError as error:
        raise _cannot(f"{wanted} cannot be made: {error.strerror}") from error
    return wanted.resolve()


def _cannot(why: str) -> SystemExit:
    sys.stderr.write(f"demo: {why}\n")
    return SystemExit(INFRASTRUCTURE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the demo says, and how it looks. Rule: all of its words are here; colour only on a terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from demo.outcome import Failure, Outcome
from demo.proof import Proof
from demo.scene import Scene, git

WAITS = 3  # exit code: a person is asked
_WIDTH_MAX = 120


def opening(scene: Scene, before: Proof, seed: int, rate: float) -> None:
    _say(_bold("Interlock: a real defect, and an agent that fails on purpose"))
    _say()
    _fact("project", f"humanize 4.15.0, {before.passed} tests, all of them pass")
    _fact("defect", f"naturalsize(999999) returns {_red(before.says)}, should return '1.0 MB'")
    _fact("agent", f"{_yellow('scripted: THE FAILURES ARE SCRIPTED')}, no model is called (seed {seed}, rate {rate:g})")
    _fact("", "wrong fix, edited test, crash, lie or hang: drawn from the seed for each attempt")
    _fact("in", str(scene.root))
    _say()


def command(*words: str) -> None:
    _say(_bold(f"$ interlock {shlex.join(words)}"))


def approving() -> None:
    _say()
    _say(_yellow("A person is asked. Nobody else is here, so the demo answers:"))


def closing(scene: Scene, outcome: Outcome, before: Proof, after: Proof | None, took_s: float) -> None:
    _say()
    _failures(outcome)
    _spent(outcome, took_s)
    if after is None:
        _bound_reached(outcome)
    else:
        _result(scene, outcome, before, after)
    _look_around(scene, outcome)


def interrupted(root: Path, *, begun: bool) -> None:
    _say()
    if not begun:
        _say("Interrupted before the run began. Nothing is left of it.")
        return
    _say("Interrupted. Nothing is lost: what was accepted stays accepted.")
    _say(f"  cd {_quoted(root / 'humanize')} && ../interlock resume   # go on")
    _say(f"  rm -rf {_quoted(root)}   # or forget it")


def _failures(outcome: Outcome) -> None:
    if not outcome.failures:
        _say(_bold("Nothing failed this time") + ": another --seed, or a higher --rate")
        return
    _say(_bold("What failed, and what caught it"))
    width = max(len(failure.caught_by) for failure in outcome.failures)
    for failure in outcome.failures:
        _say(_failure(failure, width))


def _failure(failure: Failure, width: int) -> str:
    mark = _green("✓") if failure.caught_by else _red("✗ NOT CAUGHT")
    line = f"{failure.attempt:<11} {failure.behaviour:<12} {failure.caught_by:<{width}}  {failure.said}"
    room = min(shutil.get_terminal_size((_WIDTH_MAX, 24)).columns, _WIDTH_MAX) - 5
    return f"  {mark} {line if len(line) <= room else line[: room - 3] + '...'}"


def _spent(outcome: Outcome, took_s: float) -> None:
    failed, missed = len(outcome.failures), len(outcome.got_through)
    _say()
    caught = f"{failed} failed, {failed - missed} caught, {missed} got through"
    wasted = sum(failure.took_s for failure in outcome.failures)
    _fact("attempts", f"{outcome.attempts}: {caught}")
    _fact("time", f"{took_s:.1f} s, {wasted:.1f} s of it in attempts that failed")
    least = "" if outcome.cost_known else "at least "
    _fact("cost", f"{outcome.tokens / 1000:.1f}k tokens, {least}${outcome.cost_usd:.2f} (pretended by the script)")


def _result(scene: Scene, outcome: Outcome, before: Proof, after: Proof) -> None:
    changed = git(scene, "diff", "--shortstat", outcome.base, outcome.branch)
    _fact("branch", f"{_green(outcome.branch)}, one commit on main:{f' {changed}'.replace('  ', ' ')}")
    _fact("tests", f"{_tests(after)}, by pytest alone in a fresh clone")
    _fact("defect", f"naturalsize(999999): {_red(before.says)} before, {_green(after.says)} after")


def _tests(after: Proof) -> str:
    failed, passed = after.failed + after.held_out_failed, after.passed + after.held_out_passed
    if failed:
        return _red(f"{failed} failed, {passed} passed")
    return _green(f"{passed} passed") + f", {after.held_out_passed} of them never shown to the agent"


def _bound_reached(outcome: Outcome) -> None:
    _fact("branch", _yellow("none: a bound was reached, and a person is asked instead of anything being passed"))
    for detail in outcome.waits:
        _fact("", detail)


def _look_around(scene: Scene, outcome: Outcome) -> None:
    _say()
    _say(_bold("Look around"))
    _say(f"  cd {_quoted(scene.repository)}")
    commands = _commands(scene, outcome)
    width = max(len(line) for line, _ in commands)
    for line, why in commands:
        _say(f"  {line:<{width}}  {_dim(f'# {why}')}")


def _commands(scene: Scene, outcome: Outcome) -> list[tuple[str, str]]:
    failed = next((failure.attempt for failure in outcome.failures if failure.caught_by), "")
    lines = [("../interlock show --full", "every attempt, verdict and digest")]
    if failed:
        lines.append((f"../interlock logs {failed}", "what the agent of a failed attempt said"))
        lines.append((f"../interlock diff base {failed}", "what it did"))
    if outcome.branch:
        lines.append((f"git diff main {outcome.branch}", "what was accepted"))
    return [*lines, (f"rm -rf {_quoted(scene.root)}", "all that this demo has written")]


def _fact(name: str, text: str) -> None:
    _say(f"  {_dim(f'{name:<9}')} {text}")


def _say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _bold(text: str) -> str:
    return _painted("1", text)


def _dim(text: str) -> str:
    return _painted("2", text)


def _red(text: str) -> str:
    return _painted("31", text)


def _green(text: str) -> str:
    return _painted("32", text)


def _yellow(text: str) -> str:
    return _painted("33", text)


def _painted(code: str, text: str) -> str:
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{code}m{text}\033[0m"

"""kill -9 of the controller, or of its whole process group, at random moments of a run, up to three times in a row.

By default a few; INTERLOCK_KILL_MOMENTS says how many, scripts/kill takes 200.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from itertools import count

import pytest
from tests.contract.program import PROGRAM
from tests.kill.scene import Scene
from tests.nightly import rest_at_night

MOMENTS = int(os.environ.get("INTERLOCK_KILL_MOMENTS", "8"))
FIRST = int(os.environ.get("INTERLOCK_KILL_SEED", "0"))
SHARES = 4

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs signals")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("kill"))


@pytest.mark.parametrize("share", rest_at_night(range(SHARES)))
def test_a_death_at_any_moment_changes_nothing_of_what_the_run_comes_to(scene: Scene, share: int) -> None:
    took_s = unharmed(scene)
    for seed in range(FIRST + share, FIRST + MOMENTS, SHARES):
        scene.put_back("begun")
        said = die_at_random(scene, random.Random(seed), took_s)
        scene.end()
        try:
            scene.hold()
        except AssertionError as error:
            error.add_note(f"seed {seed}: {said}")
            raise


@pytest.mark.parametrize("share", rest_at_night(range(2)))
def test_of_two_that_resume_one_wins_and_the_other_says_who_has_it(scene: Scene, share: int) -> None:
    scene.put_back("begun")
    for at in count(60 + 10 * share):
        if scene.die(at, "run", "-t", "both", "--plain") == -signal.SIGKILL:
            break
    both = [scene.world.start("resume", "--plain") for _ in range(2)]
    said = [(*process.communicate(timeout=120), process.returncode) for process in both]
    codes = sorted(code for *_, code in said)
    assert codes in ([3, 5], [3, 3]), said  # the second may come when the first one is through
    if codes == [3, 5]:
        refused = next(err for _, err, code in said if code == 5)
        winner = next(process.pid for process in both if process.returncode == 3)
        assert f"is being run by process {winner} on " in refused, refused
    scene.end()
    scene.hold()


@pytest.mark.parametrize("share", rest_at_night(range(SHARES)))
def test_a_death_while_a_run_is_verified_again_changes_nothing(scene: Scene, share: int) -> None:
    """It writes no record of its own: nothing of the run may change, and nothing may stand in the way of the next."""
    scene.put_back("over")
    before, began = scene.history(), time.monotonic()
    scene.world.ask("verify", "--rerun").ended(0, "is verified")
    took_s = time.monotonic() - began
    for seed in range(FIRST + share, FIRST + MOMENTS, SHARES):
        process = scene.world.start("verify", "--rerun")
        time.sleep(random.Random(seed).uniform(0, took_s))
        process.kill()
        process.communicate(timeout=60)
        assert scene.history() == before
        scene.world.ask("verify", "--rerun").ended(0, "is verified")
        scene.hold()


def unharmed(scene: Scene) -> float:
    scene.put_back("begun")
    began = time.monotonic()
    assert scene.world.ask("run", "-t", "both").code == 3
    return time.monotonic() - began


def die_at_random(scene: Scene, chance: random.Random, took_s: float) -> list[str]:
    """One to three deaths. Says when each was."""
    told = []
    for number in range(chance.choice((1, 1, 2, 3))):
        group, moment = chance.random() < 0.5, chance.uniform(0, took_s)
        words = ("run", "-t", "both", "--plain") if number == 0 else ("resume", "--plain")
        process = subprocess.Popen(
            [*PROGRAM, *words], cwd=scene.world.repository, env=scene.world.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        told.append(f"{'group' if group else 'controller'} after {moment:.3f} s, exit code {process.returncode}")
    return told

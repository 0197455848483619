"""Delivery cannot be undone: who cancels or takes the run over comes before it or after it, and is told which.

A git on the PATH stops where a test says, as a slow disk or a stopped process would.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

PIPELINE = """\
version: 1
stages:
  code:
    run: echo one > out.txt
"""
# Says that it came to the verb, and then waits for leave; each verb once.
GIT = """\
#!/bin/sh
here={here}
for word; do
  if [ "$word" = {verb} ] && [ -e "$here/hold" ]; then
    rm "$here/hold"; touch "$here/reached"
    until [ -e "$here/go" ]; do sleep 0.02; done
  fi
done
exec {git} "$@"
"""
SOON_S = 60.0  # only a hang meets it


class Held:
    """A run whose git is held at its verb."""

    def __init__(self, root: Path, verb: str) -> None:
        self.here = root / "bin"
        self.here.mkdir(parents=True)
        (self.here / "git").write_text(GIT.format(here=self.here, verb=verb, git=shutil.which("git")))
        (self.here / "git").chmod(0o755)
        (self.here / "hold").touch()
        self.world: World = new_world(root / "w", {"interlock.yaml": PIPELINE})
        path = os.pathsep.join([str(self.here), self.world.environment()["PATH"]])
        self.owner = self.world.start("run", "-t", "x", "--plain", PATH=path)
        until((self.here / "reached").exists)

    def go(self) -> str:
        """Let it go on to its end. Returns what it said."""
        (self.here / "go").touch()
        _, said = self.owner.communicate(timeout=SOON_S)
        return said

    def branches(self) -> str:
        return self.world.git("for-each-ref", "refs/heads/interlock")


@pytest.fixture(params=["unpack-objects", "update-ref"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Held]:
    made = Held(tmp_path, request.param)
    yield made
    made.owner.kill()
    (made.here / "go").touch()
    made.owner.communicate(timeout=SOON_S)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("held", ["unpack-objects"], indirect=True)
def test_who_cancels_before_the_branch_is_made_gets_none(held: Held) -> None:
    held.world.ask("cancel").ended(0, "the run ends as soon as its running work has ended", "cancel taken")
    held.go()
    assert held.owner.returncode == 1
    assert held.world.show()["phase"] == "cancelled"
    assert held.branches() == ""


@pytest.mark.parametrize("held", ["update-ref"], indirect=True)
def test_who_cancels_while_the_branch_is_made_waits_and_is_told_that_it_won(held: Held) -> None:
    late = held.world.start("cancel")
    assert late.stderr is not None
    assert "the answer went to" in late.stderr.readline()
    time.sleep(2)  # the owner looks into its inbox several times
    held.go()
    _, said = late.communicate(timeout=SOON_S)
    assert late.returncode == 2, said
    assert "was delivered before" in said
    assert "is being delivered" not in said
    assert "was not cancelled" in said
    assert said.count("error:") == 1
    view = held.world.show()
    assert view["phase"] == "accepted"
    assert view["commit"] in held.branches()


@pytest.mark.parametrize("held", ["unpack-objects"], indirect=True)
def test_a_former_owner_that_goes_on_delivers_nothing(held: Held) -> None:
    run = held.world.show()["id"]
    held.owner.send_signal(signal.SIGSTOP)
    late = held.world.start("cancel")
    assert late.stderr is not None
    assert "the answer went to" in late.stderr.readline()
    held.world.ask("resume", run, "--take-over", "--plain").ended(1, "cancelled")
    late.communicate(timeout=SOON_S)
    held.owner.send_signal(signal.SIGCONT)
    held.go()
    assert held.world.show()["phase"] == "cancelled"
    assert held.branches() == ""


@pytest.mark.parametrize("held", ["unpack-objects"], indirect=True)
def test_a_branch_that_was_delivered_and_deleted_is_not_made_again_by_a_former_owner(held: Held) -> None:
    run = held.world.show()["id"]
    held.owner.send_signal(signal.SIGSTOP)
    held.world.ask("resume", run, "--take-over", "--plain").ended(0, "delivered")
    held.world.git("branch", "-D", f"interlock/{run}")
    held.owner.send_signal(signal.SIGCONT)
    held.go()
    assert held.branches() == ""


@pytest.mark.parametrize("held", ["update-ref"], indirect=True)
def test_nobody_takes_the_run_in_the_middle_of_a_delivery(held: Held) -> None:
    run = held.world.show()["id"]
    held.owner.send_signal(signal.SIGSTOP)
    said = held.world.ask("resume", run, "--take-over", "--plain", INTERLOCK_EFFECTS_WAIT_S="0.5")
    said.ended(5, "is being delivered or pushed by process", f"kill -9 {held.owner.pid}")
    held.owner.kill()
    held.owner.wait()
    (held.here / "go").touch()
    held.world.ask("resume", run, "--plain").ended(0, "delivered")
    assert held.world.show()["commit"] in held.branches()


@pytest.mark.parametrize("held", ["update-ref"], indirect=True)
def test_who_cancels_after_a_death_in_the_delivery_is_told_that_it_was_too_late(held: Held) -> None:
    held.owner.kill()
    held.owner.wait()
    (held.here / "go").touch()
    other = {"GIT_AUTHOR_NAME": "Somebody else", "GIT_COMMITTER_NAME": "Somebody else"}  # it is the same delivery
    held.world.ask("cancel", "--plain", **other).ended(2, "is delivered")
    view = held.world.show()
    assert view["phase"] == "accepted"
    assert view["commit"] in held.branches()


def _on_a_branch_of_the_dead(held: Held) -> str:
    """The run, whose owner died when it had made the branch; that is checked out."""
    run = str(held.world.show()["id"])
    held.owner.kill()
    held.owner.wait()
    (held.here / "go").touch()
    until(held.branches)
    held.world.git("checkout", "-q", f"interlock/{run}")
    return run


@pytest.mark.parametrize("held", ["update-ref"], indirect=True)
def test_who_builds_on_a_branch_whose_owner_died_has_it_delivered_once(held: Held) -> None:
    run = _on_a_branch_of_the_dead(held)
    held.world.git("commit", "-q", "--allow-empty", "-m", "on top")
    held.world.ask("resume", run, "--plain").ended(0, f"delivered: branch interlock/{run}")


@pytest.mark.parametrize("held", ["update-ref"], indirect=True)
def test_a_branch_that_was_changed_after_a_death_is_not_delivered_under_another_name(held: Held) -> None:
    run = _on_a_branch_of_the_dead(held)
    held.world.git("commit", "-q", "--amend", "-m", "mine")
    held.world.ask("resume", run, "--plain").ended(3, "which is not what is delivered", "git branch -m")
    held.world.ask("resume", run, "--branch", "other", "--plain").ended(3, "may already exist")
    held.world.ask("cancel", run, "--plain").ended(0, f"branch interlock/{run} may exist")
    assert not held.world.git("branch", "--list", "other")

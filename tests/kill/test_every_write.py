"""kill -9 of the controller at every write to the journal and to git, found by a trace of an unharmed run.

By default each Nth of them; INTERLOCK_KILL_EVERY=1 takes all, as scripts/kill does.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.kill.scene import Scene, was_killed
from tests.nightly import rest_at_night

EVERY = int(os.environ.get("INTERLOCK_KILL_EVERY", "12"))
SHARES = 24
SLACK = 1 / 8  # of the writes: two stages at once pack the same base twice, or one finds what the other has packed
PHASES = {"begun": ("run", "-t", "both", "--plain"), "waiting": ("approve", "--plain")}

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs signals")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("kill"))


@pytest.mark.parametrize("share", rest_at_night(range(SHARES)))
@pytest.mark.parametrize("phase", PHASES)
def test_a_death_at_a_write_changes_nothing_of_what_the_run_comes_to(
    scene: Scene, phase: str, share: int, tmp_path: Path
) -> None:
    writes = traced(scene, phase, tmp_path / "trace")
    deaths = 0
    for number in [at for at in range(1, len(writes) + 1, EVERY) if at // EVERY % SHARES == share]:
        scene.put_back(phase)
        killed = was_killed(scene.die(number, *PHASES[phase]))
        assert killed or number > len(writes) * (1 - SLACK), f"write {number} of {len(writes)} was never reached"
        deaths += killed
        scene.end()
        try:
            scene.hold()
        except AssertionError as error:
            error.add_note(f"killed at write {number} of {len(writes)}: {writes[number - 1]}")
            raise
    dealt = len(range(1, len(writes) + 1, EVERY))
    assert deaths or dealt <= share, "nothing was killed"


@pytest.mark.parametrize("share", rest_at_night(range(SHARES)))
def test_a_death_while_a_record_or_a_key_is_written_leaves_a_run_that_is_verified(
    scene: Scene, share: int, tmp_path: Path
) -> None:
    """All of these writes, the first time: the key, and the record of the first handoff."""
    writes = traced(scene, "begun", tmp_path / "trace")
    ends = [at for at, write in enumerate(writes) if write == "after records.keep"]
    begins = [at for at, write in enumerate(writes) if write == "before records.keep"]
    wanted = [at for at, write in enumerate(writes) if write.endswith(" key") or begins[0] <= at <= ends[0]]
    for at in wanted[share::SHARES]:
        scene.put_back("begun")
        assert was_killed(scene.die(at + 1, *PHASES["begun"]))
        scene.end()
        scene.hold()


def test_the_trace_holds_every_kind_of_write(scene: Scene, tmp_path: Path) -> None:
    seen = {line.partition(" ")[2] for phase in PHASES for line in traced(scene, phase, tmp_path / phase)}
    assert seen >= {
        *("journal.create", "journal.take", "journal.append", "journal.put_answer", "journal.remember"),
        *("records.keep", "records.store", "key"),
        *("objects.write", "objects.write_file", "objects._settle", "create_ref"),
        *("git.fetch", "git.merge-tree", "git.unpack-objects", "git.update-ref"),
    }


def traced(scene: Scene, phase: str, trace: Path) -> list[str]:
    """Its writes in order, of a run that was left alive. Threads may order a few of them differently each time."""
    scene.put_back(phase)
    assert not was_killed(scene.die(0, *PHASES[phase], trace=str(trace)))
    return trace.read_text().splitlines()

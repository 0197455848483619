"""A store of blobs that lost, falsified or refuses something: it is said, nothing is done twice or delivered elsewhere,
and once it is mended the run goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from tests.contract.bad_input_world import mounted
from tests.contract.cli_world import World
from tests.contract.temporal.test_kills import SLOW, at_work, ended, is_alive, started
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, run_on, until

from interlock.core.events import CandidateProduced, Delivered, HandoffAccepted, VerdictGiven, VerdictStatus

TWO = """\
version: 1
agents:
  writer: {use: command, run: [bash, -c, 'echo "$INTERLOCK_ATTEMPT" >> a.txt']}
stages:
  plan: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
  code: {needs: [plan], agent: writer, gates: [{id: g, run: "test $(wc -l < a.txt) = 2"}]}
"""


ELSEWHERE = """\
version: 1
stages:
  code:
    referee: elsewhere
    env: [HERE]
    run: 'touch "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.1; done; echo x > a.txt'
    gates: [{id: g, run: "test -s a.txt"}]
"""


@pytest.fixture
def waiting(tmp_path: Path, server: Server) -> Iterator[tuple[Cluster, World, str]]:
    """A run that waits for its person, and a worker that has nothing of it yet."""
    with cluster_in(tmp_path / "many", server) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": TWO})
        run = run_on(far, code=3)
        for machine in many.machines:
            machine.kill()
            machine.communicate()
        many.start("other controller", "--controller")
        many.start("other worker")
        yield many, far, run


def packs(many: Cluster) -> list[Path]:
    """Those that are complete."""
    found = [path for path in (many.root / "blobs").glob("??/*") if path.is_file()]
    return [path for path in found if path.read_bytes()[:4] == b"PACK"]


def lose(blob: Path) -> None:
    blob.unlink()


def falsify(blob: Path) -> None:
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize(
    ("harm", "words"), [(lose, "is missing"), (falsify, "does not match its digest")], ids=["lost", "falsified"]
)
def test_a_pack_that_is_lost_or_falsified_is_said_and_goes_on_once_it_is_back(
    tmp_path: Path, waiting: tuple[Cluster, World, str], harm: Callable[[Path], None], words: str
) -> None:
    many, far, run = waiting
    shutil.copytree(many.root / "blobs", tmp_path / "backup")
    for blob in packs(many):
        harm(blob)
    far.ask("approve", run, "--plain").ended(3, words)
    assert far.show(run)["phase"] == "waiting"
    assert far.git("branch", "--list", "interlock/*") == ""
    shutil.rmtree(many.root / "blobs")
    (tmp_path / "backup").rename(many.root / "blobs")  # at once: who reads half a mark ends
    far.ask("resume", run, "--plain").ended(0, "accepted")
    done_once(far, run)


def test_a_worker_that_misses_something_is_named_with_its_verdict(tmp_path: Path, server: Server) -> None:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": ELSEWHERE}, HERE=str(tmp_path))
        process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
        until((tmp_path / "at-work").exists, "no attempt began")
        judge = many.start("judge")
        for blob in packs(many):
            lose(blob)
        (tmp_path / "go").touch()
        process.communicate(timeout=300)
        assert process.returncode == 3
        (verdict,) = [
            record.event
            for record in history(far, run_in_journal(far))
            if isinstance(record.event, VerdictGiven) and record.event.status is VerdictStatus.ERRORED
        ]
        assert verdict.worker.startswith(f"{judge.pid}@")
        assert verdict.findings[0].message.startswith(f"on {verdict.worker}: the evidence ")
        assert f"is missing in {many.root / 'blobs'} (temporal.blobs)" in verdict.findings[0].message


def run_in_journal(far: World) -> str:
    return str(far.show()["id"])


def test_a_folder_that_takes_nothing_is_said_and_goes_on_once_it_does(waiting: tuple[Cluster, World, str]) -> None:
    """A file lies where new blobs would: root may write into any folder."""
    many, far, run = waiting
    blobs = many.root / "blobs"
    blobs.rename(many.root / "away")
    blobs.write_text("no folder")
    said = far.ask("approve", run, "--plain")  # 5 if this process meets it first
    assert said.code in (3, 5), said.text
    assert str(blobs) in said.text
    blobs.unlink()
    (many.root / "away").rename(blobs)
    far.ask("resume", run, "--plain").ended(0, "accepted")
    done_once(far, run)


def test_who_follows_says_what_is_missing_and_delivers_once_it_is_back(tmp_path: Path, server: Server) -> None:
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": SLOW}, HERE=str(tmp_path))
        process = started(far, tmp_path)
        process.kill()
        process.communicate()
        (tmp_path / "go").touch()
        until(lambda: len(packs(many)) == 2, "no pack of the candidate")
        lost = {blob: blob.read_bytes() for blob in packs(many)}  # the others are in use
        for blob in lost:
            lose(blob)
        far.ask("resume", "--plain").ended(5, "is missing", "restore it")
        assert far.git("branch", "--list", "interlock/*") == ""
        for blob, content in lost.items():
            blob.write_bytes(content)
        if far.ask("resume", "--plain").code == 3:  # the controller missed it, too
            far.ask("resume", "--plain")
        assert far.show()["phase"] == "accepted"


@contextmanager
def away(blobs: Path) -> Iterator[None]:
    """A file lies where the folder was."""
    kept = blobs.with_name("away")
    blobs.rename(kept)
    blobs.write_text("no folder")
    yield
    blobs.unlink()
    kept.rename(blobs)


@contextmanager
def full(blobs: Path) -> Iterator[None]:
    filler = blobs / "filler"
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    yield
    filler.unlink()


def test_work_is_kept_while_the_folder_is_away(tmp_path: Path, server: Server) -> None:
    kept_during(away, tmp_path, server)


@pytest.mark.root
def test_work_is_kept_while_the_disk_is_full(tmp_path: Path, server: Server) -> None:
    with mounted(tmp_path / "many/blobs", "1M"):
        kept_during(full, tmp_path, server)


def kept_during(trouble: Callable[[Path], AbstractContextManager[None]], tmp_path: Path, server: Server) -> None:
    """It is there when an attempt ends, and over within the time that its worker waits."""
    with cluster_in(tmp_path / "many", server, HERE=str(tmp_path)) as many:
        far = many.submitter(tmp_path / "far", {"interlock.yaml": SLOW}, HERE=str(tmp_path), INTERLOCK_BACKOFF_S="1")
        process = started(far, tmp_path)
        with trouble(many.root / "blobs"):
            (tmp_path / "go").touch()
            until(lambda: not is_alive(at_work(tmp_path)[0]), "the agent works on")
            time.sleep(2)
        run = ended(process)
        events = [record.event for record in history(far, run)]
        assert [str(event.attempt) for event in events if isinstance(event, CandidateProduced)] == ["code/1.1"]


def done_once(far: World, run: str) -> None:
    events = [record.event for record in history(far, run)]
    assert len([event for event in events if isinstance(event, CandidateProduced)]) == 2
    assert len([event for event in events if isinstance(event, HandoffAccepted)]) == 2
    assert len([event for event in events if isinstance(event, Delivered)]) == 1
    assert far.git("show", f"interlock/{run}:a.txt") == "plan/1.1\n" + code_attempt(far, run)
    assert len(far.git("branch", "--list", "interlock/*").splitlines()) == 1


def code_attempt(far: World, run: str) -> str:
    accepted = [record.event.attempt for record in history(far, run) if isinstance(record.event, HandoffAccepted)]
    return str(accepted[-1])

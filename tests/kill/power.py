"""Power loss, in a mount namespace of its own: `unshare -m python -m tests.kill.power FOLDER MOMENTS`.

A run is played on a file system in an image. The image is copied at moments, and after the run's end: a copy is what a
power loss at that moment leaves, for it holds what was written to the disk and nothing of the page cache. Then copies
are mounted in the place of the original, checked, and resumed. Prints a JSON object for each.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.cli_world import World, new_world
from tests.simulation.digests import digests_of

from interlock.core.events import CandidateProduced, Delivered, HandoffAccepted, InputPrepared, Recorded
from interlock.journal import FileBlobs, SqliteJournal
from interlock.ports import InterlockError

NOT_TO_BE_HAD = 77  # exit code: this machine lets us mount nothing
EVERY_S = 0.15
SIZE = "256M"
PIPELINE = """\
version: 1
name: power
agents:
  one: {use: command, run: 'mkdir -p d; echo one > d/one.txt; test ! -e wish || cp wish bad.txt'}
  two: {use: command, run: 'echo two > two.txt'}
setup:
  - run: mkdir -p tools && printf 'test ! -e bad.txt\\n' > tools/check.sh
    paths: [tools]
    key: [keyed.txt]
stages:
  one:
    agent: one
    attempts: 1
    gates:
      - {id: checked, run: sh tools/check.sh}
  two:
    agent: two
  both:
    needs: [one, two]
    run: cat d/one.txt two.txt > both.txt
"""
FILES = {"interlock.yaml": PIPELINE, "keyed.txt": "1\n", ".gitignore": "tools\n"}


@dataclass
class Disk:
    """A file system in the image `image`, mounted at `at`. Copies are mounted at the same place."""

    folder: Path
    shots: list[tuple[Path, int]] = field(default_factory=list)  # with how many lines the program had said by then

    @property
    def at(self) -> Path:
        return self.folder / "mounted"

    @property
    def image(self) -> Path:
        return self.folder / "disk.img"

    def make(self) -> None:
        self.at.mkdir(parents=True)
        call("truncate", "-s", SIZE, self.image)
        call("mkfs.ext4", "-q", "-F", self.image)

    def mount(self, image: Path) -> None:
        call("mount", "-o", "loop", image, self.at)

    def unmount(self) -> None:
        for _ in range(100):
            if subprocess.run(["umount", str(self.at)], check=False, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        call("umount", "-l", self.at)

    def shoot(self, lines: int) -> None:
        shot = self.folder / f"shot-{len(self.shots)}.img"
        call("cp", "--sparse=always", self.image, shot)
        self.shots.append((shot, lines))


def call(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.strip()}")


def main(folder: Path, moments: int) -> int:
    disk = Disk(folder)
    try:
        disk.make()
        disk.mount(disk.image)
    except (OSError, RuntimeError) as error:
        print(error)
        return NOT_TO_BE_HAD
    world = new_world(disk.at / "w", FILES)
    call("sync", "-f", disk.at)
    said = played(disk, world)
    wanted = world.git("rev-parse", "refs/heads/interlock/" + run_of(said) + "^{tree}")
    disk.unmount()
    for number in chosen(len(disk.shots), moments):
        shot, lines = disk.shots[number]
        try:
            disk.mount(shot)
        except RuntimeError as error:  # the copy took a while, so it may show no moment at all
            print(json.dumps({"moment": number, "unreadable": str(error)}), flush=True)
            continue
        wrong = list(examined(world, said[:lines], wanted))
        disk.unmount()
        print(json.dumps({"moment": number, "of": len(disk.shots), "said": said[:lines], "wrong": wrong}), flush=True)
    return 0


def played(disk: Disk, world: World) -> list[str]:
    """A run, and copies of the disk meanwhile. Returns what was said."""
    said: list[str] = []
    process = world.start("run", "-t", "x", "--plain")
    assert process.stderr is not None
    reading = threading.Thread(target=lambda: said.extend(process.stderr or ()))
    reading.start()
    while process.poll() is None:
        disk.shoot(len(said))
        time.sleep(EVERY_S)
    disk.shoot(len(said))
    reading.join()
    assert process.returncode == 0, said
    return said


def chosen(count: int, moments: int) -> list[int]:
    """The last one always, and others spread over the run; 0: all."""
    if not moments:
        return list(range(count))
    return sorted({count - 1 - round(step * (count - 1) / moments) for step in range(moments)})


def run_of(said: list[str]) -> str:
    return next((found[1] for line in said if (found := re.match(r"run (\d{8}-\S+)$", line))), "")


def examined(world: World, said: list[str], wanted: str) -> Iterator[str]:
    """What does not hold of what was said and recorded before the power went."""
    run = run_of(said)
    for history in histories(world):
        yield from missing(world, history)
    listed = [one["id"] for one in world.ask("list", "--json").json()["runs"]]
    if run and run not in listed:
        yield f"run {run} was told, and is gone"
    if not listed:
        world.ask("run", "-t", "x", "--plain")
    for _ in range(3):
        [first, *_] = world.ask("list", "--json").json()["runs"]
        if first["phase"] == "accepted":
            break
        done = world.ask("resume", first["id"], "--plain")
    branch = first["branch"] if first["phase"] == "accepted" else ""
    if not branch:
        yield f"no end: {done.text}"
    elif (tree := world.git("rev-parse", f"{branch}^{{tree}}")) != wanted:
        yield f"it came to another tree, {tree}"
    if world.git("fsck", "--full", "--no-dangling"):
        yield "the user's repository is damaged"
    yield from judged(world)


def judged(world: World) -> Iterator[str]:
    """What setup made still judges: a file that it forbids is rejected."""
    world.commit({"wish": "bad\n"})
    done = world.ask("run", "-t", "bad", "--plain")
    if done.code != 3 or "rejected by checked" not in done.text:
        yield f"a forbidden file was not rejected: {done.text}"


def missing(world: World, history: list[Recorded]) -> Iterator[str]:
    """Effects that an event names and that are not there, or not whole."""
    [state] = world.root.glob("state/interlock/*/store.git")
    blobs = FileBlobs(state.with_name("blobs"))
    for record in history:
        for digest in digests_of(record.event):
            try:
                blobs.get(digest)
            except InterlockError as error:
                yield f"{record.seq}: {error}"
        match record.event:
            case CandidateProduced(commit=oid) | InputPrepared(commit=oid) | HandoffAccepted(commit=oid):
                there, words = state, ("rev-list", "--objects", "--quiet", "-1", oid)
            case Delivered(commit=oid):
                there, words = world.repository / ".git", ("rev-list", "--objects", "--quiet", "-1", oid)
            case _:
                continue
        argv = ["git", f"--git-dir={there}", *words]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=world.environment())
        if done.returncode:
            yield f"{record.seq}: {type(record.event).__name__} {oid}: {done.stderr.strip()}"


def histories(world: World) -> Iterator[list[Recorded]]:
    for path in world.root.glob("state/interlock/*/journal.db"):
        with SqliteJournal(path) as journal:
            yield from [journal.records(run) for run in journal.runs()]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))

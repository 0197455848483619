"""What lies with the submitter reaches workers that have no repository: carried files, submodules, Git LFS, held-out
files, and a commit that a person hands over."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.temporal.world import Cluster, Server, cluster_in, history, run_in, run_on, told
from tests.rooms_here import needs_fences, needs_rooms

from interlock.bootstrap import build
from interlock.core.events import AnswerTaken, CandidateProduced, VerdictGiven
from interlock.journal import FileBlobs
from interlock.pipelinefile import load_pipeline
from interlock.service import RunRequest
from interlock.workspaces.manifest import Item, Manifest, encode

CONTENT = b"large content" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(CONTENT)}\n"
LFS = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
LOOK = "test -x data/run.sh && test -L data/link && cat key data/deep/a vendor/lib/l.c && wc -c < big.bin"
ALL = f"""\
version: 1
carry: [key, data]
agents:
  writer: {{use: command, run: [bash, -c, "({LOOK}) > seen.txt"]}}
stages:
  code:
    agent: writer
    gates:
    - {{id: same, run: [bash, -c, "({LOOK}) | diff - seen.txt"]}}
    - {{id: seen, run: [bash, -c, "test $(wc -l < seen.txt) -eq 4"]}}
"""


def with_contents(many: Cluster, folder: Path) -> World:
    """A submitter with a submodule, a file in Git LFS and untracked files."""
    far = many.submitter(folder, {"interlock.yaml": ALL, ".gitignore": "key\ndata\n"})
    library = folder / "library"
    library.mkdir()
    far.git("init", "-q", cwd=library)
    (library / "l.c").write_text("int x;\n")
    far.git("add", "-A", cwd=library)
    far.git("commit", "-q", "-m", "library", cwd=library)
    far.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/lib")
    far.commit({".gitattributes": LFS, "big.bin": POINTER})
    with_lfs_content(far)
    deep = far.repository / "data/deep"
    deep.mkdir(parents=True)
    (far.repository / "key").write_text("the key\n")
    (deep / "a").write_text("deep\n")
    (deep.parent / "run.sh").write_text("#!/bin/sh\n")
    (deep.parent / "run.sh").chmod(0o755)
    (deep.parent / "link").symlink_to("deep/a")
    return far


def with_lfs_content(far: World) -> None:
    content = far.repository / f".git/lfs/objects/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}"
    content.parent.mkdir(parents=True)
    content.write_bytes(CONTENT)


def test_carried_files_submodules_and_lfs_contents_reach_agents_and_gates(tmp_path: Path, many: Cluster) -> None:
    far = with_contents(many, tmp_path / "far")
    run = run_on(far)
    made = next(record.event for record in history(far, run) if isinstance(record.event, CandidateProduced))
    branch = far.git("branch", "--list", "interlock/*").strip("* ")
    assert far.git("show", f"{branch}:seen.txt") == f"the key\ndeep\nint x;\n{len(CONTENT)}"
    assert far.git("ls-tree", "-r", "--name-only", branch).split() == [
        ".gitattributes", ".gitignore", ".gitmodules", "big.bin", "interlock.yaml", "seen.txt", "vendor/lib",
    ]  # fmt: skip
    assert made.attempt.number == 1


SCRIPTED = """\
version: 1
agents:
  writer: {use: scripted, script: agents/script.yaml}
stages:
  one: {agent: writer, gates: [{id: g, run: "grep -q of copied/sub/b.txt"}]}
"""
BESIDE = {
    "agents/script.yaml": """\
stages:
  one:
    wrong: [[{write: {a.txt: x}}], [{copy: {from: upstream/a.txt, to: a.txt}}]]
    right:
      - copy: {from: upstream, to: copied}
      - copy: {from: upstream/a.txt, to: a.txt}
      - patch: fix.patch
    sequence: [wrong_fix, right]
""",
    "agents/fix.patch": "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-first\n+second\n",
    "agents/upstream/a.txt": "first\n",
    "agents/upstream/sub/b.txt": "of b\n",
}
TWICE = """\
version: 1
carry: [key]
agents:
  writer: {use: command, run: [bash, -c, "cat key >> a.txt"]}
stages:
  one: {agent: writer, gates: [{id: ok, approve: "Go on?"}]}
  two: {needs: [one], agent: writer, attempts: 1, gates: [{id: g, run: "test -s a.txt"}]}
"""


def test_a_content_that_was_lost_is_named(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": TWICE, ".gitignore": "key\n"})
    (far.repository / "key").write_text("soon lost\n")
    run = run_on(far, code=3)
    digest = hashlib.sha256(b"soon lost\n").hexdigest()
    kept = list(many.root.rglob(f"{digest[:2]}/{digest[2:]}"))
    assert len(kept) == 2, "among the shared blobs, and on the worker"
    for path in kept:
        path.unlink()
    far.ask("approve", run, "--plain").ended(3, f"carry: key: its content is not among the blobs ({digest})")


HELD_OUT = """\
version: 1
agents:
  writer: {use: command, run: [bash, -c, "echo 42 > answer.txt"]}
stages:
  code:
    agent: writer
    gates:
    - {id: hidden, run: [bash, -c, 'sh "$HELD_OUT/check.sh"'], held_out: feature}
"""


def test_held_out_files_reach_gates_alone(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": HELD_OUT})
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "check.sh").write_text("#!/bin/sh\ngrep -q 42 answer.txt\n")
    run = run_on(World(far.root, far.repository, {"INTERLOCK_HELD_OUT_FEATURE": str(hidden)}))
    given = [record.event for record in history(far, run) if isinstance(record.event, VerdictGiven)]
    assert [str(each.status) for each in given if each.gate == "code/hidden" and not each.subject.is_base] == ["passed"]
    assert not list(tmp_path.rglob("extra")), "the copies are gone"


LOOKS = """\
version: 1
agents:
  looks: {{use: command, run: [bash, -c, "grep -rs 'only the referee' {where} > seen.txt; echo 42 > answer.txt"]}}
stages:
  code:
    agent: looks
    gates:
    - {{id: hidden, run: [bash, -c, 'sh "$HELD_OUT/check.sh"'], held_out: feature}}
"""


@pytest.mark.parametrize(
    "level", [pytest.param("full", marks=needs_rooms), pytest.param("fs", marks=needs_fences), "none"]
)
def test_an_attempt_finds_held_out_files_nowhere_on_its_worker(tmp_path: Path, many: Cluster, level: str) -> None:
    """They are among the blobs, and in the store of the worker, since the gate was asked about the base before."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "check.sh").write_text(f"# only the referee, {level}\ngrep -q 42 answer.txt\n")
    where = f"{many.root} {hidden}"
    far = many.submitter(tmp_path / "far", {"interlock.yaml": LOOKS.format(where=where)})
    far.environ["INTERLOCK_HELD_OUT_FEATURE"] = str(hidden)
    run = run_on(far, "--sandbox", level)
    branch = far.git("branch", "--list", "interlock/*").strip("* ")
    assert bool(far.git("show", f"{branch}:seen.txt")) == (level == "none"), run
    laid = [path for path in many.root.rglob("check.sh") if f", {level}" in path.read_text()]
    assert [path.parents[2].name for path in laid] == ["held-out"]


SET_UP = """\
version: 1
setup: [{run: "mkdir deps && echo made > deps/x", paths: [deps]}]
agents:
  writer: {use: command, run: [bash, -c, "cat deps/x > seen.txt"]}
stages:
  code: {agent: writer, gates: [{id: same, run: "cmp deps/x seen.txt"}]}
"""


@needs_rooms
def test_checkouts_on_a_worker_are_overlays(tmp_path: Path, server: Server) -> None:
    """Else each attempt and each gate copies what setup has made."""
    full = {"INTERLOCK_SANDBOX": "full"}
    with cluster_in(tmp_path / "many", server, **full) as many:
        run_on(many.submitter(tmp_path / "far", {"interlock.yaml": SET_UP}, **full))
        (template,) = (many.root / "worker").rglob("store.git/interlock/templates/*/tree")
        assert (template / "deps/x").read_text() == "made\n"


def test_what_cannot_be_sent_is_said_before_the_run_begins(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": TWICE, ".gitignore": "key\n"})
    os.mkfifo(far.repository / "key")
    far.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(2, "carry: key is a device, socket or pipe")
    far.commit({"interlock.yaml": SCRIPTED, **BESIDE})
    (far.repository / "agents/upstream/sub/b.txt").write_bytes(b"\xff")
    far.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(2, "agent writer: ", "b.txt: only text can be")
    (far.repository / "agents/script.yaml").unlink()
    far.ask("run", "--engine", "temporal", "--plain", "-t", "x").ended(2, "script.yaml: the script cannot be read")
    assert far.ask("list", "--json").json()["runs"] == []


def test_a_script_of_the_working_tree_does_on_workers_what_it_does_here(tmp_path: Path, many: Cluster) -> None:
    """With what lies beside it, none of which is in a commit."""
    files = {"interlock.yaml": SCRIPTED, ".gitignore": "agents\n"}
    worlds = [new_world(tmp_path / "local", files), many.submitter(tmp_path / "far", files)]
    seen = []
    for world, engine in zip(worlds, ("local", "temporal"), strict=True):
        for name, text in BESIDE.items():
            (world.repository / name).parent.mkdir(parents=True, exist_ok=True)
            (world.repository / name).write_text(text)
        run = run_in(world.ask("run", "--engine", engine, "--plain", "-t", "x").ended(0).err)
        seen.append((told(history(world, run)), world.git("show", "--format=%T", f"interlock/{run}")))
    assert seen[0] == seen[1]
    assert "+second" in seen[0][1]
    assert "+of b" in seen[0][1]


def test_a_worker_refuses_what_would_be_laid_elsewhere(tmp_path: Path, many: Cluster) -> None:
    """The list of what came is forged: its file would replace the hooks of the checkout."""
    far = many.submitter(tmp_path / "far", {"interlock.yaml": TWICE, ".gitignore": "key\n"})
    blobs = FileBlobs(many.root / "blobs")
    digest = blobs.put(b"touch /tmp/owned\n")
    forged = Manifest((Item("key", "link", target=".git"), Item("key/hooks", "file", 0o755, digest)))
    with closing(build(far.repository, far.environment())) as app:
        pipeline = load_pipeline(far.repository / "interlock.yaml", far.repository).pipeline
        base, contents = app.workspaces.import_base(), blobs.put(encode(forged))
        asked = RunRequest(pipeline, "x", base.commit, base.tree, engine="temporal", contents=contents)
        run = app.service.start_run(asked)
    far.ask("resume", run, "--plain").ended(5, "is refused: 'key/hooks' is below something that is no folder")


MENDED = """\
version: 1
agents:
  idle: {use: command, run: "true"}
stages:
  code: {agent: idle, attempts: 1, gates: [{id: g, run: "grep -q mended a.txt"}]}
"""


def test_a_commit_that_a_person_hands_over_reaches_the_gates(tmp_path: Path, many: Cluster) -> None:
    """It has a history that the store has not, and a file in Git LFS that the base has not."""
    far = many.submitter(tmp_path / "far", {"interlock.yaml": MENDED, "a.txt": "broken\n", ".gitattributes": LFS})
    run = run_on(far, code=3)
    far.ask("retry", run, "code", "--with", "no-such-commit").ended(2, "is not a commit of this repository")
    far.git("switch", "-q", "-c", "own")
    far.commit({"b.txt": "one more\n"})
    mine = far.commit({"a.txt": "mended\n", "big.bin": POINTER})
    with_lfs_content(far)
    far.ask("retry", run, "code", "--with", mine, "--plain").ended(0, "accepted")
    taken = [record.event for record in history(far, run) if isinstance(record.event, AnswerTaken)]
    assert [bool(event.pack) for event in taken] == [True]
    branch = far.git("branch", "--list", "interlock/*").strip("* ")
    assert far.git("show", f"{branch}:a.txt") == "mended"

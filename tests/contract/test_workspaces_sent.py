"""A machine without the repository: commits come as packs, all else out of blobs."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, git, make_repository, make_world, write

from interlock.core.ids import AttemptId
from interlock.gates.held_out import HeldOut
from interlock.journal import FileBlobs
from interlock.pipelinefile import load_pipeline
from interlock.ports import CheckoutSpec, InfrastructureError, Stamp, UsageError
from interlock.service import RunRequest
from interlock.service.contents import collect
from interlock.workspaces import GitWorkspaces
from interlock.workspaces.manifest import decode

LOCAL = ("-c", "protocol.file.allow=always")
CONTENT = b"large content" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(CONTENT)}\n"
LFS = {".gitattributes": "*.bin filter=lfs\n", "x.bin": POINTER}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path / "near")
    with made.workspaces:
        yield made


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def far(tmp_path: Path, blobs: FileBlobs) -> Iterator[GitWorkspaces]:
    with GitWorkspaces(tmp_path / "far/store.git", tmp_path / "far/places", None, os.environ, blobs=blobs) as made:
        yield made


def checked_out(far: GitWorkspaces, commit: str, spec: CheckoutSpec | None = None) -> dict[str, bytes]:
    """The files of a clean checkout."""
    with far.clean_checkout(commit, commit, spec or CheckoutSpec()) as checkout:
        there = [path for path in checkout.tree.rglob("*") if ".git" not in path.parts and path.is_file()]
        return {str(path.relative_to(checkout.tree)): path.read_bytes() for path in there}


def with_submodule(world: World, folder: Path) -> Path:
    """A repository with a submodule in a submodule. Returns the inner one, of which both get what is committed."""
    inner = make_repository(folder / "inner", {"i.c": "1\n"})
    outer = make_repository(folder / "outer", {"o.c": "o\n"})
    git(outer, *LOCAL, "submodule", "--quiet", "add", str(inner), "in")
    commit_all(outer)
    git(world.repository, *LOCAL, "submodule", "--quiet", "add", str(outer), "lib")
    git(world.repository, *LOCAL, "submodule", "--quiet", "update", "--init", "--recursive")
    commit_all(world.repository, "with submodules")
    return world.repository / "lib/in"


def send(world: World, far: GitWorkspaces, commit: str, base: str = "") -> None:
    far.receive(commit, world.workspaces.pack(commit, base), is_base=not base)


def test_what_was_made_here_is_held_as_if_it_had_been_received(world: World, far: GitWorkspaces) -> None:
    base = world.base().commit
    send(world, far, base)
    made = far.write_contents(base, {"a.txt": b"x"}, Stamp("made", 1))
    assert not far.renew(made, is_base=False)
    far.keep(made)
    assert far.renew(made, is_base=False)


def test_submodules_come_with_the_base_and_with_a_persons_commit(
    world: World, far: GitWorkspaces, tmp_path: Path
) -> None:
    inner = with_submodule(world, tmp_path)
    base = world.base()
    world.workspaces.check_contents(base)
    send(world, far, base.commit)
    assert checked_out(far, base.commit)["lib/in/i.c"] == b"1\n"
    commit_all(world.repository, "between, which never comes")
    write(inner, {"i.c": "2\n"})
    for folder in (inner, inner.parent, world.repository):
        commit_all(folder, "two")
    mine = world.workspaces.import_base()
    world.workspaces.check_contents(mine)
    send(world, far, mine.commit, base.commit)
    assert checked_out(far, mine.commit)["lib/in/i.c"] == b"2\n"
    made = far.adopt(mine.commit, base.commit, Stamp("m", 1), "refs/interlock/r/code/1.1")
    assert made.tree == mine.tree
    store = tmp_path / "far/store.git"
    assert git(store, "fsck", "--full", "--no-dangling") == ""
    far.close()
    git(store, "gc", "-q", "--prune=now")
    assert checked_out(far, made.commit)["lib/in/i.c"] == b"2\n"


def test_a_commit_without_its_history_comes_without_what_the_base_has(world: World, far: GitWorkspaces) -> None:
    write(world.repository, {"large.bin": os.urandom(1_000_000)})
    commit_all(world.repository)
    base = world.base().commit
    send(world, far, base)
    commit_all(world.repository, "between, which never comes")
    write(world.repository, {"a.txt": "mine\n"})
    mine = commit_all(world.repository, "mine")
    world.workspaces.import_base()
    assert len(world.workspaces.pack(mine, base)) < 10_000
    send(world, far, mine, base)
    assert checked_out(far, mine)["a.txt"] == b"mine\n"


def test_a_submodule_that_did_not_come_is_named(world: World, far: GitWorkspaces, tmp_path: Path) -> None:
    with_submodule(world, tmp_path)
    base = world.base()
    send(world, far, base.commit)
    with pytest.raises(UsageError, match=r"lib: commit \w{12} of it did not come with the run"):
        checked_out(far, base.commit)


@pytest.mark.parametrize("lies", ["in the folder of git-lfs", "in the working tree", "in the store"])
def test_lfs_contents_are_found_among_the_blobs(world: World, far: GitWorkspaces, blobs: FileBlobs, lies: str) -> None:
    write(world.repository, dict(LFS))
    commit_all(world.repository, "a pointer")
    if lies == "in the folder of git-lfs":
        write(world.repository, {f".git/lfs/objects/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}": CONTENT})
    else:
        write(world.repository, {"x.bin": CONTENT, "y.bin": CONTENT * 2})
    base = world.workspaces.import_base(worktree=lies == "in the store")
    if lies == "in the store":
        write(world.repository, {"x.bin": b"changed since", "y.bin": b"changed since"})
    send(world, far, base.commit)
    with pytest.raises(UsageError, match=f"x.bin: its content is not among the blobs .{SHA256}"):
        checked_out(far, base.commit)
    assert (world.workspaces.lfs_bytes(base.commit, blobs) > 0) == (lies != "in the store")
    world.workspaces.share(base.commit, blobs)
    found = checked_out(far, base.commit)
    assert found["x.bin"] == CONTENT
    assert found.get("y.bin", CONTENT * 2) == CONTENT * 2
    assert world.workspaces.lfs_bytes(base.commit, blobs) == 0


def test_a_damaged_lfs_content_is_refused(world: World, far: GitWorkspaces, blobs: FileBlobs) -> None:
    write(world.repository, dict(LFS))
    commit_all(world.repository, "a pointer")
    write(world.repository, {f".git/lfs/objects/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}": CONTENT})
    base = world.base()
    send(world, far, base.commit)
    world.workspaces.share(base.commit, blobs)
    path = blobs.path(SHA256)
    path.unlink()
    path.write_bytes(b"another")
    with pytest.raises(InfrastructureError, match=r"x\.bin: its content does not match"):
        checked_out(far, base.commit)


def test_an_attempt_leaves_carried_files_out(world: World, far: GitWorkspaces, blobs: FileBlobs) -> None:
    write(world.repository, {"key/deep/a": "carried\n", ".git/info/exclude": "key\n"})
    base = world.base()
    send(world, far, base.commit)
    spec = CheckoutSpec(
        carry=("key/deep/", "./key/deep/a"), contents=world.workspaces.needs(["key/deep"], {}).put(blobs)
    )
    place = far.open("run1", AttemptId("code", 1, 1), base.commit, spec)
    assert (place.tree / "key/deep/a").read_text() == "carried\n"
    (place.tree / "b.txt").write_text("new\n")
    made = far.snapshot(place, base.commit, spec, Stamp("m", 1), "refs/interlock/run1/code/1.1")
    assert [change.path for change in far.changes(base.commit, made.commit)] == ["b.txt"]
    with pytest.raises(InfrastructureError, match="carry: 'other' did not come with the run"):
        checked_out(far, base.commit, CheckoutSpec(carry=("other",), contents=spec.contents))


def test_held_out_files_are_laid_once_and_anew_if_they_change(
    world: World, far: GitWorkspaces, blobs: FileBlobs, tmp_path: Path
) -> None:
    write(tmp_path / "hidden", {"a/test.py": "assert 1\n"})
    files = [tmp_path / "hidden/a/test.py"]

    def sent() -> str:
        return world.workspaces.needs([], {"feature": (tmp_path / "hidden", files)}).put(blobs)

    contents = sent()
    there = far.held_out(contents, "feature")
    assert there is not None
    assert there.name == "hidden"
    assert (there / "a/test.py").read_text() == "assert 1\n"
    assert far.held_out(contents, "feature") == there
    assert far.held_out(contents, "other") is None
    write(tmp_path / "hidden", {"a/test.py": "assert 2\n"})
    again = far.held_out(sent(), "feature")
    assert again is not None
    assert (again / "a/test.py").read_text() == "assert 2\n"
    assert (there / "a/test.py").read_text() == "assert 1\n", "an older run still has its own"


PIPELINE = """\
version: 1
carry: [large]
stages:
  code:
    run: "true"
    gates: [{id: g, run: 'sh "$HELD_OUT"', held_out: feature}]
"""


def asked(world: World) -> RunRequest:
    write(world.repository, {"interlock.yaml": PIPELINE, ".git/info/exclude": "large\n"})
    with (world.repository / "large").open("wb") as file:
        file.truncate(60_000_000)
    commit_all(world.repository)
    pipeline = load_pipeline(world.repository / "interlock.yaml", world.repository).pipeline
    base = world.base()
    return RunRequest(pipeline, "x", base.commit, base.tree)


def test_who_starts_a_run_is_told_that_collecting_takes_a_while(world: World, blobs: FileBlobs, tmp_path: Path) -> None:
    request, told = asked(world), list[int]()
    write(tmp_path, {"hidden/check.sh": "true\n"})
    held_out = HeldOut({"feature": str(tmp_path / "hidden")}, {}, world.repository)
    contents = collect(world.workspaces, held_out, blobs, request, told.append)
    assert told == [60_000_005]
    found = decode(blobs.get(contents))
    assert [item.path for item in found.carry] == ["large"]
    assert [item.path for item in found.held_out["feature"]] == ["hidden", "hidden/check.sh"]


def test_held_out_files_that_only_workers_know_stay_there(world: World, blobs: FileBlobs, tmp_path: Path) -> None:
    request = asked(world)
    contents = collect(world.workspaces, HeldOut({}, {}, world.repository), blobs, request, lambda _: None)
    assert decode(blobs.get(contents)).held_out == {}
    gone = HeldOut({"feature": str(tmp_path / "gone")}, {}, world.repository)
    with pytest.raises(UsageError, match="gone: the held-out files do not exist"):
        collect(world.workspaces, gone, blobs, request, lambda _: None)
    here = HeldOut({"feature": str(tmp_path)})
    assert here.source("feature") == tmp_path
    assert replace(here, came={"feature": tmp_path / "came"}).source("feature") == tmp_path / "came"


def test_held_out_files_at_a_path_of_the_pipeline_are_not_sent(world: World, blobs: FileBlobs, tmp_path: Path) -> None:
    request = asked(world)
    (stage,) = request.pipeline.stages
    (gate,) = (replace(gate, held_out=str(tmp_path)) for gate in stage.gates if gate.held_out)
    hostile = replace(request, pipeline=replace(request.pipeline, stages=(replace(stage, gates=(gate,)),), _by_id={}))
    with pytest.raises(UsageError, match=f"held_out: {tmp_path}: other machines would be sent what is there"):
        collect(world.workspaces, HeldOut({}, {}, world.repository), blobs, hostile, lambda _: None)


def test_what_did_not_come_is_asked_of_nobody(world: World, far: GitWorkspaces) -> None:
    send(world, far, world.base().commit)
    with pytest.raises(
        UsageError, match="commit 123456789012 did not come with the run, and workers have no repository"
    ):
        far.adopt("123456789012" + "0" * 28, "0" * 40, Stamp("m", 1), "refs/interlock/r/code/1.1")
    with pytest.raises(UsageError, match="a worker has no repository"):
        far.publish(world.base().commit, "origin", "b")
    with pytest.raises(UsageError, match="a worker has no repository"):
        checked_out(far, world.base().commit, CheckoutSpec(carry=("key",)))
    assert world.workspaces.needs([], {}).size == 0


HOSTILE = ("..", ".", ".git", ".GIT", "../../intruded", "/x/intruded")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["file", "folder", "submodule"])
def test_a_pack_with_a_name_that_leads_elsewhere_is_laid_nowhere(
    world: World, far: GitWorkspaces, tmp_path: Path, name: str, kind: str
) -> None:
    """No git makes such a tree; who sends one has made it."""

    def put(form: str, content: bytes) -> str:
        argv = ("git", "hash-object", "-t", form, "-w", "--literally", "--stdin")
        return (
            subprocess.run(argv, cwd=world.repository, input=content, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )

    def entry(mode: str, called: str, oid: str) -> bytes:
        return f"{mode} {called}\0".encode() + bytes.fromhex(oid)

    text = put("blob", b"intruded\n")
    inner = {
        "file": entry("100644", name, text),
        "folder": entry("40000", name, put("tree", entry("100644", "intruded", text))),
        "submodule": entry("160000", name, "1" * 40),
    }[kind]
    who = b"A <a@example.invalid> 1 +0000"
    head = b"tree %s\nauthor %s\ncommitter %s\n\nm\n" % (put("tree", inner).encode(), who, who)
    commit = put("commit", head)
    argv = ("git", "pack-objects", "-q", "--revs", "--stdout")
    made = subprocess.run(argv, cwd=world.repository, input=commit.encode(), capture_output=True, check=True)
    before = sorted(tmp_path.rglob("*intruded"))
    with pytest.raises(InfrastructureError, match="a tree of the repository has a bad entry"):
        far.receive(commit, made.stdout, is_base=True)
    assert sorted(tmp_path.rglob("*intruded")) == before

"""Checkouts that are overlays beside plain ones: the same edits make the same candidate, and a gate sees the same. On a
disk and on tmpfs, as root and as an ordinary user."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.layers_edits import EDITS, FILES, Edit
from tests.contract.workspaces_world import World, fingerprint, git, make_repository, make_world, write
from tests.nightly import rest_at_night

from interlock.core.ids import AttemptId
from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import Checkout, CheckoutSpec, InfrastructureError, UnfitTree
from interlock.process import mounts
from interlock.workspaces import handed, layers, templates

SOMEONE = 65534
DEPS = Setup(
    CommandLine(shell="mkdir -p deps/in tool; echo made > deps/in/x; echo made > tool/pinned"), paths=("deps", "tool")
)
SETTLES = (
    "echo settled > deps/in/x; echo y > run.sh; rm -f b.txt; echo s > settled;"
    " git rm -q --cached --ignore-unmatch .gitignore"  # another index
)
SETTLED = replace(DEPS, settle=CommandLine(shell=SETTLES))


@pytest.fixture(autouse=True)
def _layered(monkeypatch: pytest.MonkeyPatch) -> None:
    if not mounts.enter():
        pytest.skip(f"no overlays in this process: {mounts.refusal()}")
    monkeypatch.setattr(handed, "LAYERED", ("none",))  # no sandbox is needed for what is shown here


@pytest.fixture(params=["disk", pytest.param("tmpfs", marks=pytest.mark.nightly)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    shared = Path("/dev/shm")
    if request.param == "tmpfs" and not os.access(shared, os.W_OK):
        pytest.skip("there is no /dev/shm, which is a tmpfs")
    with tempfile.TemporaryDirectory(dir=tmp_path if request.param == "disk" else shared, prefix="layers-") as folder:
        yield from _made(Path(folder))


def _made(root: Path) -> Iterator[World]:
    repository = make_repository(root / "repository", dict(FILES))
    (repository / "run.sh").chmod(0o755)
    (repository / "link").symlink_to("src/lib.py")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "modes")
    made = make_world(root, repository)
    yield made
    for at in (*made.places.glob("*/*"), *made.gates.glob("*")):
        layers.unmount(at)
    made.workspaces.close()


def _outcome(world: World, commit: str, edit: Edit, number: int, spec: CheckoutSpec) -> object:
    """What became of the edit: the tree and what was left out, or what was found."""
    checkout = world.open(commit, number, spec)
    try:
        edit.act(checkout.tree)
        made = world.snapshot(checkout, commit, number, spec)
    except UnfitTree as error:
        return error.findings
    finally:
        world.workspaces.wipe(checkout)
    return made.tree, sorted(made.left_out)


def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed, "LAYERED", ())


@pytest.mark.parametrize("spec", [CheckoutSpec(), CheckoutSpec(setup=(SETTLED,))], ids=["bare", "setup"])
def test_the_same_edits_make_the_same_candidate(
    world: World, spec: CheckoutSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = world.base().commit
    edits = [edit for edit in EDITS if os.geteuid() == 0 or not edit.root]
    over = {edit.id: _outcome(world, base, edit, number, spec) for number, edit in enumerate(edits, 1)}
    _plain(monkeypatch)
    plain = {edit.id: _outcome(world, base, edit, number, spec) for number, edit in enumerate(edits, 101)}
    assert over == plain
    assert len({str(each) for each in plain.values()}) > 20


def _gate_view(world: World, commit: str, base: str, spec: CheckoutSpec) -> tuple[dict[str, str], str]:
    """The files, without times, and what git says of them."""
    with world.workspaces.clean_checkout(commit, base, spec) as checkout:
        found = {
            path: " ".join([said.split(" ")[0], *said.split(" ")[2:]])
            for path, said in fingerprint(checkout.tree).items()
            if not path.startswith(".git/")
        }
        words = ("status --porcelain", "diff --stat base", "log --format=%H%s --all", "fsck --strict", "ls-files -s")
        return found, "\n".join(git(checkout.tree, *each.split()) for each in words)


@pytest.mark.parametrize("spec", [CheckoutSpec(), CheckoutSpec(setup=(SETTLED,))], ids=["bare", "setup"])
def test_a_gate_sees_the_same(world: World, spec: CheckoutSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    base, found = world.base().commit, []
    for number, edit in enumerate(each for each in EDITS if each.id not in ("device", "closed")):
        checkout = world.open(base, number + 1)
        edit.act(checkout.tree)
        with suppress(UnfitTree):
            found.append(world.snapshot(checkout, base, number + 1).commit)
        world.workspaces.wipe(checkout)
    over = [_gate_view(world, commit, base, spec) for commit in found]
    assert layers.refusal(world.store, world.gates) == ""
    _plain(monkeypatch)
    assert over == [_gate_view(world, commit, base, spec) for commit in found]


def test_it_is_an_overlay_and_its_template_stays_as_it_was(world: World) -> None:
    base = world.base().commit
    checkout = world.open(base, spec=CheckoutSpec(setup=(SETTLED,)))
    assert mounts.is_mounted(checkout.tree)
    (lower,) = (world.store / "interlock/templates").glob("*/tree")
    before = fingerprint(lower)
    for path in sorted(checkout.tree.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    write(checkout.tree, {"a.txt": "mine", ".git/config": "mine"})
    assert fingerprint(lower) == before
    world.workspaces.wipe(checkout)
    assert not checkout.root.exists()
    assert (world.open(base, 2).tree / "a.txt").read_text() == "one\n"


def test_a_candidate_is_over_the_template_of_its_input(world: World) -> None:
    base = world.base().commit
    first = world.attempted({"a.txt": "changed"}, base, 1)
    second = world.attempted({"b.txt": "changed"}, first.commit, 2, stage="next")
    with world.workspaces.clean_checkout(second.commit, base, CheckoutSpec()) as checkout:
        assert ((checkout.tree / "a.txt").read_text(), (checkout.tree / "b.txt").read_text()) == ("changed", "changed")
        assert git(checkout.tree, "status", "--porcelain") == ""
    assert len(list((world.store / "interlock/templates").iterdir())) == 1


ADDED = {"new.txt": "new", "n/deep/one": "1", "n/two": "2", "src/added": "in a folder of the template"}
REMOVALS = (
    Edit("file", lambda tree: (tree / "new.txt").unlink()),
    Edit("in a folder", lambda tree: (tree / "src/added").unlink()),
    Edit("folder", lambda tree: shutil.rmtree(tree / "n")),
    Edit("inner folder", lambda tree: shutil.rmtree(tree / "n/deep")),
    Edit("moved", lambda tree: (tree / "n").rename(tree / "moved")),
    Edit("a folder in its place", lambda tree: ((tree / "new.txt").unlink(), write(tree, {"new.txt/x": "x"}))),
)


@pytest.mark.parametrize("edit", REMOVALS, ids=lambda edit: edit.id)
def test_what_an_earlier_stage_added_can_be_removed(world: World, monkeypatch: pytest.MonkeyPatch, edit: Edit) -> None:
    """Only the upper layer has it, so its removal leaves no mark there."""
    first = world.attempted(dict(ADDED), world.base().commit, 1)
    over = _outcome(world, first.commit, edit, 2, CheckoutSpec())
    _plain(monkeypatch)
    assert over == _outcome(world, first.commit, edit, 3, CheckoutSpec())
    assert over[0] != first.tree


def test_settle_cannot_remove_what_the_candidate_added(world: World) -> None:
    base = world.base().commit
    first = world.attempted(dict(ADDED), base, 1)
    spec = CheckoutSpec(setup=(replace(DEPS, settle=CommandLine(shell="rm -rf new.txt n src/added")),))
    with world.workspaces.clean_checkout(first.commit, base, spec) as checkout:
        assert {path: (checkout.tree / path).read_text() for path in ADDED} == ADDED
        (checkout.tree / "n/two").unlink()
        assert "n/two" in world.workspaces.touched(checkout, first.commit)


def test_continued_work_sides_and_carried_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    base = world.base().commit
    write(world.repository, {"secret.log": "carried"})
    first = world.attempted({"a.txt": "changed", "n/new": "n"}, base, 1)
    side = world.attempted({"other/one": "side"}, base, 2)
    spec = CheckoutSpec(setup=(SETTLED,), carry=("secret.log",), sides=(("left", side.commit),))
    seen = []
    for number in (3, 4):
        checkout = world.workspaces.open("run1", AttemptId("code", 1, number), base, spec, overlay=first.commit)
        said = [
            git(checkout.tree, *each.split()) for each in ("status --porcelain", "show from/left:other/one", "fsck")
        ]
        made = world.snapshot(checkout, base, number, spec)
        seen.append((said, (checkout.tree / "secret.log").read_text(), made.tree, sorted(made.left_out)))
        world.workspaces.wipe(checkout)
        _plain(monkeypatch)
    assert seen[0] == seen[1]
    assert seen[0][0][0].split("\n") == [" M a.txt", "?? n/", ""]


def test_submodules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = make_repository(tmp_path / "inner", {"x": "1", "y/z": "2"})
    outer = make_repository(tmp_path / "repository", {"a.txt": "a"})
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    git(outer, "commit", "-q", "-m", "with a submodule")
    world = make_world(tmp_path, outer)
    base, found = world.base().commit, []
    edits: tuple[dict[str, str | bytes], ...] = ({}, {"sub/x": "changed"}, {"sub/x": "1"}, {"sub/new": "n"}, {"b": "b"})
    for start in (1, 101):
        for number, files in enumerate(edits, start):
            edit = Edit("", lambda tree, files=files: write(tree, files))  # type: ignore[misc]
            found.append(_outcome(world, base, edit, number, CheckoutSpec()))
        _plain(monkeypatch)
    assert found[: len(edits)] == found[len(edits) :]
    assert "changed inside the submodule" in str(found[1])
    world.workspaces.close()


def test_git_in_it_reads_few_files(world: World) -> None:
    """What the index says agrees with the overlay: git does not read the files again."""
    write(world.repository, {f"many/{number}": str(number) for number in range(300)})
    git(world.repository, "add", "-A")
    git(world.repository, "commit", "-q", "-m", "many")
    checkout = world.open(world.base().commit)
    for path in (checkout.tree / "many").iterdir():
        os.utime(path, (path.stat().st_mtime,) * 2)  # another ctime, and a copy in the upper layer
    seen = git(checkout.tree, "-c", "core.fsmonitor=false", "status", "--porcelain", env={"GIT_TRACE_SETUP": "0"})
    done = subprocess.run(
        ["git", "diff-files", "--name-only"], cwd=checkout.tree, capture_output=True, text=True, check=True
    )
    assert (seen, done.stdout) == ("", "")


def test_forged_layers_hide_and_invent_nothing(world: World) -> None:
    """As if a program could write in the upper layer itself: what counts is what the overlay shows."""
    base = world.base().commit
    kind = "trusted" if os.geteuid() == 0 else "user"
    checkout = world.open(base)
    write(checkout.tree, {"src/lib.py": "changed", "other/one": "changed"})
    for name in ("opaque", "redirect"):
        os.setxattr(checkout.root / "upper/src", f"{kind}.overlay.{name}", b"y")
    shown = {str(path.relative_to(checkout.tree)) for path in checkout.tree.rglob("*") if not path.is_dir()}
    made = world.snapshot(checkout, base)
    assert set(world.files(made.commit)) == {path for path in shown if not path.startswith(".git/")}
    world.workspaces.wipe(checkout)


def test_programs_cannot_write_what_overlays_mean(world: World) -> None:
    checkout = world.open(world.base().commit)
    for kind in ("user", "trusted"):
        with suppress(OSError):
            os.setxattr(checkout.tree / "src", f"{kind}.overlay.opaque", b"y")
    with pytest.raises(PermissionError):
        os.mknod(checkout.tree / "whiteout", 0o600 | stat.S_IFCHR, 0)
    assert (checkout.tree / "src/lib.py").exists()
    assert world.snapshot(checkout, world.base().commit).tree == world.base().tree


# --- faults ----------------------------------------------------------------------------------


def test_a_half_made_template_is_made_again(world: World) -> None:
    base = world.base().commit
    world.workspaces.wipe(world.open(base))
    (made,) = (world.store / "interlock/templates").iterdir()
    (made / "about.json").unlink()
    (made / "tree/a.txt").write_text("half")
    checkout = world.open(base, 2)
    assert (checkout.tree / "a.txt").read_text() == "one\n"


@pytest.mark.parametrize("used", [False, True], ids=["unused", "below another checkout"])
def test_a_template_that_lost_or_changed_a_file_is_made_again(world: World, *, used: bool) -> None:
    base = world.base().commit
    first = world.open(base)
    if not used:
        world.workspaces.wipe(first)
    (tree,) = (world.store / "interlock/templates").glob("*/tree")
    (tree / "src/lib.py").unlink()
    (tree / "a.txt").rename(tree / "kept")
    (tree / "kept").rename(tree / "a.txt")
    assert (world.open(base, 2).tree / "src/lib.py").exists()
    assert len(list((world.store / "interlock/templates").iterdir())) == 2
    assert world.open(base, 3)
    assert len(list((world.store / "interlock/templates").iterdir())) == 2, "the new one is good"


def test_a_template_of_an_earlier_start_of_the_machine_is_made_again(world: World) -> None:
    base = world.base().commit
    world.workspaces.wipe(world.open(base))
    (about,) = (world.store / "interlock/templates").glob("*/about.json")
    about.write_text(about.read_text().replace('"boot": "', '"boot": "other'))
    (about.parent / "tree/a.txt").write_text("")
    assert (world.open(base, 2).tree / "a.txt").read_text() == "one\n"


def test_few_templates_stay_and_none_that_is_used_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "KEPT_MAX", 2)
    base = world.base().commit
    first = world.open(base, spec=CheckoutSpec(setup=(DEPS,)))
    for number in range(2, 6):
        other = replace(DEPS, command=CommandLine(shell=f"mkdir -p deps tool; echo {number} > deps/x; touch tool/x"))
        world.workspaces.wipe(world.open(base, number, CheckoutSpec(setup=(other,))))
    assert len(list((world.store / "interlock/templates").iterdir())) == 3
    assert (first.tree / "a.txt").read_text() == "one\n"
    day = 86_400.0
    for path in (world.store / "interlock/templates").iterdir():
        os.utime(path, (0, 0))
    before = world.workspaces.usage().templates
    world.workspaces.collect(("refs/interlock/run1/",), day, time.time())
    assert 0 < world.workspaces.usage().templates < before
    assert (first.tree / "a.txt").read_text() == "one\n"
    world.workspaces.wipe(first)
    world.workspaces.collect(("refs/interlock/run1/",), day, time.time() + 2 * day)
    assert world.workspaces.usage().templates == 0


VICTIM = """
import os, sys, time
from pathlib import Path
from interlock.process import mounts
assert mounts.enter()
from interlock.core.ids import AttemptId
from interlock.ports import CheckoutSpec, Sandbox
from interlock.workspaces import GitWorkspaces, handed
handed.LAYERED = ("none",)
store, places, repository, commit = sys.argv[1:]
made = GitWorkspaces(Path(store), Path(places), Path(repository), os.environ)
checkout = made.open("run1", AttemptId("code", 1, 1), commit, CheckoutSpec())
(checkout.tree / "a.txt").write_text("lost")
print(checkout.root, flush=True)
time.sleep(60)
"""


def test_after_a_kill_the_next_one_begins_anew(world: World) -> None:
    base = world.base().commit
    words = [str(world.store), str(world.places), str(world.repository), base]
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, *words], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    root = Path(victim.stdout.readline().strip())
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    lost = Checkout(root, root / "tree", root / "home", root / "tmp")
    assert not list(lost.tree.iterdir())
    with pytest.raises(InfrastructureError, match="the process that made this checkout is gone"):
        world.snapshot(lost, base)
    checkout = world.open(base)
    assert not root.exists()
    assert (checkout.tree / "a.txt").read_text() == "one\n"
    assert world.snapshot(checkout, base).tree == world.base().tree


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_under_the_upper_layer(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(small)], check=True)
    repository = make_repository(tmp_path / "repository", dict(FILES))
    made = make_world(tmp_path, repository)
    made.workspaces = type(made.workspaces)(made.store, small / "places", repository, os.environ)
    base = made.base().commit
    checkout = made.open(base)
    assert mounts.is_mounted(checkout.tree)
    with pytest.raises(OSError, match="No space left"):
        (checkout.tree / "big").write_bytes(b"x" * 1_000_000)
    made.workspaces.wipe(checkout)
    changed = made.attempted({"a.txt": "changed\n" * 100}, base, 2)
    subprocess.run(f"dd if=/dev/zero of={small}/fill bs=4k 2>/dev/null", shell=True, check=False)
    with pytest.raises(InfrastructureError, match="the disk is full"):
        made.open(changed.commit, 3)
    made.workspaces.close()
    subprocess.run(["umount", str(small)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts an overlay as any container has it")
def test_on_an_overlay_checkouts_are_plain(tmp_path: Path) -> None:
    at, lower, upper, work = (tmp_path / name for name in ("at", "lower", "upper", "work"))
    for folder in (at, lower, upper, work):
        folder.mkdir()
    mounts.mount_overlay(lower, upper, work, at)
    repository = make_repository(tmp_path / "repository", dict(FILES))
    made = make_world(at, repository)
    base = made.base().commit
    why = layers.refusal_here(made.store / "interlock/templates", made.gates)
    assert "no overlay in" in why
    assert "put the folders of state and cache on one that can" in why
    checkout = made.open(base)
    assert not mounts.is_mounted(checkout.tree)
    write(checkout.tree, {"a.txt": "changed"})
    assert made.files(made.snapshot(checkout, base).commit).keys() >= {"a.txt", "src/lib.py"}
    made.workspaces.wipe(checkout)
    made.workspaces.close()
    mounts.unmount(at)


@pytest.mark.parametrize("rows", rest_at_night(["disk and bare", ""]))
def test_all_of_it_as_an_ordinary_user(rows: str) -> None:
    """In a process of its own, which has no threads. As root: as somebody who owns nothing but a folder."""
    if "INTERLOCK_TEST_INNER" in os.environ:
        return
    root = os.geteuid() == 0
    program = shutil.which("python3", path="/usr/bin:/bin") if root else sys.executable
    version = [program or "false", "-c", "import sys; print(sys.version_info[:2])"]
    if subprocess.run(version, capture_output=True, text=True, check=False).stdout.strip() != str(sys.version_info[:2]):
        pytest.skip("no Python of this version that an ordinary user may run")
    with tempfile.TemporaryDirectory(prefix="layers-user-") as folder:
        Path(folder).chmod(0o777)
        someone = [f"--reuid={SOMEONE}", f"--regid={SOMEONE}", "--clear-groups"]
        words = [
            *(["setpriv", *someone] if root else []),
            str(program),
            "-m",
            "pytest",
            "-q",
            "--noconftest",
            "-p",
            "no:cacheprovider",
        ]
        words += ["-p", "no:xdist", f"--basetemp={folder}/base", "-W", "ignore", "--no-header", "-k", rows, __file__]
        env = {**os.environ, "INTERLOCK_TEST_INNER": "1", "HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        env.pop("PYTEST_ADDOPTS", None)
        env["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout

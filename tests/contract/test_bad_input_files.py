"""Files that git and programs stumble over: they come through byte for byte, or a clear error says what is wrong."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from tests.contract.bad_input_world import GOOD, Ground, committed, git, repository

ODD_NAMES = (
    b"new\nline", b"\xff\xfe not utf-8", b"--help", b"-rf", b"*", b"?", b"[x]", b":(top)magic", b"!not", b" lead",
    b"trail ", b"back\\slash", b'"quoted"', b"'single'", b"$(touch pwned)", b"`id`", b"a;b", b"tab\there",
    b"\x1b[31mred", b"\x7f", "größe".encode(), "e\u0301".encode(), "\u202eexe.txt".encode(), b"~", b"#hash",
    b"con", b"nul.txt", b"HEAD", b"x" * 255, b"%s%n", b"{{ task }}", b"::error::x", b"=", b"con.", b"git", b".gi",
    b"\r", b"\x01",
)  # fmt: skip


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, repository(tmp_path / "project"))


def names(ground: Ground, branch: str) -> set[bytes]:
    return {os.fsencode(name) for name in git(ground.repository, "ls-tree", "-rz", "--name-only", branch).split("\0")}


def test_names_of_any_bytes_come_through_and_come_out_harmless(ground: Ground):
    root = os.fsencode(ground.repository)
    os.mkdir(root + b"/odd")  # noqa: PTH102 - bytes
    made = set()
    for name in ODD_NAMES:
        with suppress(OSError), open(root + b"/odd/" + name, "wb") as file:  # noqa: PTH123 - not every system takes all
            file.write(name)
            made.add(name)
    committed(ground.repository)
    ground.pipeline(f'{GOOD}; for f in odd/* odd/.gi; do echo edited >> "$f"; done; cp -r odd even', gate="exit 1")
    said = ground.run()
    assert said.code == 3, said.text
    for words in (("show", "--json"), ("diff", "base", "code/1.1", "--stat"), ("diff", "base", "code/1.1", "--json")):
        answer = ground.ask(*words)
        assert answer.code == 0, answer.text
        assert not {0x1B, 0x7F, 0x01, 0x0D} & set(answer.out), answer.out
        assert "\u202e".encode() not in answer.out
    run = said.text.split("run ")[1].split(" ")[0]
    branch = ground.delivered(ground.ask("accept", run, "code/1.1", "--override", "--plain"))
    assert names(ground, branch) >= {folder + name for folder in (b"odd/", b"even/") for name in made}
    for name in {b"\xff\xfe not utf-8", b"--help"} & made:
        assert ground.content(branch, b"odd/" + name) == name + b"edited\n"


def test_attributes_change_no_byte_of_what_nobody_touched(ground: Ground):
    contents = {
        "crlf.txt": b"a\r\nb\r\n", "lf.txt": b"a\nb\n", "mixed.txt": b"a\r\nb\n", "id.txt": b"$Id: 123 $\n",
        "bin.dat": b"\0\r\n", "wide.txt": "wide".encode("utf-16"),
        "omit.txt": b"omit\n", "bom.txt": b"\xef\xbb\xbfx\r\n",
    }  # fmt: skip
    (ground.repository / ".gitattributes").write_text(
        "*.txt text\ncrlf.txt eol=crlf\nid.txt ident\nwide.txt working-tree-encoding=UTF-16\nomit.txt export-ignore\n"
    )
    for name, content in contents.items():
        (ground.repository / name).write_bytes(content)
    git(ground.repository, "config", "core.autocrlf", "true")
    git(ground.repository, "config", "core.safecrlf", "false")
    committed(ground.repository)
    branch = ground.delivered(ground.run())
    changed = git(ground.repository, "diff", "--no-ext-diff", "--name-only", "HEAD", branch)
    assert changed == "made.txt"
    taken = ground.delivered(ground.run("--base", "worktree"))
    assert git(ground.repository, "diff", "--name-only", "HEAD", taken).split() == ["interlock.yaml", "made.txt"]


def test_a_file_of_100_megabytes_comes_and_goes(ground: Ground):
    with (ground.repository / "big.bin").open("wb") as file:
        file.truncate(100_000_000)
    committed(ground.repository)
    ground.pipeline(f"{GOOD}; printf y >> big.bin")
    branch = ground.delivered(ground.run())
    assert git(ground.repository, "cat-file", "-s", f"{branch}:big.bin") == "100000001"


def test_links_that_loop_or_lead_out_in_the_base_are_no_obstacle(ground: Ground):
    links = {"loop": "loop", "a": "b", "b": "a", "out": "/etc/passwd", "up": "../..", "gone": "nowhere", "d/back": "."}
    (ground.repository / "d").mkdir()
    for name, target in links.items():
        (ground.repository / name).symlink_to(target)
    committed(ground.repository)
    ground.pipeline(f"{GOOD}; ls -R >/dev/null; rm loop")
    branch = ground.delivered(ground.run())
    assert git(ground.repository, "diff", "--name-only", "HEAD", branch).split() == ["loop", "made.txt"]
    assert ground.ask("check").code == 1  # the gate wants made.txt


def test_very_long_paths_come_through(ground: Ground):
    deep = "/".join(["d" * 200] * 15)
    here = ground.repository
    at = os.open(here, os.O_RDONLY)
    for part in deep.split("/"):
        os.mkdir(part, dir_fd=at)
        inner = os.open(part, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(os.open("x", os.O_WRONLY | os.O_CREAT, dir_fd=at))
    os.close(at)
    committed(ground.repository)
    branch = ground.delivered(ground.run())
    assert f"{deep}/x".encode() in names(ground, branch)


def test_names_that_collide_without_case_stay_two_files(ground: Ground):
    (ground.repository / "README").write_text("big\n")
    (ground.repository / "readme").write_text("small\n")
    if (ground.repository / "README").read_text() != "big\n":
        pytest.skip("this file system does not tell case")
    committed(ground.repository)
    git(ground.repository, "config", "core.ignoreCase", "true")
    ground.pipeline(f"{GOOD}; echo more >> readme; mkdir Src src; echo 1 > Src/x; echo 2 > src/X")
    branch = ground.delivered(ground.run())
    assert ground.content(branch, "README") == b"big\n"
    assert ground.content(branch, "readme") == b"small\nmore\n"
    assert names(ground, branch) >= {b"Src/x", b"src/X"}


def test_a_special_file_in_the_users_tree_is_no_obstacle(ground: Ground):
    os.mkfifo(ground.repository / "pipe")
    (ground.repository / "unreadable").mkdir(mode=0)
    try:
        assert ground.delivered(ground.run())
        assert ground.delivered(ground.run("--base", "worktree"))
        assert ground.ask("check").code == 1
    finally:
        (ground.repository / "unreadable").chmod(0o700)


def test_a_repository_inside_the_users_tree_is_named_or_left_alone(ground: Ground):
    repository(ground.repository / "vendor/inner")
    assert ground.delivered(ground.run())
    ground.run("--base", "worktree").refused("vendor/inner is a repository of its own", "ignore it")
    (ground.repository / ".gitignore").write_text("vendor/\n")
    assert ground.delivered(ground.run("--base", "worktree"))


def test_lfs_pointers_without_their_content_stop_before_the_start(ground: Ground):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
    (ground.repository / "model.bin").write_text(pointer)
    (ground.repository / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    committed(ground.repository)
    for part in ("clean", "smudge", "process"):
        git(ground.repository, "config", f"filter.lfs.{part}", f"touch {ground.root}/started; cat")
    git(ground.repository, "config", "filter.lfs.required", "true")
    for touched in (False, True):  # what looks changed would be read through the filter
        if touched:
            os.utime(ground.repository / "model.bin")
        ground.run().refused("model.bin", "git lfs")
        ground.run("--base", "worktree").refused("model.bin", "git lfs")
    assert not (ground.root / "started").exists()


BROKEN = {
    "not utf-8": (b"version: 1\nname: \xff\n", "UTF-8"),
    "binary": (bytes(range(256)), "interlock.yaml"),
    "empty": (b"", "interlock.yaml"),
    "huge": (b"# " + b"x" * 20_000_000, "interlock.yaml"),
    "deep": (b"a: " + b"[" * 100_000, "interlock.yaml"),
    "nul": (b"version: 1\nname: a\0b\n", "interlock.yaml"),
    "escapes": (b'version: 1\nname: "\\e[31mred\\a"\nstages: {}\n', "interlock.yaml"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_pipeline_that_is_none_is_refused_with_its_place(ground: Ground, name: str):
    content, words = BROKEN[name]
    (ground.repository / "interlock.yaml").write_bytes(content)
    said = ground.ask("run", "-t", "x").refused(words)
    assert b"\x1b" not in said.err
    assert len(said.err) < 5000
    assert not list(ground.cache.glob("*/*/*/*"))


def test_a_pipeline_that_is_a_folder_a_fifo_or_a_link_to_nowhere(ground: Ground):
    path = ground.repository / "interlock.yaml"
    path.mkdir()
    ground.ask("run", "-t", "x").refused("there is no pipeline")
    path.rmdir()
    os.mkfifo(path)
    ground.ask("run", "-t", "x").refused("there is no pipeline")
    ground.ask("run", "-t", "x", "-p", "./interlock.yaml").refused("no pipeline")
    path.unlink()
    path.symlink_to("nowhere.yaml")
    ground.ask("run", "-t", "x").refused("there is no pipeline")
    path.unlink()
    path.symlink_to("/etc/passwd")
    ground.ask("run", "-t", "x").refused("leads out of the repository")


def test_init_writes_only_into_its_own_folder(ground: Ground):
    outside = ground.root / "outside"
    outside.mkdir()
    (ground.repository / ".interlock").symlink_to(outside)
    ground.ask("init", "--force").refused(".interlock is a symlink", "move it away")
    assert not list(outside.iterdir())
    (ground.repository / ".interlock").unlink()
    (ground.repository / ".interlock").write_text("a file")
    ground.ask("init").refused(".interlock is not a folder", "move it away")

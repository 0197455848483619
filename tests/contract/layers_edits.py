"""Edits of a checkout, for the tests that compare overlays with plain checkouts."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.contract.workspaces_world import write

FILES: dict[str, str | bytes] = {
    ".gitignore": "*.log\nbuild/\n",
    "a.txt": "one\n",
    "b.txt": "two\n",
    "run.sh": "#!/bin/sh\n",
    "src/lib.py": "x = 1\n",
    "src/deep/er/x.txt": "x\n",
    "src/deep/er/y.txt": "y\n",
    "other/one": "1\n",
    "other/two": "2\n",
    "tool/pinned": "of the tree\n",
    "with\nnewline/-rf": "odd\n",
}


@dataclass(frozen=True)
class Edit:
    id: str
    act: Callable[[Path], object]
    root: bool = False


def _deep(tree: Path) -> None:
    at = tree / "deeper"
    for number in range(60):
        at = at / f"d{number}"
    at.mkdir(parents=True)
    (at / "x").write_text("deep")


def _again(tree: Path) -> None:
    shutil.rmtree(tree / "other")
    write(tree, {"other/two": "2\n", "other/new": "n"})


def _file_for_folder(tree: Path) -> None:
    shutil.rmtree(tree / "src")
    write(tree, {"src": "a file"})


def _folder_for_file(tree: Path) -> None:
    (tree / "a.txt").unlink()
    write(tree, {"a.txt/inner": "x"})


def _there_and_back(tree: Path) -> None:
    shutil.rmtree(tree / "src/deep")
    write(tree, {"src/deep": "a file"})
    (tree / "src/deep").unlink()
    write(tree, {"src/deep/er/x.txt": "x\n"})


def _link_for_folder(tree: Path) -> None:
    shutil.rmtree(tree / "other")
    (tree / "other").symlink_to("src")


def _linked(tree: Path) -> None:
    os.link(tree / "a.txt", tree / "linked")
    write(tree, {"linked": "both are written"})


EDITS = (
    Edit("nothing", lambda tree: None),
    Edit("new", lambda tree: write(tree, {"n/new": "n", "src/new.py": "n"})),
    Edit("changed", lambda tree: write(tree, {"a.txt": "changed", "src/deep/er/x.txt": "z\n"})),
    Edit("same-content", lambda tree: write(tree, {"a.txt": "one\n"})),
    Edit("mode", lambda tree: ((tree / "a.txt").chmod(0o755), (tree / "run.sh").chmod(0o644))),
    Edit("setuid", lambda tree: (tree / "run.sh").chmod(0o4755)),
    Edit("link", lambda tree: (tree / "to").symlink_to("a.txt")),
    Edit("link-changed", lambda tree: ((tree / "link").unlink(), (tree / "link").symlink_to("a.txt"))),
    Edit("link-out", lambda tree: (tree / "to").symlink_to("../../../etc")),
    Edit("deleted", lambda tree: (tree / "src/deep/er/x.txt").unlink()),
    Edit("folder-deleted", lambda tree: shutil.rmtree(tree / "src")),
    Edit("folder-emptied", lambda tree: [path.unlink() for path in (tree / "other").iterdir()]),
    Edit("renamed", lambda tree: (tree / "a.txt").rename(tree / "src/c.txt")),
    Edit("folder-renamed", lambda tree: shutil.move(tree / "src/deep", tree / "moved")),
    Edit("folder-made-again", _again),
    Edit("file-for-folder", _file_for_folder),
    Edit("folder-for-file", _folder_for_file),
    Edit("there-and-back", _there_and_back),
    Edit("link-for-folder", _link_for_folder),
    Edit("hard-link", _linked),
    Edit("case-twins", lambda tree: write(tree, {"A.txt": "A", "SRC/lib.py": "B"})),
    Edit("deep", _deep),
    Edit("ignored", lambda tree: write(tree, {"x.log": "l", "build/out": "o", "src/y.log": "l"})),
    Edit("cache", lambda tree: write(tree, {"src/__pycache__/x.pyc": "c"})),
    Edit("setup-touched", lambda tree: write(tree, {"deps/in/x": "changed", "deps/more": "m", "tool/pinned": "m"})),
    Edit("setup-removed", lambda tree: [shutil.rmtree(tree / name, ignore_errors=True) for name in ("deps", "tool")]),
    Edit("closed", lambda tree: ((tree / "other/one").chmod(0), (tree / "other").chmod(0))),
    Edit("newline", lambda tree: (tree / "with\nnewline/-rf").unlink()),
    Edit("nested-git", lambda tree: write(tree, {"src/.git/HEAD": "x"})),
    Edit("git-look-alike", lambda tree: write(tree, {"src/.GIT/x": "x"})),
    Edit("fifo", lambda tree: os.mkfifo(tree / "src/fifo")),
    Edit("device", lambda tree: os.mknod(tree / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3)), root=True),
    Edit("own-git-gone", lambda tree: shutil.rmtree(tree / ".git")),
)

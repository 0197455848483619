"""Files that a program would obey are hidden while it runs, and no text makes it read a file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from interlock.agents.isolation import hidden_files, without_mentions
from interlock.conventions.programs import is_hidden, obeyed


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name in (".gemini/settings.json", "a/.gemini/x", "a/b/.env", "b/.env", "a/b/c.txt"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    subprocess.run(["git", "-C", str(tree), "add", "-A"], check=True)
    return tree


def _files(tree: Path) -> list[str]:
    return sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file() and ".git" not in p.parts)


def test_the_folder_of_the_work_and_those_above_it(tree: Path, tmp_path: Path) -> None:
    before = _files(tree)
    with hidden_files(tree, "a/b", (".gemini", ".env"), tmp_path / "aside"):
        assert _files(tree) == ["a/b/c.txt", "b/.env"]
        status = ["git", "-C", str(tree), "status", "--porcelain"]
        assert " D" not in subprocess.run(status, check=True, capture_output=True, text=True).stdout
    assert _files(tree) == before
    assert (tree / ".gemini/settings.json").read_text() == ".gemini/settings.json"


def test_texts_in_all_other_folders(tree: Path, tmp_path: Path) -> None:
    """An agent finds them beside the files that it reads."""
    for name in ("AGENTS.md", "a/AGENTS.md", "a/b/AGENTS.md", "a/b/c/Agents.md", "b/AGENTS.md", "b/.x/y", "b/x.md"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(name)
    before = _files(tree)
    with hidden_files(tree, "a/b", ("**/AGENTS.md", "**/.x"), tmp_path / "aside"):
        assert {name for name in before if name not in _files(tree)} == {"a/b/c/Agents.md", "b/AGENTS.md", "b/.x/y"}
    assert _files(tree) == before


@pytest.mark.parametrize("use", ["gemini", "opencode", "acp", "claude"])
@pytest.mark.parametrize("folder", ["", "a/b"])
def test_is_hidden_agrees_with_what_is_hidden(tree: Path, tmp_path: Path, use: str, folder: str) -> None:
    names = ("GEMINI.md", "CONTEXT.md", ".opencode/x", ".github/agents/x", ".env", ".aider.conf.yml")
    for at in ("", "a/", "a/b/", "a/b/c/", "b/"):
        for name in names:
            (tree / at / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / at / name).write_text("")
    before = _files(tree)
    with hidden_files(tree, folder, obeyed(use), tmp_path / "aside"):
        there = _files(tree)
    assert [path for path in before if not is_hidden(use, folder, path)] == there


def test_files_that_the_program_puts_at_a_hidden_path_are_removed(tree: Path, tmp_path: Path) -> None:
    with hidden_files(tree, "a", (".gemini", ".env"), tmp_path / "aside"):
        (tree / ".gemini").mkdir()
        (tree / ".gemini/settings.json").write_text("own")
        (tree / ".gemini/new").write_text("own")
        (tree / "a/b/c.txt").write_text("work")
    assert (tree / ".gemini/settings.json").read_text() == ".gemini/settings.json"
    assert not (tree / ".gemini/new").exists()
    assert (tree / "a/b/c.txt").read_text() == "work"


def test_hidden_files_come_back_if_the_work_fails_or_removes_their_folder(tree: Path, tmp_path: Path) -> None:
    def work() -> None:
        with hidden_files(tree, "a/b", (".env",), tmp_path / "aside"):
            (tree / "a/b/c.txt").unlink()
            (tree / "a/b").rmdir()
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        work()
    assert (tree / "a/b/.env").read_text() == "a/b/.env"


def test_no_link_leads_out_of_the_checkout(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "copilot-instructions.md").write_text("mine")
    (tree / ".github").symlink_to(outside)
    (tree / ".claude").symlink_to(outside)
    with hidden_files(tree, "", (".github/copilot-instructions.md", ".claude", ".gemini"), tmp_path / "aside"):
        assert (outside / "copilot-instructions.md").read_text() == "mine"
        assert not (tree / ".claude").is_symlink()
        (tree / ".gemini").symlink_to(outside)
    assert (tree / ".claude").is_symlink()
    assert (tree / ".gemini/settings.json").read_text() == ".gemini/settings.json"
    assert sorted(path.name for path in outside.iterdir()) == ["copilot-instructions.md"]


def test_a_folder_that_became_a_link_out_of_the_checkout_is_one_again(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with hidden_files(tree, "a/b", (".env",), tmp_path / "aside"):
        (tree / "a/b").rename(tree / "a/c")
        (tree / "a/b").symlink_to(outside)
    assert list(outside.iterdir()) == []
    assert (tree / "a/b/.env").read_text() == "a/b/.env"


def test_each_at_sign_is_escaped() -> None:
    told = without_mentions("see @a.txt, \\@b.txt and x@y\n@/etc/passwd")
    assert not re.search(r"(?<!\\)@", told)
    assert "stands for a plain at sign" in told


def test_a_text_without_one_stays_as_it_is() -> None:
    assert without_mentions("nothing\\here") == "nothing\\here"

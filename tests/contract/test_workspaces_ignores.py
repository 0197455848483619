"""The ignore rules agree with git itself, on rules and paths that hypothesis makes up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.workspaces_world import git

from interlock.workspaces.ignores import Ignores

LINES = st.text(alphabet="ab*?[]!-/\\ .#^", min_size=0, max_size=8)
NAMES = st.text(alphabet="ab-.#! ]", min_size=1, max_size=3).filter(lambda name: name not in {".", ".."})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ignores")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    git(folder, "init", "-q", env=environ)
    git(folder, "config", "core.excludesFile", "/dev/null")
    return folder


def ours(root: list[str], inner: list[str], path: str) -> bool:
    """Whether the path or a folder above it is ignored."""
    ignores = Ignores({b"": "\n".join(root).encode(), b"a": "\n".join(inner).encode()})
    parts = path.split("/")
    folders = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return any(ignores.matches(name.encode(), is_folder=True) for name in folders) or ignores.matches(
        path.encode(), is_folder=False
    )


def of_git(folder: Path, root: list[str], inner: list[str], path: str) -> bool:
    (folder / ".gitignore").write_text("\n".join(root))
    (folder / "a").mkdir(exist_ok=True)
    (folder / "a/.gitignore").write_text("\n".join(inner))
    return git(folder, "check-ignore", "--no-index", "--", path, check=False) != ""


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=3), st.lists(LINES, max_size=2), st.lists(NAMES, min_size=1, max_size=3))
def test_like_git(folder: Path, root: list[str], inner: list[str], names: list[str]) -> None:
    path = "/".join(names)
    assert ours(root, inner, path) == of_git(folder, root, inner, path)


CASES = [
    ("*.log", "a/x.log", True), ("/x", "a/x", False), ("a/", "a/x", True), ("**/b", "a/b", True), ("a/**", "a/b", True),
    ("a/**/b", "a/b", True), ("a/**/b", "a/x/y/b", True), ("*\n!a", "a", False), ("*\n!a", "b", True),
    ("a\n!a/b", "a/b", True), ("\\#x", "#x", True), ("\\!x", "!x", True), ("x\\ ", "x ", True), ("x ", "x", True),
    ("[ab]", "a", True), ("[!ab]", "a", False), ("[]a]", "]", True), ("[[:alpha:]]", "b", True), ("a**b", "axb", True),
    ("?", "ä", False), ("foo", "foo/bar", True), ("a*", "a/b", True), ("*/b", "a/b", True), ("*/b", "x/a/b", False),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "path", "ignored"), CASES)
def test_known_rules(folder: Path, lines: str, path: str, ignored: bool) -> None:
    assert ours(lines.split("\n"), [], path) is ignored
    assert of_git(folder, lines.split("\n"), [], path) is ignored

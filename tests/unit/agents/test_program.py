"""Which folder of the checkout an agent is started in."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.agents.program import folder_error


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("", ""),
        (".", ""),
        ("src/real/pkg", ""),
        ("./src/real/", ""),
        ("none", "none: no such folder"),
        ("file", "file: no such folder"),
        ("pkg", "pkg: a symbolic link"),
        ("src/linked/pkg", "src/linked/pkg: a symbolic link"),
        ("out", "out: a symbolic link"),
    ],
)
def test_no_link_leads_to_the_folder(tmp_path: Path, folder: str, says: str) -> None:
    (tmp_path / "real/tree/src/real/pkg").mkdir(parents=True)
    (tmp_path / "tree").symlink_to("real/tree")  # a link above the checkout does not matter
    tree = tmp_path / "tree"
    (tree / "file").write_text("x")
    (tree / "pkg").symlink_to("src/real/pkg")
    (tree / "src/linked").symlink_to("real")
    (tree / "out").symlink_to(tmp_path)
    assert folder_error(tree, folder).startswith(says)
    assert bool(folder_error(tree, folder)) is bool(says)

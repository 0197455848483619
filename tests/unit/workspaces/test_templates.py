"""Templates of checkouts, whatever setup made in them."""

from __future__ import annotations

import os
import subprocess
from array import array
from pathlib import Path

from interlock.workspaces.layout import CheckoutIndex
from interlock.workspaces.templates import Made, Templates

DEPTH = 1200  # deeper than Python 3.11 recurses


def test_a_template_may_be_deep(tmp_path: Path) -> None:
    templates = Templates(tmp_path / "templates")

    def make(tree: Path) -> Made:
        (tree / ".git").mkdir()
        (tree / ".git/index").write_bytes(b"")
        at = os.open(tree, os.O_RDONLY)
        for _ in range(DEPTH):
            os.mkdir("a", dir_fd=at)
            at, above = os.open("a", os.O_RDONLY, dir_fd=at), at
            os.close(above)
        os.close(at)
        return Made("0" * 40, CheckoutIndex(), array("Q"))

    try:
        os.close(templates.take("deep", make).lock)
        assert templates.is_there("deep")
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "templates")], check=True)

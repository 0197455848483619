"""Broken files and what is said of them, word by word. Rule: the `.txt` beside a file is all of it, and nothing else.

After an edit of the words, run `INTERLOCK_WRITE_EXPECTED=1 pytest tests/unit/pipelinefile/test_broken.py`, then read
the difference in git.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from interlock.pipelinefile import InvalidPipeline, load_pipeline

HERE = Path(__file__).parent
WRITE = bool(os.environ.get("INTERLOCK_WRITE_EXPECTED"))  # read now: tests run without it
BROKEN = sorted((HERE / "broken").glob("*.yaml"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(HERE / "repository", tmp_path_factory.mktemp("broken") / "repository"))


@pytest.mark.parametrize("file", BROKEN, ids=lambda path: path.stem)
def test_every_mistake_is_told_at_its_place(file: Path, root: Path) -> None:
    said = said_of(file, root)
    expected = file.with_suffix(".txt")
    if WRITE:
        expected.write_text(said)
    assert said == expected.read_text()


def test_there_are_at_least_sixty() -> None:
    assert len(BROKEN) >= 60


def said_of(file: Path, root: Path) -> str:
    """All findings, one a line, with the folder's own path made neutral."""
    content = file.read_bytes().replace(b"/placeholder", os.fsencode(root))
    (root / "interlock.yaml").write_bytes(content)
    try:
        findings = load_pipeline(root / "interlock.yaml", root).findings
    except InvalidPipeline as error:
        findings = error.mistakes
    lines = (f"{found.level}: {found}\n" for found in findings)
    return "".join(lines).replace(str(root), "/placeholder")

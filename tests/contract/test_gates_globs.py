"""Globs against git itself: one pattern in a `.gitignore` and ours say the same."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.text.globs import matches

PIECES = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*b", "?", "[ab]", "[!a]", "a*b", "*a*", "x.py", "*.py"])
GLOBS = st.tuples(st.sampled_from(["", "/"]), st.lists(PIECES, min_size=1, max_size=4), st.sampled_from(["", "/"])).map(
    lambda parts: parts[0] + "/".join(parts[1]) + parts[2]
)
NAMES = st.sampled_from(["a", "b", "ab", "aab", "c", "x.py", "a.py"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12, unique=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ignoring")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(glob=GLOBS, paths=PATHS)
def test_as_git_does(repository: Path, glob: str, paths: list[str]) -> None:
    (repository / ".git/info/exclude").write_text(f"{glob}\n")
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=repository,
        input=b"\0".join(os.fsencode(path) for path in paths),
        capture_output=True,
        check=False,
    )
    ignored = {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}
    assert {path for path in paths if matches(glob, path)} == ignored

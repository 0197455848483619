"""The line that says why a setup failed."""

import pytest

from interlock.workspaces.setup import error_line

PIP = """Collecting nosuch
  Using cached nosuch.tar.gz
ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)
ERROR: No matching distribution found for nosuch"""
BUILD = """error: subprocess-exited-with-error

  x Getting requirements to build wheel did not run successfully.
      ValueError: invalid pyproject.toml
note: This is an issue with the package mentioned above, not pip."""
NPM = """npm warn old lockfile
npm error code E404
npm error 404 Not Found - GET https://registry.example/nosuch
npm error A complete log of this run can be found in: /x"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (PIP, "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)"),
        (BUILD, "ValueError: invalid pyproject.toml"),
        (NPM, "npm error 404 Not Found - GET https://registry.example/nosuch"),
        ("error: the lockfile is stale\nhint: uv lock", "error: the lockfile is stale"),
        ("one\nmake: *** no rule", "make: *** no rule"),
        ("0 errors\nerrors-module is fine\nlast", "last"),
        ("", ""),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_line(output: str, line: str) -> None:
    assert error_line(output) == line

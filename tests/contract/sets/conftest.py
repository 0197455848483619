"""The folders in which a gate runs: those of `projects.run`."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    return tmp_path / "tmp"

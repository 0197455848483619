"""Where pipelines are found, and how one is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.pipelinefile import find_pipelines, locate_pipeline
from interlock.ports import UsageError


def lay(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("version: 1\n")
    return root


def test_both_places_are_looked_in(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "interlock.yaml",
        ".interlock/pipelines/quick.yaml",
        ".interlock/pipelines/feature.yaml",
        ".interlock/x.yaml",
    )
    assert list(find_pipelines(tmp_path)) == ["interlock", "feature", "quick"]


def test_a_name_or_a_path_chooses(tmp_path: Path) -> None:
    lay(tmp_path, ".interlock/pipelines/quick.yaml", ".interlock/pipelines/feature.yaml", "more/own.yaml")
    assert locate_pipeline(tmp_path, "quick") == tmp_path / ".interlock/pipelines/quick.yaml"
    assert locate_pipeline(tmp_path, "more/own.yaml") == tmp_path / "more/own.yaml"


def test_without_a_choice_it_is_the_only_one_or_the_one_at_the_root(tmp_path: Path) -> None:
    lay(tmp_path, ".interlock/pipelines/quick.yaml")
    assert locate_pipeline(tmp_path).stem == "quick"
    lay(tmp_path, ".interlock/pipelines/feature.yaml")
    with pytest.raises(
        UsageError, match=r"one pipeline \(feature, quick\): choose one, as in `interlock run -p quick`"
    ):
        locate_pipeline(tmp_path)
    with pytest.raises(UsageError, match=r"as in `interlock run -p quick 'fix it'`"):
        locate_pipeline(tmp_path, rest="'fix it'")
    lay(tmp_path, "interlock.yaml")
    assert locate_pipeline(tmp_path).stem == "interlock"


def test_what_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="interlock init"):
        locate_pipeline(tmp_path)
    lay(tmp_path, ".interlock/pipelines/feature.yaml")
    with pytest.raises(UsageError, match="did you mean feature"):
        locate_pipeline(tmp_path, "featrue")

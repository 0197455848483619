"""What a program puts into the checkout for itself, and which is no work."""

from __future__ import annotations

from pathlib import Path

from interlock.agents.driven import AgentReport, Driven, Kind, Start
from interlock.ports import Checkout


def test_it_is_found_in_the_folder_of_the_work_and_above_it(tmp_path: Path) -> None:
    kind = Kind("aider", lambda _: Start(()), lambda *_: AgentReport(), leaves=".aider.tags.cache*")
    for folder in ("", "pkg", "pkg/deep", "other"):
        (tmp_path / folder / ".aider.tags.cache.v4").mkdir(parents=True)
    left = Driven(kind, {})._left(Checkout(tmp_path, tmp_path, tmp_path, tmp_path), "pkg")
    assert sorted(str(path.parent.relative_to(tmp_path)) for path in left) == [".", "pkg"]
    kind = Kind("goose", lambda _: Start(()), lambda *_: AgentReport())
    assert Driven(kind, {})._left(Checkout(tmp_path, tmp_path, tmp_path, tmp_path), "pkg") == set()

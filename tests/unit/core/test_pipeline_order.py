"""What a pipeline remembers of its graph is of that pipeline alone."""

from __future__ import annotations

from dataclasses import replace

from interlock.core.pipeline import Pipeline, Stage


def test_a_pipeline_made_from_another_knows_its_own_stages() -> None:
    one = Pipeline("p", (Stage("a"), Stage("b", needs=("a",))))
    assert one.upstream("b") == ("a",)
    other = replace(one, stages=(Stage("a"), Stage("c", needs=("a",)), Stage("b", needs=("c",))), _by_id={})
    assert [stage.id for stage in other.ordered()] == ["a", "c", "b"]
    assert other.upstream("b") == ("a", "c")
    assert one.upstream("b") == ("a",)

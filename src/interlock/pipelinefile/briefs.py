"""The template of what an agent is told: what it may name, and the one that holds where a pipeline has none."""

from __future__ import annotations

from functools import cache
from importlib import resources

# What a template of a brief may name beside what a prompt may, and what it holds.
PARTS = {
    "prompt": "the stage's `prompt`, filled in; without one the task",
    "instructions": "what the project's own files for agents say, as the base has them, with a heading",
    "accepted": "what stages before this one made, and where it lies",
    "conflicts": "what merging could not do, and how to decide it",
    "may_change": "what the stage may write, add and author, its limits, and what is protected",
    "checks": "the gates with their commands; of held-out ones only that they are there",
    "documents": "what the stage `produces`: where, with which sections and schema",
    "only_documents": "true where nothing but these may change",
    "runnable": "true where one of the checks that are shown is a command",
    "wrong": "why the last attempt was rejected, what of it is not new, and what people said",
    "tried": "the patch that was rejected, bounded",
    "folder": "the stage's `dir`, empty for the root",
    "continued": "true where the files are those of the rejected attempt (`workspace: continue`)",
    "resumed": "true where the agent goes on with its own session, and knows the rest",
}
OF_PROMPTS = frozenset({"task", "inputs", "run.id", "stage.id", "artifacts", "feedback"})
NAMES = OF_PROMPTS | PARTS.keys()


@cache
def default_brief() -> str:
    """The template that `interlock schema --brief` prints."""
    return resources.files("interlock.pipelinefile").joinpath("brief.md").read_text(encoding="utf-8")

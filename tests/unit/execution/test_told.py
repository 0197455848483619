"""The project's own instructions in a brief: which files of the base are read, and where skills are laid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.execution.recorder import Scene

from interlock.conventions.instructions import FILE_BYTES_MAX, globs
from interlock.core.effects import StartAttempt
from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, Pipeline, Stage
from interlock.execution.context import Context
from interlock.execution.instructions import instructions, told
from interlock.ports import Checkout, UsageError

CODE = Stage("code", agent="coder", dir="web")
PIPELINE = Pipeline("p", (CODE,), (AgentSpec("other", "command", instructions=()), AgentSpec("coder", "command")))
SKILL = ".claude/skills/greet/SKILL.md"
HEAD = b"---\nname: greeting\ndescription: how to greet\n---\nSay hello.\n"


class Base:
    def __init__(self, **files: bytes) -> None:
        self.contents = dict(files)
        self.asked: list[tuple[str, ...]] = []

    def files(self, globs: Sequence[str]) -> tuple[str, ...]:
        self.asked.append(tuple(globs))
        folder = globs[0].strip("/*")
        if len(globs) == 1 and globs[0].endswith("/**"):
            return tuple(path for path in sorted(self.contents) if path.startswith(f"{folder}/"))
        return tuple(path for path in sorted(self.contents) if path.endswith(".md") and "/more" not in path)

    def read(self, path: str, max_bytes: int) -> bytes | None:
        assert max_bytes == FILE_BYTES_MAX
        if len(self.contents[path]) > 1_000:
            raise UsageError("too large")
        return self.contents[path] or None


def tell(
    base: Base, stage: Stage = CODE, agent: str = "coder", pipeline: Pipeline = PIPELINE
) -> tuple[str, dict[str, bytes]]:
    laid: dict[str, bytes] = {}

    def lay(name: str, content: bytes) -> str:
        laid[name] = content
        return f"/beside/{name}"

    return told(base, pipeline, stage, agent, lay), laid


def test_files_are_told_and_skills_are_laid_beside_with_all_their_files() -> None:
    base = Base(**{
        "AGENTS.md": b"Be kind \xff.", "empty.md": b"", "large.md": b"x" * 1_001,
        SKILL: HEAD, ".claude/skills/greet/more/words.txt": b"hello", ".claude/skills/part/SKILL.md": b"Part.",
    })  # fmt: skip
    text, laid = tell(base)
    assert text.partition("\n\n")[2] == (
        "### AGENTS.md\nBe kind �.\n\n### Skills\nRead the file of one before you do what it is for.\n"
        "- greeting: how to greet (/beside/skills/0-greet/SKILL.md)\n- part:  (/beside/skills/1-part/SKILL.md)"
    )
    assert laid == {
        "skills/0-greet/SKILL.md": HEAD,
        "skills/0-greet/more/words.txt": b"hello",
        "skills/1-part/SKILL.md": b"Part.",
    }
    assert base.asked == [globs(None, "web"), ("/.claude/skills/greet/**",), ("/.claude/skills/part/**",)]


@pytest.mark.parametrize(
    ("of_stage", "of_agent", "agent", "asked"),
    [
        (None, None, "coder", globs(None, "web")),
        (("a.md",), ("b.md",), "coder", ("a.md",)),
        (None, ("b.md",), "coder", ("b.md",)),
        (None, ("b.md",), "none", globs(None, "web")),
        ((), ("b.md",), "coder", None),
        (None, (), "coder", None),
        (("a.md",), (), "coder", ("a.md",)),
    ],
)
def test_the_stage_decides_which_files_before_its_agent(
    of_stage: tuple[str, ...] | None, of_agent: tuple[str, ...] | None, agent: str, asked: tuple[str, ...] | None
) -> None:
    base = Base()
    agents = (PIPELINE.agents[0], replace(PIPELINE.agents[1], instructions=of_agent))
    assert tell(base, replace(CODE, instructions=of_stage), agent, replace(PIPELINE, agents=agents)) == ("", {})
    assert base.asked == ([] if asked is None else [asked])


def test_skills_and_their_files_are_bounded() -> None:
    many = Base(**{f"s/{number:02}/SKILL.md": HEAD for number in range(42)})
    text, laid = tell(many)
    assert "- and 2 more" in text
    assert len(laid) == text.count("(/beside/") == 40
    large = Base(**{SKILL: HEAD, **{f".claude/skills/greet/x/{number}": b"" for number in range(300)}})
    assert len(tell(large)[1]) == 300
    late = Base(**{"s/a/SKILL.md": HEAD, **{f"s/a/0/{number}": b"" for number in range(300)}})
    assert tell(late)[0] == ""  # its own file is past the limit: there is nothing to read


def test_a_run_reads_them_from_its_base() -> None:
    scene = Scene(
        files=lambda commit, globs: ("AGENTS.md", "s/a/SKILL.md") if len(globs) > 1 else ("s/a/SKILL.md",),
        read=HEAD,
        put_beside=Path("/beside/it"),
    )
    checkout = Checkout(Path("/p"), Path("/p/tree"), Path("/p/home"), Path("/p/tmp"))
    started = RunStarted("r1", "p", "d", "t", "base", "tree", ())
    effect = StartAttempt(AttemptId("code", 1, 1), "coder", "input", "input tree")
    context = Context("r1", PIPELINE, started, 0.0)
    text = instructions(scene.world, context, effect, checkout)
    assert "Say hello." in text
    assert "- greeting: how to greet (/beside/it)" in text
    assert {call[1] for call in scene.calls if call[0] in ("files", "read")} == {"base"}
    assert {call[3] for call in scene.calls if call[0] == "read"} == {FILE_BYTES_MAX}
    assert ("put_beside", checkout, "skills/0-a/SKILL.md", HEAD) in scene.calls
    nowhere = replace(context, started=replace(started, base_commit=""))
    scene.calls.clear()
    assert instructions(scene.world, nowhere, effect, checkout) == ""
    assert scene.calls == []

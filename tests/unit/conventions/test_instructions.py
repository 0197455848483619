"""Which files instruct agents, and how a brief tells them."""

from __future__ import annotations

from interlock.conventions.instructions import CHARACTERS_MAX, Skill, globs, in_order, section, skill
from interlock.text.globs import matches_any


def test_the_usual_files_of_the_folder_and_of_those_above_it() -> None:
    usual = globs(None, "packages/a[b]")
    for path in ("AGENTS.md", "packages/CLAUDE.md", "packages/a[b]/GEMINI.md", ".claude/skills/x/SKILL.md"):
        assert matches_any(usual, path)
    for path in ("docs/AGENTS.md", "packages/a[b]/c/AGENTS.md", "packages/ab/AGENTS.md", "README.md"):
        assert not matches_any(usual, path)


def test_what_the_pipeline_names_is_all() -> None:
    assert globs(("docs/*.md",), "src") == ("docs/*.md",)
    assert globs((), "src") == ()


def test_outer_folders_come_first() -> None:
    paths = ["a/AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md", "AGENTS.md", "a/b/AGENTS.md"]
    assert in_order(paths) == [
        "AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md", "a/AGENTS.md", "a/b/AGENTS.md",
    ]  # fmt: skip


def test_what_is_said_twice_is_told_once() -> None:
    told = section({"AGENTS.md": "Use tabs.\n", "CLAUDE.md": "Use tabs.", "GEMINI.md": "@AGENTS.md\n", "x.md": "\n"})
    assert told.count("Use tabs.") == 1
    assert "### AGENTS.md\nUse tabs." in told
    assert "CLAUDE.md" not in told
    assert "GEMINI.md" not in told


def test_nothing_is_no_section() -> None:
    assert section({}) == section({"AGENTS.md": " \n"}) == ""


def test_it_is_bounded_and_says_so() -> None:
    told = section({"AGENTS.md": "x" * CHARACTERS_MAX + "yy", "CLAUDE.md": "z"})
    assert len(told) < CHARACTERS_MAX + 1_000
    assert "[2 more characters of AGENTS.md are left out]" in told
    assert "[1 more characters of CLAUDE.md are left out]" in told


def test_a_skill_is_named_with_what_it_is_for() -> None:
    text = "---\nname: release\ndescription: >-\n  How a release\n  is made\nversion: 1\n---\n# Steps\n"
    known = skill(".claude/skills/r/SKILL.md", text, "/beside/SKILL.md")
    assert known == Skill("release", "How a release is made", "/beside/SKILL.md")
    assert "- release: How a release is made (/beside/SKILL.md)" in section({}, [known])
    assert skill(".claude/skills/r/SKILL.md", "no head", "f") == Skill("r", "", "f")
    assert "and 2 more" in section({}, [known] * 42)

"""The project's own instructions for agents: which files of the base they are, and the section that tells them. Pure.

Rule: they come from the base, never from work of the run, and reach every program in the same words. They are bounded:
what is too long is cut and says so. A file that says what another one says is told once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

CHARACTERS_MAX = 32_000  # of all texts
FILE_BYTES_MAX = 1_000_000
SKILLS_MAX = 40
_TEXTS = (
    "AGENTS.md", "CLAUDE.md", ".claude/CLAUDE.md", "GEMINI.md", ".goosehints", "CONVENTIONS.md",
    ".github/copilot-instructions.md",
)  # fmt: skip
_SKILLS = (
    ".agents/skills", ".claude/skills", ".codex/skills", ".gemini/skills", ".github/skills", ".goose/skills",
    ".opencode/skill", ".opencode/skills",
)  # fmt: skip
_SKILL = "SKILL.md"
_DESCRIPTION_MAX = 500
_HEADING = """## Instructions of the project
Its people wrote these for whoever works here. Where they and the rest of this text differ, the rest holds."""
_SKILLS_HEADING = "### Skills\nRead the file of one before you do what it is for."


@dataclass(frozen=True, slots=True)
class Skill:
    """What a skill is for, and the file that has all of it."""

    name: str
    description: str
    file: str


def globs(named: Sequence[str] | None, folder: str) -> tuple[str, ...]:
    """Where they lie: what the pipeline `named`, or the usual files of `folder` and of each folder above it."""
    if named is not None:
        return tuple(named)
    parts = [_literally(part) for part in folder.split("/") if part]
    at = ["/", *(f"/{'/'.join(parts[: number + 1])}/" for number in range(len(parts)))]
    return tuple(f"{one}{name}" for one in at for name in (*_TEXTS, *(f"{skills}/*/{_SKILL}" for skills in _SKILLS)))


def in_order(paths: Iterable[str]) -> list[str]:
    """Those of outer folders first; of one folder in the order of the usual names."""
    order = {name: number for number, name in enumerate(_TEXTS)}

    def key(path: str) -> tuple[int, int, str]:
        name = next((name for name in _TEXTS if path == name or path.endswith(f"/{name}")), "")
        return path.removesuffix(name).count("/"), order.get(name, len(order)), path

    return sorted(paths, key=key)


def is_skill(path: str) -> bool:
    return path.rpartition("/")[2] == _SKILL


def skill(path: str, text: str, file: str) -> Skill:
    """What the head of its file says."""
    head = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    said = head[1] if head else ""
    name = _field(said, "name") or path.split("/")[-2]
    return Skill(name, _field(said, "description")[:_DESCRIPTION_MAX], file)


def section(texts: Mapping[str, str], skills: Sequence[Skill] = ()) -> str:
    """The section of a brief, empty where there is nothing to tell. `texts` are files by their paths, in order."""
    parts = [*_told(texts)]
    if skills:
        lines = [f"- {one.name}: {one.description} ({one.file})" for one in skills[:SKILLS_MAX]]
        left = len(skills) - SKILLS_MAX
        parts.append("\n".join([_SKILLS_HEADING, *lines, *([f"- and {left} more"] if left > 0 else [])]))
    return "\n\n".join([_HEADING, *parts]) if parts else ""


def _told(texts: Mapping[str, str]) -> Iterator[str]:
    left, seen = CHARACTERS_MAX, set[str]()
    for path, text in texts.items():
        said = text.strip()
        if not said or said in seen or _is_only_a_pointer(said, texts):
            continue
        seen.add(said)
        shown = said[:left]
        left -= len(shown)
        cut = f"\n[{len(said) - len(shown)} more characters of {path} are left out]" if len(shown) < len(said) else ""
        yield f"### {path}\n{shown}{cut}"


def _is_only_a_pointer(said: str, texts: Mapping[str, str]) -> bool:
    """`@AGENTS.md` and no more, as a file that only leads to another one says it."""
    names = {path.rpartition("/")[2] for path in texts}
    return said.startswith("@") and said[1:].removeprefix("./") in names


def _field(head: str, name: str) -> str:
    """A value of the head, of one line or of indented ones."""
    found = re.search(rf"^{name}:[ \t]*(?:[>|][+-]?[ \t]*)?(.*(?:\n[ \t]+.*)*)", head, re.MULTILINE)
    return " ".join(found[1].split()).strip("'\"") if found else ""


def _literally(folder: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", folder)

"""Plays a page: writes the files that it shows, runs the commands that it shows, and gives what they print.

A chapter begins at a `<!-- new repository -->` and gets a repository of its own. A block whose fence names a file
(```yaml interlock.yaml) is that file. In a ```console block each line `$ command` is run by bash, and what it prints
follows it; another exit code than 0 is a line of its own. /srv stands for a folder beside the repository, and ~ for
the home of who runs the commands.

Rule: times, ids, digests and durations are replaced by ones that are always the same.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.contract.cli_world import LIMIT_S, World, new_world
from tests.contract.docs.pages import Block, blocks
from tests.rooms_here import LEVEL

CHAPTER = "<!-- new repository -->\n"
_STABLE = (
    (r"\b\d{8}-\d{6}-[a-z0-9]{6}\b", "20260102-030405-k3x9qd"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "2026-01-02 03:04:05"),
    (r"\b\d\d:\d\d:\d\d\b", "03:04:05"),
    (r"\b\d+(\.\d+)? s\b", "0.1 s"),
    (r"\b[0-9a-f]{40}\b", "5ca1ab1e" * 5),
    (r"\b[0-9a-f]{7,12}\b(?!-\d{6}-)", "5ca1ab1e00"),
    (r"\bprocess \d+ on \S+", "process 4242 on here"),
    (r"\d+@\S+", "4242@here"),
)

_ADA = {"LOGNAME": "ada", "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org"}


@dataclass(frozen=True)
class Played:
    """A console block: what the page shows, and what was printed."""

    block: Block
    shown: str
    printed: str


def chapters(page: str) -> list[str]:
    return page.split(CHAPTER)[1:]


def title(chapter: str) -> str:
    found = re.search(r"^## (.*)$", chapter, re.MULTILINE)
    return found[1] if found else "?"


def play(chapter: str, root: Path) -> list[Played]:
    """Every console block of the chapter, in order, in a repository below `root`."""
    world = new_world(root, {".gitignore": "__pycache__/\n"})
    (root / "srv").mkdir()
    played = []
    for block in blocks(chapter):
        if block.language == "console":
            played.append(Played(block, block.text, _console(block, world)))
        elif block.words:
            _write(world, block)
    return played


def stable(text: str) -> str:
    for pattern, always in _STABLE:
        text = re.sub(pattern, always, text)
    return text


def _write(world: World, block: Block) -> None:
    name = Path(block.words)
    path = world.root / name.relative_to("/") if name.is_absolute() else world.repository / name
    if name.parts[0] == "~":
        path = world.root / "home" / name.relative_to("~")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text.replace("/srv/", f"{world.root}/srv/"))


def _console(block: Block, world: World) -> str:
    commands = [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]
    return "".join(f"$ {command}\n{_printed(command, world)}" for command in commands)


def _printed(command: str, world: World) -> str:
    done = subprocess.run(
        ["bash", "-c", command.replace("/srv/", f"{world.root}/srv/")], cwd=world.repository,
        env=world.environment(**_ADA, COLUMNS="100", TZ="UTC", INTERLOCK_SANDBOX=LEVEL), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    text = done.stdout.decode().replace(f"{world.root}{os.sep}srv", "/srv").replace(str(world.root), "/home/ada")
    lines = [line.rstrip() for line in text.splitlines()]
    ended = [f"[exit code {done.returncode}]"] if done.returncode else []
    return stable("".join(f"{line}\n" for line in (*lines, *ended)))

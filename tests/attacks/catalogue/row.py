"""A row of the table of attacks, and how it stands on the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

HELD = "held"
OPEN = "open"
HIDDEN = "held by hidden tests"


@dataclass(frozen=True, slots=True)
class Row:
    """`attack` is what is tried, `stop` what stops it, or what is left to do where nothing does.

    `tests` are the tests that show it, as FILE::TEST, or a file alone; `full`, `fs` and `none` are what comes of it at
    these levels of the sandbox: `held`, `open`, or words that begin with one of these. Where the sandbox does not matter,
    `fs` is as the others. `hole` is the test in which the defence
    is taken away and the attack works (FILE::TEST or FILE::TEST[ROW]), or `no: ` and why none is needed or possible. `number` is that of
    the tests, where they have one.
    """

    attack: str
    stop: str
    tests: str = ""
    full: str = HELD
    none: str = HELD
    fs: str = ""
    hole: str = ""
    number: int = 0

    @property
    def at_fs(self) -> str:
        return self.fs or (self.full if self.full == self.none else "")

    @property
    def named(self) -> tuple[str, ...]:
        """All tests of the row."""
        hole = () if self.hole.startswith("no: ") else (self.hole,)
        return tuple(name.strip() for text in (self.tests, *hole) for name in text.split(",") if name.strip())


def table(rows: Sequence[Row]) -> str:
    lines = ["| attack | what stops it | `full` | `fs` | `none` | test |", "|---|---|---|---|---|---|"]
    for row in rows:
        number = f"{row.number} " if row.number else ""
        tests = ", ".join(f"`{name}`" for name in dict.fromkeys(map(_shown, row.tests.split(", "))) if name)
        cells = (number + row.attack, row.stop, row.full, row.at_fs, row.none, tests)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(line.replace("|  |", "| |") for line in lines) + "\n"


def _shown(test: str) -> str:
    """Without its folder, if a function follows, and without the row of its table."""
    name = test.rpartition("/")[2] if "::" in test else test
    return re.sub(r"\[.*\]$", "", name)

"""Targets of a Makefile or a justfile, for what no ready gate was found."""

from __future__ import annotations

import re
from pathlib import Path

from interlock.spec.sets import folder as look

_FILES = (
    ("make", ("GNUmakefile", "makefile", "Makefile")),
    ("just", ("justfile", ".justfile", "Justfile")),
)
_TARGETS = {"test": ("test", "tests", "check"), "lint": ("lint",)}


def target(root: Path, member: str) -> tuple[str, str]:
    """The command that runs the target for `member` (test or lint), and the file that has it; empty without one."""
    for program, names in _FILES:
        name = look.has(root, *names)
        content = look.text(root, name) if name else ""
        for wanted in _TARGETS[member]:
            if re.search(rf"^@?{wanted}(\s+[\w'\"=*+ -]*)?\s*:(?!=)", content, re.M):
                return f"{program} {wanted}", name
    return "", ""

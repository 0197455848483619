"""`python -m demo.record`: plays the demo and puts what it printed into the README, between its two marks.

Rule: lines are left out (marked by an ellipsis), cut where they are long, and cleaned of this machine's names; none is
written by hand.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_CLONE = Path(__file__).resolve().parent.parent
_README = _CLONE / "README.md"
_BEGIN, _END = "<!-- recorded by python -m demo.record -->\n```console\n$ ./scripts/demo\n", "```\n<!-- end -->"
_STORY = re.compile(r"^\d\d:\d\d:\d\d (\S+)")
_IS_TOLD = re.compile(r"^\S+ (\S+/[1-9]\S* .*(failed: |infrastructure: )|run .*(accepted$|delivered: ))")
_WIDTH = 118
_SHAPE = 8  # words of a line: where a longer one is cut hangs on the numbers in it


def main() -> int:
    readme = _README.read_text(encoding="utf-8")
    start, end = readme.index(_BEGIN) + len(_BEGIN), readme.index(_END)
    env = {**os.environ, "CI": "true", "COLUMNS": "120", "LOGNAME": "you"}
    done = subprocess.run(
        [str(_CLONE / "scripts/demo")], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        sys.stderr.write(f"{done.stdout}\nrecord: the demo ended with {done.returncode}; README.md is as it was\n")
        return 1
    session = "".join(f"{line}\n" for line in excerpt(done.stdout))
    _README.write_text(readme[:start] + session + readme[end:], encoding="utf-8")
    return 0


def recorded() -> list[str]:
    """The session that the README shows, line by line."""
    readme = _README.read_text(encoding="utf-8")
    return readme[readme.index(_BEGIN) + len(_BEGIN) : readme.index(_END)].splitlines()


def excerpt(said: str) -> Iterator[str]:
    """What the README shows of all that the demo printed: of the story, what failed and what was accepted."""
    left_out = False
    for line in said.splitlines():
        story = _STORY.match(line)
        if story is None or _IS_TOLD.search(line):
            yield _cleaned(line)
            left_out = False
        elif not left_out and "/" in story.group(1):
            yield "..."
            left_out = True


def shape(lines: Iterator[str] | list[str]) -> list[str]:
    """The lines without what differs from one demo to the next: times, numbers, digests, names of runs and places."""
    text = "\n".join(lines)
    text = re.sub(r"/\S*(?=/humanize|$)|rm -rf \S+", "PLACE", text, flags=re.M)
    text = re.sub(r"\d{8}-\d{6}-[a-z0-9]{6}", "RUN", text)
    text = re.sub(r"\b[0-9a-f]{10}\b", "DIGEST", text)
    return [" ".join(re.sub(r"\d+(?:\.\d+)?", "#", line).split()[:_SHAPE]) for line in text.splitlines()]


def _cleaned(line: str) -> str:
    line = line.replace(str(_CLONE), "~/interlock")
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."


if __name__ == "__main__":
    sys.exit(main())

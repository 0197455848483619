"""The line of a failed setup's output that says what went wrong."""

from __future__ import annotations

import re

LINE_MAX = 300
_ERROR = re.compile(
    r"^\W*(?:npm )?(?:err(?:or)?|fatal|panic|exception)\b\W*(?P<said>.*)|^[\w.]*(?:Error|Exception)\b.*", re.I
)
_EMPTY = re.compile(r"^(?:subprocess-exited-with-error|code \S+|errno \S+|)$", re.I)


def error_line(output: str) -> str:
    """The first line that reports an error by name and says something of it, else the last one. Empty for none."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        found = _ERROR.match(line)
        if found and not _EMPTY.match((found["said"] or line if found["said"] is not None else line).strip()):
            return line[:LINE_MAX]
    return lines[-1][:LINE_MAX] if lines else ""

"""Text: made safe if somebody else chose it, and laid out in lists, quotations and paths for a brief. Pure.

Rule: escape sequences, control characters and characters that hide or reorder text are removed. A line that a build
service would take for a command of its own (`::error`) is marked as a quotation.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)|\x1b[@-Z\\-_]?")
# Control characters, surrogates, and what reorders or hides text. What scripts and emoji need stays: joiners, and the
# selectors of text and emoji.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# A selector that does not follow a sign that it can select is seen by nobody: two of them, or one behind a letter.
_IDLE = "(?<![\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f](?!\u20e3)"
_HIDDEN = re.compile(f"{_CONTROL.pattern[:-1]}\x0a\u200c\u200d\u2028\u2029]|{_IDLE}")
_BREAKS = str.maketrans({"\r": "\n", "\u2028": "\n", "\u2029": "\n"})
_NAMES = {0x00: "NUL", 0x08: "BS", 0x0C: "FF", 0x0D: "CR", 0x1B: "ESC", 0x7F: "DEL"}
_COMMAND = re.compile(r"^(?=\s*(?:::|##\[|##vso\[|##teamcity\[))", re.MULTILINE)


def plain(text: str, limit: int) -> str:
    """`text` without what is not to be shown, at most `limit` characters (20 or more): of a longer one its two ends."""
    most = limit * 20
    text = text if len(text) <= 2 * most else f"{text[:most]}\n[...]\n{text[-most:]}"
    text = _COMMAND.sub("| ", clean(text)).strip("\n")
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{_to_line(text[:head])}\n[...]\n{_from_line(text[-(limit - head - 8) :])}"


def clean(text: str) -> str:
    """All of `text`, without what steers a terminal, and what hides or reorders text."""
    return _CONTROL.sub(_shown, _ESCAPES.sub("", text.replace("\r\n", "\n").translate(_BREAKS)))


def visible(text: str) -> str:
    """`text` in one line, with a sign in the place of each character that cannot be seen, or that moves others."""
    return _HIDDEN.sub(_sign, text)


def plain_patch(patch: bytes, limit: int) -> str:
    """A patch to be read, with a sign for what cannot be seen: no character of a line begins, ends or hides one."""
    lines = patch.decode("utf-8", "replace").split("\n")
    return plain("\n".join(visible(line.removesuffix("\r")) for line in lines), limit)


def _to_line(text: str) -> str:
    """Without the begun line at the end, where the lines are not long."""
    end = text.rfind("\n")
    return text[:end] if end > len(text) // 2 else text


def _from_line(text: str) -> str:
    begin = text.find("\n") + 1
    return text[begin:] if 0 < begin < len(text) // 2 else text


def without_place(message: str, file: str, line: int) -> str:
    """A finding's message for who names the place beside it."""
    for place in (f"{file}:{line}", file):
        if file and message.startswith(f"{place}: "):
            return message.removeprefix(f"{place}: ")
    return message


def ending(output: bytes, limit: int) -> str:
    """The useful end of a program's output: its last lines that are not blank, as plain text."""
    text = plain(output[-limit * 4 :].decode("utf-8", "replace"), limit * 4)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    left = limit + 1
    kept = len(lines)
    while kept and len(lines[kept - 1]) + 1 <= left:
        kept -= 1
        left -= len(lines[kept]) + 1
    return "\n".join(lines[kept:] if kept < len(lines) else lines[-1:])[-limit:]


def _shown(match: re.Match[str]) -> str:
    """Bytes that are no UTF-8 (as surrogates in file names) stay readable; the rest goes."""
    char = match.group()
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else ""


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\u27e8{_NAMES.get(code, f'U+{code:04X}')}\u27e9"


_TICKS = re.compile(r"`{3,}")


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def listed(lines: Iterable[str], room: int, more: str) -> str:
    """As many lines as `room` characters hold, one at least, and how many `more` there are."""
    every = list(lines)
    kept, used = 0, 0
    while kept < len(every) and (kept == 0 or used + len(every[kept]) + 3 <= room):
        used += len(every[kept]) + 3
        kept += 1
    rest = [f"and {len(every) - kept} more {more}"] if kept < len(every) else []
    return bullets([*every[:kept], *rest])


def cut(text: str, limit: int) -> str:
    """In one line, at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 4].rstrip()} ..."


def fenced(text: str, language: str = "") -> str:
    """A quotation that nothing in it can end."""
    ticks = max((len(run) for run in _TICKS.findall(text)), default=2) + 1
    return f"{'`' * ticks}{language}\n{text}\n{'`' * ticks}"


def path_here(folder: str, path: str) -> str:
    """A path from the root, as it is named in `folder`."""
    return posixpath.relpath(path, folder) if folder and path else path


def glob_here(folder: str, glob: str) -> str:
    """A glob from the root (or one of a name alone, which holds at any depth), as it is written in `folder`."""
    pattern, mark, table = glob.partition("#")
    if pattern.startswith("**/") or "/" not in pattern.rstrip("/"):
        return glob
    slash = "/" if pattern.endswith("/") else ""
    here = path_here(folder, pattern.strip("/"))
    name = here.removeprefix("**/") if folder else here  # one of a name alone, anywhere below the folder
    return f"{here if '/' in name else name}{slash}{mark}{table}"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

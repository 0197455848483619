"""The change as a reviewer sees it: every path with what became of it, then the differences, none of which takes the
room of the others.

Rule: no path and no source goes unseen without a word on it. A file is text where its name is that of code or nearly
all of it can be read, whatever single bytes in it say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from interlock.core import judge_files
from interlock.gates.bench import Bench
from interlock.ports import Case, Change, UsageError

CHARACTERS_MAX = 200_000  # of the differences
_SHARE_MIN = 400  # characters, below which a difference says nothing
_PATHS_MAX = 100_000  # of the list of paths
_TEXT_MAX = 2_000_000  # bytes of a file that is looked at for whether it is text
_TEXTS_MAX = 500  # files that git takes for binary, looked at for text
_TEXTUAL = 0.9
_CONTROL = bytes(b for b in range(32) if b not in b"\t\n\r\f\x1b") + b"\x7f"
_ORDER = {"D": 0, "T": 1, "M": 2, "A": 3}
_WORDS = {"A": "added", "D": "deleted", "M": "changed", "T": "mode or type changed"}
_FILE = re.compile(r"^(?=diff --git )", re.M)
_BINARY = re.compile(r"^GIT binary patch$", re.M)


def change(bench: Bench, case: Case) -> str:
    """All that the candidate changed."""
    changes = bench.workspaces.changes(case.input_tree, case.tree)
    whole = bench.workspaces.patch(case.input_tree, case.tree).decode("utf-8", "replace")
    parts = [part for part in _FILE.split(whole) if part]
    binary = [part for part in parts if _BINARY.search(part)]
    if binary:
        unread = [item for item in changes if not item.added and not item.removed][:_TEXTS_MAX]
        texts = tuple(item.path for item in unread if _is_text(bench, case, item))
        as_text = bench.workspaces.patch(case.input_tree, case.tree, text=texts) if texts else b""
        shown = {_head(part): part for part in _FILE.split(as_text.decode("utf-8", "replace"))}
        parts = [_of_binary(part, shown.get(_head(part), "")) if part in binary else part for part in parts]
    return "\n".join((listed(changes), *fitting(parts))).replace("\0", "\u2400")


def listed(changes: Sequence[Change]) -> str:
    """Each path, those first that no file shows any more; how many of what where they are too many."""
    ordered = sorted(changes, key=lambda item: (_ORDER.get(item.status, 1), item.path))
    lines, room = [f"All paths that differ: {len(changes)}"], _PATHS_MAX
    for number, item in enumerate(ordered):
        line = f"{_WORDS.get(item.status, item.status)}: {_printable(item.path)} (+{item.added} -{item.removed})"
        room -= len(line) + 1
        if room < 0:
            rest = [_WORDS.get(other.status, other.status) for other in ordered[number:]]
            counted = ", ".join(f"{rest.count(word)} {word}" for word in dict.fromkeys(rest))
            lines.append(f"[and {counted}: too many to be listed]")
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def fitting(parts: Sequence[str], characters: int = CHARACTERS_MAX) -> list[str]:
    """Each part whole, or its beginning: what short ones leave of their share is for the longer ones."""
    shown = parts[: characters // _SHARE_MIN]
    if len(shown) < len(parts):
        more = f"[{len(parts) - len(shown)} more differences are left out: read the files that are listed above]"
        return [*fitting(shown, characters), more]
    share, left, count = 0, characters, len(parts)
    for length in sorted(map(len, parts)):
        share = left // count
        if length > share:
            break
        left, count, share = left - length, count - 1, length
    return [_cut(part, share) for part in parts]


def _cut(part: str, share: int) -> str:
    if len(part) <= share:
        return part.rstrip("\n")
    return f"{part[:share]}\n[{len(part) - share} more characters of this file's difference: read the file]"


def _is_text(bench: Bench, case: Case, item: Change) -> bool:
    if judge_files.is_code(item.path) or judge_files.is_test(item.path):
        return True
    for commit in (case.commit, case.input_commit):
        try:
            content = bench.workspaces.read(commit, item.path, _TEXT_MAX)
        except UsageError:
            return False
        if content:
            text = content.decode("utf-8", "replace")
            odd = text.count("\ufffd") + sum(map(content.count, (bytes((byte,)) for byte in _CONTROL)))
            return odd <= len(text) * (1 - _TEXTUAL)
    return False


def _of_binary(part: str, as_text: str) -> str:
    """Its head and what it is, in place of numbers that nobody reads; or its difference as text."""
    if as_text:
        return (
            f"[git takes this file for binary: it holds bytes that are no text, shown as \u2400 or \ufffd]\n{as_text}"
        )
    return f"{part[: part.index('GIT binary patch')]}[a binary file: look at it if it matters]"


def _head(part: str) -> str:
    return part.partition("\n")[0]


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace").translate(dict.fromkeys(range(32), "?"))

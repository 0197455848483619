"""Whether a setup's command installs the project itself, and as a copy of it. Pure, and by the words alone.

Rule: a copy of the project stays what it was when it was made, so it must not stand for later sources. Only what is
sure is said: a command that cannot be read is no install.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from interlock.core.pipeline import CommandLine

_ENDS = frozenset({";", "&&", "||", "|", "&", "(", ")"})
_WITH_VALUE = frozenset(
    {"-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t",
     "--target", "--prefix", "--root", "--python", "-p", "--group", "--only-binary", "--no-binary", "--src"}
)  # fmt: skip
_LOCAL = re.compile(r"(?:\.{1,2}|\.{1,2}/[\w./+-]*|file:[^@]*)(?:\[[\w.,\s-]*\])?")
_WORD = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|\\.|[^\s;&|()"'\\])+|[;&|()]+|\n""")


def installs_copy(command: CommandLine) -> bool:
    """`pip install .`, `uv sync --no-editable`, `python setup.py install` and the like."""
    return any(_copies(words) for words in _calls(command))


def _copies(words: Sequence[str]) -> bool:
    if "install" in words and _runs(words, "pip", "pip3", "pipx"):
        return _pip_copies(words[words.index("install") + 1 :])
    if "--no-editable" in words:
        return _runs(words, "uv", "pdm", "pip") and ("sync" in words or "install" in words)
    if "install" in words and any(word.rpartition("/")[2] == "setup.py" for word in words):
        return True
    return words[:2] == ["cargo", "install"] and "--path" in words


def _pip_copies(arguments: Sequence[str]) -> bool:
    """Whether one of what is to be installed is a folder, and not said to be editable."""
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("-e", "--editable") or word in _WITH_VALUE:
            skip = True
        elif not word.startswith("-") and _LOCAL.fullmatch(word):
            return True
    return False


def _runs(words: Sequence[str], *programs: str) -> bool:
    return any(word.rpartition("/")[2] in programs for word in words)


def _calls(command: CommandLine) -> Iterator[list[str]]:
    """The simple commands, each a list of words, quotes taken off."""
    if command.argv:
        yield list(command.argv)
        return
    text = re.sub(r"\\\n", " ", command.shell)
    words: list[str] = []
    for found in _WORD.findall(text):
        if found == "\n" or found in _ENDS:
            yield words
            words = []
        else:
            words.append(re.sub(r"""["']|\\(?=.)""", "", found))
    yield words

"""What a command tells a runner of tests to run. Rule: by its words; nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

_RUNNERS = frozenset({"mocha", "_mocha", "ava", "tape", "tap", "jasmine", "uvu"})
_PROGRAMS = frozenset({"node", "tsx", "ts-node", "bun", "deno"})  # these run whatever they are told
_BEFORE = frozenset({"c8", "nyc", "cross-env", "npx", "env"})
_LOADS = re.compile(r"--(?:require|import|file|loader)=(.+)")
_OPTIONS = {"-s": "s", "--start-directory": "s", "-p": "p", "--pattern": "p", "-t": "t", "--top-level-directory": "t"}
_DISCOVERS = re.compile(r"\bpython[\d.]*\b.*\s-m\s*unittest\s+discover\b")


def commands_of(text: str) -> list[str]:
    """The simple commands of a line, or of the lines of a Makefile."""
    joined = text.replace("\\\n", " ")
    return [part.strip().lstrip("@-+") for part in re.split(r"&&|\|\||;|\n", joined) if part.strip()]


def told(folder: Path, command: str, *, tests: bool = False) -> Iterator[str]:
    """Globs relative to `folder` of the tests that the command names. `tests`: it is known to run tests, whatever else
    its program can do."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    if _DISCOVERS.search(command):
        yield from _discovered(folder, words[words.index("discover") + 1 :] if "discover" in words else [])
        return
    while words and (words[0] in _BEFORE or words[0].startswith("-") or re.fullmatch(r"\w+=.*", words[0])):
        words = words[1:]
    program = words[0].rpartition("/")[2] if words else ""
    tests = tests or "--test" in words or "test" in words[1:2]
    if program in _RUNNERS or (program in _PROGRAMS and tests):
        for word in words[1:]:
            loads = _LOADS.fullmatch(word)
            if loads or not word.startswith("-"):
                yield from named(folder, loads[1] if loads else word)


def named(folder: Path, word: str) -> Iterator[str]:
    """The file, the folder or the pattern that a word stands for, but for one that holds the product."""
    path = word.removeprefix("./").rstrip("/")
    if path in ("", ".", "src", "lib", "run", "test") or path.startswith(("/", "..")):
        return
    if "*" in path:
        yield from spread(path)
    elif (folder / path).is_dir():
        yield f"/{path}/**"
    elif (folder / path).is_file():
        yield f"/{path}"


def spread(pattern: str) -> Iterator[str]:
    """A pattern of a runner as one of ours; its braces are spread out, and one that takes in everything is none."""
    if pattern.startswith("!") or (re.fullmatch(r"[*/.{},\w]*\*\*/\*(\.\w+)?", pattern) and pattern.count("/") <= 1):
        return
    if re.fullmatch(r"(\./)?(src|lib)/\*\*(/\*(\.[\w{},]+)?)?", pattern):
        return  # the product lies there
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found:
        for choice in found[1].split(","):
            yield from spread(pattern[: found.start()] + choice + pattern[found.end() :])
    elif not re.search(r"[@?!+]\(", pattern):
        yield f"/{pattern.removeprefix('./').lstrip('/')}"


def _discovered(folder: Path, words: list[str]) -> Iterator[str]:
    """`unittest discover`: by its options, or by place: where to begin, and which names."""
    given, plain = dict[str, str](), list[str]()
    rest = iter(words)
    for word in rest:
        option, sign, value = word.partition("=")
        if option in _OPTIONS:
            given[_OPTIONS[option]] = value if sign else next(rest, "")
        elif re.fullmatch(r"-[spt].+", word):
            given[word[1]] = word[2:]
        elif not word.startswith("-"):
            plain.append(word)
    start = given.get("s", plain[0] if plain else ".").removeprefix("./").strip("/")
    pattern = given.get("p", plain[1] if len(plain) > 1 else "test*.py")
    above = "" if start in ("", ".") else f"/{start.replace('.', '/') if not (folder / start).is_dir() else start}"
    if pattern not in ("*", "*.py"):
        yield from [f"{above}/**/{pattern}"] if above else [pattern] if pattern != "test*.py" else []
    elif above not in ("", "/src", "/lib"):
        yield f"{above}/**"

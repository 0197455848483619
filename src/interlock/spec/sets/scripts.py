"""What a script of package.json runs in the end: its steps, without the programs that only start others.

Rule: a step is understood or left as it is; what a shell would have to read is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from interlock.spec.sets import folder as look

DEPTH_MAX = 6
_QUOTED = re.compile(r"""'[^']*'|"[^"$`\\]*\"""")
_FOR_A_SHELL = re.compile(r"""[;|<>$`\n(){}#\\'"]|(?<!&)&(?!&)""")
_TOKEN = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*")
_MANAGERS = ("npm", "yarn", "pnpm", "bun")
_COVERAGE = ("nyc", "c8")
_WITH_VALUE = ("--include", "--exclude", "--reporter", "-r", "-x", "-n", "--lines", "--branches", "--functions",
               "--statements", "--report-dir", "--temp-dir", "--config", "--src", "--cwd", "--extension",
               "-o")  # fmt: skip
# Tools whose verdict belongs to the gates lint and types: a step that runs one is no part of testing.
_NOT_TESTS = frozenset({
    "eslint", "standard", "ts-standard", "semistandard", "neostandard", "xo", "prettier", "tslint", "jshint", "jscs",
    "biome", "oxlint", "dprint", "tsd", "attw", "publint", "snazzy", "aud", "cspell", "markdownlint", "commitlint",
    "lockfile-lint", "ls-lint", "knip", "eclint", "npmignore", "lint-staged", "dtslint", "check-dts",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a script. `words` are as the shell would read them, quotes kept; empty where it is left as it is.
    `env` are assignments, `wrapper` the words of a coverage program before it."""

    raw: str
    words: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The step as sh runs it."""
        if not self.words:
            return self.raw
        return " ".join(("env", *self.env, *self.wrapper, *self.words) if self.env else (*self.wrapper, *self.words))

    @property
    def program(self) -> str:
        return self.words[0] if self.words else ""


def steps(package: Mapping[str, object], name: str) -> tuple[Step, ...]:
    """The steps of the script `name` with those before and after it, but for those of linters. Empty without one."""
    return tuple(step for step in _steps(look.at(package, "scripts"), name, 0) if step.program not in _NOT_TESTS)


def _steps(scripts: Mapping[str, object], name: str, depth: int) -> Iterator[Step]:
    for each in (f"pre{name}", name, f"post{name}"):
        script = scripts.get(each)
        if isinstance(script, str) and script.strip():
            yield from _of_script(scripts, script.strip(), depth)


def _of_script(scripts: Mapping[str, object], script: str, depth: int) -> Iterator[Step]:
    words = _TOKEN.findall(script)
    glued = any("&&" in word and word != "&&" for word in words)
    if depth > DEPTH_MAX or glued or _FOR_A_SHELL.search(_QUOTED.sub("", script)):
        yield Step(script)
        return
    for joined, part in groupby(words, lambda word: word == "&&"):
        if not joined:
            yield from _of_part(scripts, list(part), depth)


def _of_part(scripts: Mapping[str, object], part: Sequence[str], depth: int) -> Iterator[Step]:
    env, words = _without_env(part)
    wrapper, words = _without_wrapper(words)
    called = _called(words, scripts)
    if called:
        for step in _steps(scripts, called, depth + 1):
            yield Step(step.raw, step.words, (*env, *step.env), (*wrapper, *step.wrapper))
    else:
        yield Step(" ".join(part), tuple(_plain(words)), tuple(env), tuple(wrapper))


def _without_env(words: Sequence[str]) -> tuple[list[str], list[str]]:
    rest = list(words[1:] if words[:1] and words[0] in ("cross-env", "env") else words)
    env = []
    while rest and _ASSIGNMENT.fullmatch(rest[0]):
        env.append(rest.pop(0))
    return env, rest


def _without_wrapper(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A coverage program and its options, and what it starts."""
    if not words or words[0] not in _COVERAGE:
        return [], list(words)
    index = 1
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in _WITH_VALUE else 1
    return list(words[:index]), list(words[index:])


def _called(words: Sequence[str], scripts: Mapping[str, object]) -> str:
    """The script that `npm run NAME` and the like start; empty where something else is run, or more is said."""
    if not words or words[0] not in _MANAGERS:
        return ""
    rest = [word for word in words[1:] if word not in ("-s", "--silent", "-q")]
    rest = rest[1:] if rest[:1] in (["run"], ["run-script"]) else rest
    return rest[0] if len(rest) == 1 and isinstance(scripts.get(rest[0]), str) else ""


def _plain(words: Sequence[str]) -> list[str]:
    """Without `npx`, and a program of node_modules by its name."""
    rest = list(words)
    if rest[:1] == ["npx"] and len(rest) > 1 and not rest[1].startswith("-"):
        rest = rest[1:]
    local = r"(?:\./)?node_modules/(?:\.bin/([\w.-]+)|(mocha|jest|vitest)/bin/[\w.-]+)"
    if len(rest) > 1 and rest[0] == "node" and (found := re.fullmatch(local, rest[1])):
        return [found[1] or found[2], *rest[2:]]
    if rest and (found := re.fullmatch(local, rest[0])):
        return [found[1] or found[2], *rest[1:]]
    return rest

"""The files of one project that no stage may change, beyond `conventions.judge_files.PROTECTED`: the files of the
pipeline, those that gates run, and tests that only the project's configuration names.

Rule: they are found by reading; nothing is run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from interlock.core.pipeline import CommandLine, Gate, Pipeline, Stage
from interlock.pipelinefile import repo
from interlock.pipelinefile.runners import command_tests, configured_tests, loaded_files

_INTERPRETERS = re.compile(r"(ba|da|z|k)?sh|python[\d.]*|node|deno|bun|ruby|perl|php|source|\.")
_PREFIXES = frozenset(
    {
        "exec", "env", "time", "command", "nice", "xvfb-run", "uv", "poetry", "pdm", "hatch", "run", "npx",
        "if", "then", "else", "elif", "while", "until", "do", "!", "{",
    }
)  # fmt: skip
_NO_SCRIPT = frozenset(
    {"-c", "-m", "-e", "-p", "--check", "--eval", "--print"}
)  # code follows, or the file is only read
_NO_SHELL = re.compile(r".+\.([cm]?[jt]sx?|py|rb|pl|php)")  # what these load is usually the product
_FILES_MAX = 200
_SEPARATORS = frozenset(";&|()\n")


def protect_judge_files(pipeline: Pipeline, read: tuple[str, ...], root: Path) -> Pipeline:
    """Protect the files that the pipeline was read from and those that its gates run, as if it listed them. A stage
    whose `writes` names such a script exactly may still change it."""
    gates = [gate for stage in pipeline.stages for gate in stage.gates if gate.command is not None]
    folders = dict.fromkeys(gate.dir for gate in gates)
    run = [path for gate in gates for path in files_run_by(gate, root)]
    run += [_joined(folder, path) for folder in folders for path in loaded_files(root / folder)]
    tests = [_below(folder, glob) for folder in folders for glob in configured_tests(root / folder)]
    tests += [_below(gate.dir, glob) for gate in gates for glob in _tests_named_by(gate, root)]
    tests += [glob for gate in gates for glob in gate.breaks]
    stages = tuple(_protecting(stage, read, run, tests) for stage in pipeline.stages)
    return replace(pipeline, stages=stages, _by_id={})


def files_run_by(gate: Gate, root: Path) -> Iterator[str]:
    """Files of the repository that the gate's command starts, and those that these start, by path from the root."""
    if gate.command is None:
        return
    waiting, seen = [*_commands(gate.command)], set[str]()
    while waiting and len(seen) < _FILES_MAX:
        words = waiting.pop(0)
        waiting += _nested_commands(words, root / gate.dir)
        paths = (_joined(gate.dir, name) for name in _startable(words) if not name.startswith("/"))
        found = next((path for path in paths if (root / path).is_file()), "")
        if found and found not in seen:
            seen.add(found)
            waiting += [] if _NO_SHELL.fullmatch(found) else _commands(CommandLine(shell=repo.text(root, found)))
            yield found


def _tests_named_by(gate: Gate, root: Path) -> Iterator[str]:
    """Globs of tests that the gate's own command names, relative to the gate's folder."""
    for words in _commands(gate.command) if gate.command is not None and not gate.used else ():
        yield from command_tests(root / gate.dir, shlex.join(words))


def _nested_commands(words: list[str], folder: Path) -> Iterator[list[str]]:
    """The commands in the text of `sh -c`, in a Makefile, or in the scripts of package.json that `words` start."""
    rest = [word for word in words if not re.fullmatch(r"\w+=.*", word)]
    program = rest[0].rpartition("/")[2] if rest else ""
    text = ""
    if re.fullmatch(r"(ba|da|z|k)?sh", program) and any(re.fullmatch(r"-\w*c", word) for word in rest):
        text = rest[-1]
    elif program in ("make", "gmake", "just"):
        text = repo.text(folder, "Makefile", "makefile", "GNUmakefile", "justfile", ".justfile")
    elif program in ("npm", "pnpm", "yarn", "bun"):
        scripts = repo.at(repo.json_object(folder, "package.json"), "scripts")
        text = "\n".join(script for script in scripts.values() if isinstance(script, str))
    for line in text.splitlines():
        yield from _commands(CommandLine(shell=line.strip().lstrip("@-+")))


def _joined(folder: str, name: str) -> str:
    return "/".join(part for part in (folder, name.removeprefix("./")) if part)


def _below(folder: str, glob: str) -> str:
    """A glob relative to `folder`, made relative to the root. A bare name still matches at any depth."""
    return f"/{folder}{glob}" if folder and glob.startswith("/") else glob


def _protecting(stage: Stage, read: tuple[str, ...], run: list[str], tests: list[str]) -> Stage:
    own = {glob.strip("/") for glob in stage.scope.writes or ()}
    judges = [*(f"/{path}" for path in read), *(f"/{path}" for path in run if path not in own), *tests]
    scope = replace(stage.scope, protect=tuple(dict.fromkeys((*stage.scope.protect, *judges))))
    return replace(stage, scope=scope)


def _commands(command: CommandLine) -> Iterator[list[str]]:
    """The simple commands of a command line, split at the shell's separators."""
    if command.argv:
        yield list(command.argv)
        return
    for line in command.shell.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.commenters = "#"
        words: list[str] = []
        try:
            for word in lexer:
                if _SEPARATORS.issuperset(word):
                    yield words
                    words = []
                else:
                    words.append(word)
        except ValueError:  # the quote is closed on a later line
            pass
        yield words


def _startable(words: list[str]) -> list[str]:
    """The files that a simple command may start, likeliest first: a program by path, or an interpreter's script."""
    rest = [word for word in words if not re.fullmatch(r"\w+=.*", word)]
    while rest and rest[0] in _PREFIXES:
        rest = rest[1:]
    if not rest or not _INTERPRETERS.fullmatch(rest[0].rpartition("/")[2]):
        return [word for word in rest[:1] if "/" in word]
    script = next((index for index, word in enumerate(rest) if word in _NO_SCRIPT), len(rest))
    return [word for word in rest[1:script] if not word.startswith("-")]

"""Gates that run files of the repository. Rule: who works on a stage should not be able to rewrite what judges it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from interlock.core.globs import matches_any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.core.pipeline import Command, Gate, Scope
    from interlock.spec.checks.view import View

_INTERPRETERS = frozenset({"sh", "bash", "python", "python3", "node", "ruby", "perl"})
_READ_BY = {
    "make": ("Makefile", "makefile", "GNUmakefile"),
    "just": ("justfile",),
    "tox": ("tox.ini",),
    "nox": ("noxfile.py",),
}


def check(view: View) -> None:
    for stage, gate, part, at in view.gates():
        if part.run is None or not stage.has_worker:
            continue
        for path in _files(view, gate, part.run):
            if _may_write(stage.scope, path):
                hint = f"list {path} under `protect`"
                view.warn((*at, "run"), f"{stage.id} may change {path}, which judges it", hint)


def _files(view: View, gate: Gate, command: Command) -> Iterator[str]:
    """Files that are there and that the command starts or is told what to do by."""
    words = _words(command)
    program = words[0] if words else ""
    named = [*words[1:2]] if program in _INTERPRETERS else [*_READ_BY.get(program, ())] or [program]
    for name in named:
        path = "/".join(part for part in (gate.dir, name.removeprefix("./")) if part)
        if (
            not name.startswith(("/", "-"))
            and ("/" in name or name != program)
            and (view.draft.sources.root / path).is_file()
        ):
            yield path


def _words(command: Command) -> list[str]:
    if command.argv:
        return list(command.argv)
    try:
        return shlex.split(command.shell.partition("\n")[0])
    except ValueError:
        return []


def _may_write(scope: Scope, path: str) -> bool:
    if matches_any(scope.protect, path):
        return matches_any(scope.authors, path)
    return scope.writes is None or matches_any(scope.writes, path)

"""What a stage may change: its own globs, limits, and what is protected though it lies in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from interlock.core.growth import guards
from interlock.core.pipeline import Pipeline, Scope, Stage
from interlock.gates.words import count, glob_here, listed
from interlock.pipelinefile.protected import ALWAYS

_ROOM = 700  # characters of one list
_MORE = "(the pipeline's file has all of them)"
_ALWAYS = frozenset(ALWAYS)
_WILD = re.compile(r"[*?\[]")
_PROTECTED = (
    ", at any depth and also where they would be new: tests and their data, whatever steers tests, linters,"
    " type checkers, builds, package managers and CI, `.env` files, files for agents, and `.interlock/`."
)


def may_change(pipeline: Pipeline, stage: Stage) -> str:
    parts = (*_allowed(pipeline, stage), *_limits(stage.scope), *_protected(pipeline, stage))
    return "\n\n".join(parts)


def _allowed(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    scope = stage.scope
    added = tuple(_added(pipeline, stage))
    authored = [f"{glob_here(stage.dir, glob)} (though it is protected otherwise)" for glob in scope.authors]
    if scope.writes is None:
        yield "You may change and add whatever the task needs, but for what is protected."
        if authored:
            yield "You may change as well:\n" + listed(authored, _ROOM, _MORE)
    elif scope.writes or authored:
        own = [glob_here(stage.dir, glob) for glob in scope.writes]
        yield "You may change, add and delete:\n" + listed((*own, *authored), _ROOM, _MORE)
    if added:
        yield "The tests that are there stay as they are. You may add:\n" + listed(added, _ROOM, _MORE)
    if scope.writes is not None:
        rest = "All else" if scope.writes or authored or added else "Every file of the repository"
        yield f"{rest} stays as it is{', but for the documents named below' if stage.produces else ''}."


def _added(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    if not stage.scope.adds:
        return
    yield from (f"new test files in {glob_here(stage.dir, glob)}" for glob in stage.scope.adds)
    guarding = list(guards(pipeline, stage))
    if guarding:
        yield "new tests in test files that are there: below the old ones, with every old line kept"
    if any(gate.used.startswith("rust.") for gate in guarding):
        yield "new tests inside sources, under `#[cfg(test)]`: what is there stays"


def _limits(scope: Scope) -> Iterator[str]:
    said = [count(number, noun) for number, noun in ((scope.max_files, "file"), (scope.max_lines, "line")) if number]
    if said:
        yield f"At most {' and '.join(said)} may differ in the end (the documents do not count)."


def _protected(pipeline: Pipeline, stage: Stage) -> Iterator[str]:
    if stage.scope.writes == () and not stage.scope.authors:
        return  # all is said already
    own = [glob for glob in stage.scope.protect if glob not in _ALWAYS and not glob.startswith("/.interlock/")]
    if stage.scope.writes is not None:
        may = (*stage.scope.writes, *stage.scope.authors)
        own = [glob for glob in own if any(_may_meet(glob, other) for other in may)]
    here = dict.fromkeys(glob_here(stage.dir, glob) for glob in own)
    begin = "Otherwise protected" if stage.scope.adds or stage.scope.authors else "Protected"
    yield begin + _PROTECTED + ("\nSo are:\n" + listed(here, _ROOM, _MORE) if here else "")
    made = [glob_here(stage.dir, path) for setup in pipeline.setup for path in setup.paths]
    if made:
        yield f"Setup made {', '.join(made[:10])}: leave that alone."
    if stage.scope.writes is None:
        yield "A dependency may be added by its name, not from a path, an address or another index."


def _may_meet(one: str, other: str) -> bool:
    """Whether two globs may fit the same path: by what stands before their first wildcard, or by their names where one
    is of a name alone."""
    both = [glob.strip("/") for glob in (one, other)]
    if all("/" in glob.rstrip("/") for glob in (one, other)):
        heads = [_WILD.split(glob)[0] for glob in both]
        return heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])
    names = [glob.rpartition("/")[2] for glob in both]
    return fnmatchcase(*names) or fnmatchcase(*reversed(names)) or all(_WILD.search(name) for name in names)

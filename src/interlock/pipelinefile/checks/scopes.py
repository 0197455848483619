"""Scopes and setup: what each stage may change, and warnings about a stage that could change what judges it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from interlock.conventions.commands import installs_copy
from interlock.conventions.judge_files import MIXED, PROTECTED, RESERVED, is_source, is_test
from interlock.conventions.programs import is_hidden
from interlock.core.pipeline import GateKind, Tests
from interlock.pipelinefile.checks import check_no_template, check_variables
from interlock.pipelinefile.checks.agents import workers_of
from interlock.pipelinefile.protected import files_run_by
from interlock.text.globs import matches, matches_any

if TYPE_CHECKING:
    from interlock.core.pipeline import Scope, Setup, Stage
    from interlock.pipelinefile.checks import View

_WILD = frozenset("*?[")


def check(view: View) -> None:
    check_judges(view)
    for stage, part in view.stages():
        check_no_template(view, part.run, ("stages", stage.id, "run"))
        check_variables(view, ("stages", stage.id), stage.env, stage.secrets)
        _writes(view, stage)
        _authors(view, stage)
        _changed_tests(view, stage)
        _hidden(view, stage)
    _setup(view)
    _reads(view)


def _reads(view: View) -> None:
    """What the sandbox is to show. It may be there on another machine."""
    for number, path in enumerate(view.pipeline.sandbox.read):
        if not os.path.exists(os.path.expanduser(path)):  # noqa: PTH110, PTH111 - do not raise
            hint = "create it, or correct the path: no run can start here in a sandbox"
            view.warn(("sandbox", "read", number), f"sandbox: read: there is no {path} on this machine", hint)


@lru_cache(maxsize=4096)
def covers(outer: str, inner: str) -> bool:
    """Whether `outer` matches everything that `inner` matches, as far as the globs alone show."""
    if outer.strip("/") == inner.strip("/") or outer.strip("/") == "**":
        return True
    folder = inner.strip("/").removesuffix("/**")
    if not _WILD & set(folder):
        return matches(outer, f"{folder}/x" if folder != inner.strip("/") else folder)
    fixed = folder.split("*")[0].split("?")[0].split("[")[0].rpartition("/")[0]
    return bool(fixed) and "/" in folder and matches(outer, f"{fixed}/x") and matches(outer, f"{fixed}/x/y")


def _writes(view: View, stage: Stage) -> None:
    scope, at = stage.scope, ("stages", stage.id, "writes")
    written = view.draft.file.stages[stage.id].writes or []
    for index, glob in enumerate(scope.writes or ()):
        by = _protecting(scope.protect, glob)
        if by and not any(covers(own, glob) for own in scope.authors):
            where = "always" if by not in view.draft.file.protect else f"by {by}"
            hint = "remove it, or list it under `authors`, or tests under `adds`"
            hint = hint if by != RESERVED else "remove it: artifacts need no entry"
            view.error((*at, index), f"{written[index]} can never be written: it is protected {where}", hint)
    nothing = scope.writes == () and not (scope.authors or scope.adds) and not stage.produces and stage.has_worker
    if nothing and not stage.may_be_empty and not view.is_broken("stages", stage.id):
        hint = "let it produce an artifact, list what it writes, or set `may_be_empty: true`"
        view.at_key(at, f"{stage.id} may change nothing, and an empty candidate is rejected", hint)


def _protecting(protect: Sequence[str], glob: str) -> str:
    """The first of the globs that covers this one; empty if none does, or a later one excludes it again."""
    by = ""
    for known in protect:
        if covers(known.removeprefix("!"), glob):
            by = "" if known.startswith("!") else by or known
    return by


def _authors(view: View, stage: Stage) -> None:
    at = ("stages", stage.id, "authors")
    for index, glob in enumerate(stage.scope.authors):
        file, sign, table = glob.rpartition("/")[2].partition("#")
        if sign and (file not in MIXED or not table):
            hint = f"write FILE#TABLE with one of {', '.join(MIXED)}, such as pyproject.toml#tool.ruff"
            view.error((*at, index), f"{glob} does not name a table of a file that is judged table by table", hint)
        elif sign:
            continue
        elif covers(RESERVED, glob) or covers(glob, RESERVED):
            view.error((*at, index), f"{glob} includes .interlock/, which no stage may change", "name less")
        elif not any(covers(known, glob) or covers(glob, known) for known in stage.scope.protect):
            hint = "list it under `protect`, so that other stages cannot change it"
            view.warn((*at, index), f"{glob} is not protected from other stages", hint)


def _hidden(view: View, stage: Stage) -> None:
    """Files that an agent's program would obey are hidden from it, so it cannot work on them."""
    workers = workers_of(view, stage)
    for agent in (one for one in view.pipeline.agents if one.name in workers):
        for index, glob in enumerate(stage.scope.authors):
            if is_hidden(
                agent.use, stage.dir, _sample_path(glob.replace("**/", ""))
            ):  # the uppermost path that it matches
                message = f"{agent.name} never sees {glob}: {agent.use} would obey it, so the file is hidden"
                hint = "use an agent with another program in this stage"
                view.warn(("stages", stage.id, "authors", index), message, hint)


def _changed_tests(view: View, stage: Stage) -> None:
    """A stage that may change tests could weaken them: a person approves the change, or the old tests judge it too."""
    authors = stage.scope.authors
    changed = [authors.index(glob) for glob in stage.scope.authored_files if _covers_tests(glob)]
    later = [one for one in view.pipeline.stages if one.id == stage.id or stage.id in view.upstream[one.id]]
    asked = any(gate.kind == GateKind.APPROVE for gate in stage.gates)
    old = any(gate.tests is Tests.BASE for one in later for gate in one.gates)
    if changed and not asked and not old and not view.is_broken("stages", stage.id):
        hint = "list new tests under `adds` instead; or add an `approve` gate here, or a gate with `tests: base` later"
        message = f"{stage.id} may change existing tests, but no gate runs the old ones"
        view.warn(("stages", stage.id, "authors", changed[0]), message, hint)


def _covers_tests(glob: str) -> bool:
    return covers(glob, "tests/**") or is_test(_sample_path(glob)) or is_test(f"{_sample_path(glob)}/x")


def _sample_path(glob: str) -> str:
    """A path that the glob matches."""
    return glob.removeprefix("/").replace("**", "x").replace("*", "x").rstrip("/")


def _setup(view: View) -> None:
    for index, setup in enumerate(view.pipeline.setup):
        check_no_template(view, setup.command, ("setup", index, "run"))
        check_no_template(view, setup.settle, ("setup", index, "settle"))
        check_variables(view, ("setup", index), setup.env, ())
        if setup.settle and not setup.paths:
            hint = "list what it creates under `paths`, or remove settle"
            view.at_key(("setup", index, "settle"), "settle without paths", hint)
        if "" in setup.paths:
            view.at_key(("setup", index, "paths"), "the root itself cannot be a path", "name a path below it")
        _installed_copy(view, index, setup)
        _code_in_key(view, index, setup)
    for agent in view.pipeline.agents:
        check_no_template(view, agent.command, ("agents", agent.name, "run"))
    for index, path in enumerate(view.pipeline.carry):
        if not (view.draft.sources.root / path).exists():
            view.warn(
                ("carry", index),
                f"{path} does not exist, so it cannot be carried",
                "create it before a run, or remove it",
            )


def _installed_copy(view: View, index: int, setup: Setup) -> None:
    """A copy of the project that setup installs does not change with the sources."""
    if installs_copy(setup.command):
        message = "it installs a copy of the project, and the gates would judge the copy instead of the checkout"
        hint = "install dependencies only, or `-e .` with `settle`; until then setup runs again for each candidate"
        view.warn(("setup", index, "run"), message, hint)
    elif not setup.key and setup.paths:
        hint = "list what it installs from under `key`"
        view.warn(("setup", index, "run"), "without `key`, setup runs again for each candidate", hint)


def _code_in_key(view: View, index: int, setup: Setup) -> None:
    """Code that `key` names is the candidate's while setup runs; all other code is the base's."""
    protected = (*PROTECTED, *view.draft.file.protect)
    for at, glob in enumerate(setup.key):
        if is_source(glob) and "*" not in glob and not _protecting(protected, glob):
            hint = "remove it, so that setup uses the base's version, or list it under `protect`"
            view.warn(
                ("setup", index, "key", at), f"{glob} is code, and setup would run it as a candidate changed it", hint
            )


def check_judges(view: View) -> None:
    for stage, gate, part, at in view.gates():
        if part.run is None or not stage.has_worker:
            continue
        for path in files_run_by(gate, view.draft.sources.root):
            if _may_write(stage.scope, path):
                hint = f"remove {path} from what {stage.id} may write, or let another stage author it"
                view.warn((*at, "run"), f"{stage.id} may change {path}, which is used to judge it", hint)


def _may_write(scope: Scope, path: str) -> bool:
    return matches_any(scope.authored_files, path) or path in (glob.strip("/") for glob in scope.writes or ())
